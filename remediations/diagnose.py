"""Look at a service without touching it: state, log, load and health endpoints, each with its own time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from remediations.health import probe, redact
from remediations.loglines import error_groups
from remediations.protocol import (
    Context,
    Health,
    Instance,
    Intent,
    Json,
    Observation,
    Outcome,
    Plan,
    Progress,
    RemediationError,
    Verdict,
)
from remediations.state import counted, judge, read_instances, revision, serving

MAX_INSTANCES = 10
MAX_ENDPOINTS = 10
MEMORY_TIGHT = 0.9
"""Share of its memory limit from which an instance is said to be short of memory."""


DISK_TIGHT = 0.05
"""Share of free space below which a disk is said to be full."""


class DiagnoseParameters(BaseModel):
    """Parameters of `diagnose`."""

    model_config = ConfigDict(extra="forbid")

    log_lines: int = Field(
        default=500, ge=1, le=500, description="How many of each instance's last log lines are searched for errors."
    )
    max_groups: int = Field(
        default=5,
        ge=1,
        le=20,
        description="How many kinds of error are told for each instance; equal ones are counted.",
    )
    time_limit: float = Field(
        default=5.0, gt=0, le=60, description="Seconds that each question may take; one that takes longer fails alone."
    )


Finding = dict[str, Any]
"""`name`, `ok` (True, False, None: couldn't be told), `text`, `data`."""


class DiagnoseAction:
    """Collects findings; changes nothing and never fails because one question does."""

    name = "diagnose"
    parameters: type[BaseModel] = DiagnoseParameters
    read_only = True
    idempotent = True
    destroys_state = False
    needs_known_good = False
    needs_bounds = False
    undoable = False
    temporary = False

    def describe(self, parameters: Json) -> str:
        """Say in one line what it does with these parameters."""
        lines = DiagnoseParameters.model_validate(parameters).log_lines
        return f"look at state, the last {lines} log lines, load and health endpoints"

    async def plan(self, context: Context, parameters: Json) -> Plan:
        """Say what will be looked at; doesn't ask the target, so that a missing one becomes a finding."""
        chosen = DiagnoseParameters.model_validate(parameters)
        return Plan(
            summary=f"diagnose {context.target.service}",
            steps=(
                "read each instance's state, restarts and health",
                f"search the last {chosen.log_lines} log lines for errors",
                "take one sample of load",
                "ask what the runtime keeps on its disk",
                *(f"ask {redact(url)}" for url in context.target.health_urls[:MAX_ENDPOINTS]),
            ),
            revision=revision(()),
        )

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        """Ask everything at once; the findings are in `data["findings"]`."""
        chosen = DiagnoseParameters.model_validate(intent.parameters)
        endpoints = [
            _part(f"health {redact(url)}", chosen.time_limit + context.target.health_timeout, _endpoint(context, url))
            for url in context.target.health_urls[:MAX_ENDPOINTS]
        ]
        disk = _part("disk", chosen.time_limit, _disk(context))
        answers = await asyncio.gather(_instances(context, chosen), disk, *endpoints)
        findings = [*answers[0], *(finding for answer in answers[1:] for finding in answer)]
        bad = [finding for finding in findings if finding["ok"] is False]
        unknown = [finding for finding in findings if finding["ok"] is None]
        text = "; ".join(str(finding["text"]) for finding in bad[:3]) or "nothing stands out"
        if len(bad) > 3:
            text += f"; and {len(bad) - 3} more"
        if unknown:
            text += f" ({counted(len(unknown), 'question')} without a clear answer)"
        return Outcome(ok=True, text=text, data={"findings": findings})

    async def observe(self, context: Context, intent: Intent) -> Observation:
        """Say that looking again is harmless."""
        return Observation(Progress.NOT_STARTED, "a diagnosis changes nothing and can be made again")

    async def verify(self, context: Context, intent: Intent) -> Verdict:
        """Judge whether the target's instances serve."""
        instances = await read_instances(context)
        return judge(instances, instances)

    async def undo(self, context: Context, intent: Intent, post_state: Json) -> Outcome:
        """Change nothing: there is nothing to undo."""
        return Outcome(ok=True, text="a diagnosis leaves nothing to undo", post_state=post_state)


Ask = Callable[[], Awaitable[list[Finding]]]


async def _part(name: str, limit: float, ask: Ask) -> list[Finding]:
    """Ask one question; what goes wrong with it becomes its finding, and no other's."""
    try:
        async with asyncio.timeout(limit):
            return await ask()
    except TimeoutError:
        return [_finding(name, None, f"{name}: no answer within {limit:g} s")]
    except RemediationError as error:
        return [_finding(name, None, f"{name}: {error}", error=type(error).__name__)]


def _finding(name: str, ok: bool | None, text: str, **data: object) -> Finding:  # noqa: FBT001 - a field, no switch
    return {"name": name, "ok": ok, "text": text, "data": data}


async def _instances(context: Context, chosen: DiagnoseParameters) -> list[Finding]:
    """Find the instances, then look at each of them at the same time."""
    found: list[Instance] = []

    async def ask() -> list[Finding]:
        found.extend(await context.runtime.instances(context.target))
        alive = serving(found)
        text = f"{alive} of {counted(len(found), 'instance')} of {context.target.service} serve"
        return [_finding("instances", alive == len(found), text, serving=alive, total=len(found))]

    findings = await _part("instances", chosen.time_limit, ask)
    parts = [
        part
        for instance in found[:MAX_INSTANCES]
        for part in (
            _part(f"state of {instance.name}", chosen.time_limit, _state(context, instance)),
            _part(f"log of {instance.name}", chosen.time_limit, _log(context, instance, chosen)),
            _part(f"load of {instance.name}", chosen.time_limit, _load(context, instance)),
        )
    ]
    for answer in await asyncio.gather(*parts):
        findings += answer
    if len(found) > MAX_INSTANCES:
        left = len(found) - MAX_INSTANCES
        findings.append(_finding("limit", None, f"{counted(left, 'further instance')} not looked at", left=left))
    return findings


def _state(context: Context, instance: Instance) -> Ask:
    async def ask() -> list[Finding]:
        up = context.now() - instance.started_at if instance.running and instance.started_at is not None else None
        words = [instance.status or ("running" if instance.running else "stopped")]
        words += [instance.health.value] if instance.health is not Health.NONE else []
        words += [f"up {_duration(up)}"] if up is not None else []
        words += [counted(instance.restart_count, "restart")] if instance.restart_count else []
        starting = instance.running and instance.health is Health.STARTING
        ok = None if starting else instance.serving
        text = f"{instance.name}: {', '.join(words)}, runs {instance.image}"
        return [
            _finding(
                f"state of {instance.name}", ok, text, running=instance.running, health=instance.health.value,
                restart_count=instance.restart_count, image_id=instance.image_id, started_at=instance.started_at,
            )
        ]  # fmt: skip

    return ask


def _log(context: Context, instance: Instance, chosen: DiagnoseParameters) -> Ask:
    async def ask() -> list[Finding]:
        lines = await context.runtime.logs(context.target, instance, chosen.log_lines)
        total, groups = error_groups(lines, chosen.max_groups)
        read = f"the last {counted(len(lines), 'log line')}"
        text = f"{instance.name}: no errors in {read}" if lines else f"{instance.name}: its log is empty"
        if total:
            told = "; ".join(f"{group.count} x {group.example}" for group in groups[:3])
            text = f"{instance.name}: {counted(total, 'error line')} in {read}: {told}"
        ok = None if not lines else total == 0
        data = {"lines": len(lines), "errors": total, "groups": [asdict(group) for group in groups]}
        return [_finding(f"log of {instance.name}", ok, text, **data)]

    return ask


def _load(context: Context, instance: Instance) -> Ask:
    async def ask() -> list[Finding]:
        name = f"load of {instance.name}"
        if not instance.running:
            return [_finding(name, None, f"{name}: it doesn't run")]
        sample: Mapping[str, Any] = await context.runtime.stats(context.target, instance)
        words, tight = _figures(sample)
        text = f"{instance.name}: {', '.join(words)}" if words else f"{name}: the runtime gives no figures"
        return [_finding(name, not tight if words else None, text, **sample)]

    return ask


def _figures(sample: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Return the sample in words, and whether memory is short."""
    cpu, used, limit = (sample.get(key) for key in ("cpu_ratio", "memory_bytes", "memory_limit_bytes"))
    words = [f"{cpu:.2f} CPU cores"] if cpu is not None else []
    if used is None:
        return words, False
    if not limit:
        return [*words, f"{used / 2**20:.0f} MiB of memory"], False
    share = used / limit
    return [*words, f"{used / 2**20:.0f} of {limit / 2**20:.0f} MiB of memory ({share:.0%})"], share >= MEMORY_TIGHT


def _disk(context: Context) -> Ask:
    async def ask() -> list[Finding]:
        found = await context.runtime.disk()
        if not found:
            return []
        free, total = found.get("free"), found.get("total")
        full = free is not None and bool(total) and free / total < DISK_TIGHT
        words = [f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB are free"] if free is not None and total else []
        kept = {name: size for name, size in found.items() if name not in {"free", "total"}}
        words += [f"{size / 2**20:.0f} MiB in {name}" for name, size in kept.items()]
        return [_finding("disk", not full, f"disk of {context.runtime.name}: {', '.join(words)}", **found)]

    return ask


def _endpoint(context: Context, url: str) -> Ask:
    async def ask() -> list[Finding]:
        target = context.target
        answer = await probe(context.http, url, word=target.health_word, timeout=target.health_timeout)
        data = {"status_code": answer.status_code, "word": answer.word, "seconds": answer.seconds}
        return [_finding(f"health {answer.url}", answer.ok, answer.text, **data)]

    return ask


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
