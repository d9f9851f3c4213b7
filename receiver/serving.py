"""Running the service: from its start to the signal that ends it, and the graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
import uvloop

from receiver import logs
from receiver.app import Service, build
from receiver.playbooks import PolicyError
from receiver.ports import StoreLocked, StoreUnusable
from receiver.settings import Settings
from receiver.web.server import bind, listen_address, make_server

CATCH_UP = 10.0
"""Seconds after a start within which Alertmanager may tell what resolved or was silenced before anything is done."""

_log = structlog.stdlib.get_logger(__name__)


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    logs.configure(settings.log_level, settings.log_format, settings.secrets)
    for warning in settings.warnings:
        _log.warning(warning)
    try:
        return uvloop.run(_serve(settings, dict(os.environ)))
    except (PolicyError, StoreLocked, StoreUnusable) as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"remediator: {line}\n")
        return 1


async def _serve(settings: Settings, environment: Mapping[str, str]) -> int:
    address, told = listen_address(settings)
    sock = bind(address)
    if told is not None:
        _log.warning(told)
    service = await build(settings, environment)
    # What is there now stays; a full collection would walk through all of it, some 50 ms in which nobody is answered.
    gc.collect()
    gc.freeze()
    # An alert is some fifty objects that no cycle holds: by default every seventh would start a collection.
    gc.set_threshold(10_000)
    # The store's thread gives Python's lock away with every statement; by default it may wait 5 ms to have it back.
    sys.setswitchinterval(0.0005)
    server = make_server(service.site, settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stopping.set)
    reloads: set[asyncio.Task[Any]] = set()

    def reload() -> None:
        task = loop.create_task(service.policies.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    tasks = [loop.create_task(start()) for start in service.background]
    tasks.append(loop.create_task(_work(service)))
    pump = loop.create_task(service.outbox.run())
    serving = loop.create_task(server.serve(sockets=[sock]))
    _log.info("serving", listen=str(address), mode=settings.mode, policy=service.policies.version)
    service.health.ready()
    waiting = loop.create_task(stopping.wait())
    await asyncio.wait([waiting, serving, pump, *tasks], return_when=asyncio.FIRST_COMPLETED)
    code = _broken([pump, *tasks], serving)
    await _stop(service, server.stop, serving, pump, tasks)
    waiting.cancel()
    return code


async def _work(service: Service) -> None:
    if service.resyncer is not None:
        await service.resyncer.caught_up(CATCH_UP)
    await service.jobs.run(service.executor.work)


def _broken(tasks: Sequence[asyncio.Task[Any]], serving: asyncio.Task[Any]) -> int:
    """Say which part ended by itself, which none should; returns the exit code."""
    for task in (*tasks, serving):
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a part of the service broke; stopping", exc_info=error)
            return 1
    return 0


async def _stop(
    service: Service,
    stop_server: Callable[[], None],
    serving: asyncio.Task[Any],
    pump: asyncio.Task[Any],
    tasks: Sequence[asyncio.Task[Any]],
) -> None:
    """Stop gracefully: no new webhooks, what runs finishes within the grace or is handed over by its stored intent."""
    grace = service.settings.shutdown_grace
    service.health.unready("stopping")
    _log.info("stopping", grace_seconds=grace, running=service.jobs.running)
    stop_server()
    service.feed.end()
    service.executor.stop()
    if not await service.jobs.drain(grace):
        _log.warning("handed over to the next start", running=service.jobs.running)
    if service.slack is not None:
        await service.slack.desk.close()
    service.outbox.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(pump), 5.0)
    for task in (pump, *tasks):
        task.cancel()
    await asyncio.gather(pump, *tasks, return_exceptions=True)
    await asyncio.wait([serving], timeout=5.0)
    await service.executor.close()
    await service.runtimes.close()
    await service.http.aclose()
    await service.store.close()
    _log.info("stopped")
