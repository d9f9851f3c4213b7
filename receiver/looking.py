"""The read-only side of an incident: diagnosis, confirmation and the looks of a verification."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from receiver.core import events as ev
from receiver.core.incident import Check, Done, Incident
from receiver.core.playbook import Playbook, Service, Verification
from receiver.plans import intent_done
from receiver.ports import MetricsSource, MetricsUnavailable
from receiver.targets import Targets
from receiver.verifier import Look, Verifier
from remediations.protocol import Context, Intent, Plan, Remediation, RemediationError, Verdict

DIAGNOSIS_LIMIT = 20.0
"""Seconds a diagnosis may take; what it found by then is lost, and said so."""

LOOK_LIMIT = 90.0
"""Seconds a look may take, every question of it included; what answers later can't be told."""


class Looker:
    """Looks at targets and metrics; changes nothing.

    Args:
        metrics: None when no Prometheus is configured.
        diagnosis: the action that collects findings.
    """

    def __init__(
        self,
        targets: Targets,
        verifier: Verifier,
        metrics: MetricsSource | None,
        actions: Mapping[str, Remediation],
    ) -> None:
        self._targets = targets
        self._verifier = verifier
        self._metrics = metrics
        self._actions = actions

    async def diagnose(self, incident: Incident, playbook: Playbook, service: Service) -> ev.Diagnosed:
        """Collect findings, ask Prometheus whether the alert fires, and note the figures of before."""
        found, (confirmed, words), before = await asyncio.gather(
            self._findings(incident, playbook, service),
            self.confirm(incident),
            self._baseline(incident, playbook, service),
        )
        findings, failed = found
        return ev.Diagnosed(findings, confirmed, words, failed, before)

    async def look(
        self, incident: Incident, playbook: Playbook, service: Service, check: Check, how: Verification
    ) -> Look:
        """Take one look of a verification."""
        try:
            async with asyncio.timeout(LOOK_LIMIT):
                verdict = await self._target(incident, service, check) if how.target else None
                return await self._verifier.look(
                    how, service, playbook, incident.labels, since=check.since, target_verdict=verdict
                )
        except TimeoutError:
            return Look(None, failed_now=False, text=f"the look took longer than {LOOK_LIMIT:.0f} s", readings=())

    async def _baseline(self, incident: Incident, playbook: Playbook, service: Service) -> tuple[ev.Json, ...]:
        if not playbook.steps:
            return ()
        readings = await self._verifier.baseline(playbook.steps[0].verify, service, playbook, incident.labels)
        return tuple(readings)

    async def _findings(
        self, incident: Incident, playbook: Playbook, service: Service
    ) -> tuple[tuple[ev.Json, ...], str | None]:
        if not playbook.diagnose:
            return (), None
        action = self._actions["diagnose"]
        intent = Intent(f"diagnose-{incident.id}", action.name, {}, Plan("look"), incident.opened_at)
        try:
            context = await self._targets.context(service)
            async with asyncio.timeout(DIAGNOSIS_LIMIT):
                outcome = await action.execute(context, intent)
        except RemediationError as error:
            return (), str(error)
        except TimeoutError:
            return (), f"the diagnosis took longer than {DIAGNOSIS_LIMIT:.0f} s"
        return tuple(outcome.data.get("findings", ())), None if outcome.ok else outcome.text

    async def confirm(self, incident: Incident) -> tuple[bool | None, str]:
        """Ask Prometheus itself whether the incident's alert fires; None: that can't be told, and why."""
        if self._metrics is None:
            return None, "no Prometheus is configured"
        try:
            fires = await self._metrics.firing(incident.alert, incident.labels)
        except MetricsUnavailable as error:
            return None, str(error)
        if fires is None:
            return None, "Prometheus can't tell whether it fires"
        return fires, "it fires in Prometheus" if fires else "Prometheus does not have it as firing"

    async def _target(self, incident: Incident, service: Service, check: Check) -> Verdict:
        """Judge the target's own state: by the action that ran, else by its instances."""
        try:
            context = await self._targets.context(service)
            done = _done(incident, check)
            if done is not None and (action := self._actions.get(done.action)) is not None:
                return await action.verify(context, intent_done(done))
            return await _instances(context)
        except RemediationError as error:
            return Verdict(None, str(error))


def _done(incident: Incident, check: Check) -> Done | None:
    return next((one for one in reversed(incident.done) if one.step == check.step and one.action_id), None)


async def _instances(context: Context) -> Verdict:
    instances = await context.runtime.instances(context.target)
    serving = [one for one in instances if one.serving]
    names = ", ".join(f"{one.name}: {one.status or ('running' if one.running else 'stopped')}" for one in instances)
    data = {"serving": len(serving), "instances": len(instances)}
    if serving and len(serving) == len(instances):
        return Verdict(True, f"{len(serving)} of {len(instances)} instances serve", data)
    starting = any(one.running and not one.serving and one.health == "starting" for one in instances)
    return Verdict(None if starting and serving else False, f"{len(serving)} of {len(instances)} serve ({names})", data)
