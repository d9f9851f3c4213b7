"""Whether the parts outside the service answer: states for people, never a reason to refuse a webhook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from receiver.alertmanager import AlertmanagerApi, AlertmanagerUnavailable
from receiver.core.playbook import Service
from receiver.ports import Clock, MetricsSource, MetricsUnavailable
from remediations.protocol import RemediationError, Runtime

EVERY = 15.0
"""Seconds between two looks."""

UP, DOWN = "ok", "unreachable"

_log = structlog.stdlib.get_logger(__name__)


class PartsWatch:
    """Asks Prometheus, Alertmanager and every engine whether they are there, and tells when that changes.

    Args:
        services: today's; each names an engine.
        runtime: of a service; raises EngineUnavailable.
        noted: called with a part's name and `ok` or `unreachable` after each look.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: MetricsSource | None,
        alertmanager: AlertmanagerApi | None,
        services: Callable[[], Mapping[str, Service]],
        runtime: Callable[[Service], Runtime],
        noted: Callable[[str, str], None],
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._alertmanager = alertmanager
        self._services = services
        self._runtime = runtime
        self._noted = noted
        self._known: dict[str, str | None] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(EVERY)

    async def look(self) -> None:
        """Ask every part once."""
        if self._metrics is not None:
            await self._ask("prometheus", self._prometheus)
        if self._alertmanager is not None:
            await self._ask("alertmanager", self._alertmanager.started_at)
        engines = {(one.engine, one.runtime): one for one in self._services().values()}
        for (engine, runtime), service in sorted(engines.items()):
            # The runtime `process` needs no engine; it goes by its own name.
            await self._ask(f"engine {engine or runtime}", lambda one=service: self._engine(one))  # type: ignore[misc]

    async def _prometheus(self) -> None:
        if self._metrics is not None:
            await self._metrics.query("vector(1)")

    async def _engine(self, service: Service) -> None:
        facts = await self._runtime(service).check()
        if (own := facts.get("own_container")) is not None and f"own {service.engine}" not in self._known:
            self._known[f"own {service.engine}"] = None
            _log.warning("this service runs on an engine that it acts on; it never acts on itself", container=own)

    async def _ask(self, part: str, question: Callable[[], Awaitable[object]]) -> None:
        reason = None
        try:
            await question()
        except (MetricsUnavailable, AlertmanagerUnavailable, RemediationError) as error:
            reason = str(error)
        self._noted(part, UP if reason is None else DOWN)
        before = self._known.get(part, "")
        self._known[part] = reason
        if reason is not None and before in {None, ""}:
            _log.warning("a part does not answer", part=part, reason=reason)
        elif reason is None and before not in {None, ""}:
            _log.info("a part answers again", part=part)
