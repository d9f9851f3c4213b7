"""The charts' lane of the outbox: a picture of the incident in its thread, when it needs a person and at its end.

Nothing waits for a picture: it is sent when nothing else is to be told, within the same budget, and what can't be drawn
or sent is given up quietly. Before a file is shown its id is stored: after a crash or a lost answer the thread is read
back, and a file that is there is not shown again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from receiver.chat.charts.picture import NoChart, Painter, Wanted
from receiver.chat.slack.api import ACCESS, SlackRefused
from receiver.chat.slack.budget import Budget
from receiver.chat.slack.files import SlackFiles
from receiver.chat.slack.plan import Row
from receiver.chat.slack.pump import apart
from receiver.chat.slack.story import log_of
from receiver.core.chart import Plotted, marks, of_alert, of_playbook, window
from receiver.core.incident import Incident
from receiver.ports import ChatError, Clock, MetricsUnavailable, Store, StoreUnavailable, Waiting

CHARTS: Final = "charts:slack"
"""The lane."""

SLACK: Final = "slack"
"""The lane of the threads that they are shown in."""

SENDING: Final = "slack/charts/sending"
"""The named value that says which file may have been shown: [key, file, reference]."""

POLL: Final = 2.0
CALM: Final = 3
"""Incidents that may have something else to tell while a chart is sent."""

KEPT: Final = 20
"""Charts that wait at most: in a storm the others are left out."""

OLD: Final = 6 * 3600.0
"""Seconds after which nobody needs a chart any more."""

TRIES: Final = 5
RETRY: Final = 30.0
"""Seconds until a chart is tried again; Slack itself says when for what is too fast."""

REFUSAL: Final = 600.0
"""Seconds until it is tried again after Slack refused the token."""

SETTLE: Final = 10.0
"""Seconds that Slack may take to show a file after it said yes."""

_log = structlog.stdlib.get_logger(__name__)


class ChartLane:
    """Pumps the lane.

    Args:
        store: the outbox.
        clock: for the budget and the pauses.
        files: Slack's uploads.
        painter: makes the pictures.
        budget: of everything that goes to Slack.
        observe: called with the lane and `sent`, `retry` or `dropped` for each try, for metrics.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        files: SlackFiles,
        painter: Painter,
        budget: Budget,
        observe: Callable[[str, str], None] = lambda _lane, _outcome: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._files = files
        self._painter = painter
        self._budget = budget
        self._observe = observe
        self._off = False
        self._held = 0.0
        self._later: dict[str, float] = {}
        self._unsure: list[str] | None = None
        self._shown = ""
        self._at_work: int | None = None
        self._began = False

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            wait, error = await apart(self.step, "charts lane")
            if error is not None:
                await self._broke(error)
            await asyncio.sleep(POLL if wait is None else wait)

    async def _broke(self, error: BaseException) -> None:
        """See a defect; it costs the chart that led to it, not the service."""
        if isinstance(error, StoreUnavailable):
            _log.warning("slack.store_unavailable", error=str(error))
            return
        _log.error("slack.broken", lane=CHARTS, exc_info=error)
        with contextlib.suppress(StoreUnavailable):
            if self._at_work is not None:
                await self._store.sent(self._at_work, None)

    async def step(self) -> float:
        """Send the one chart that may be sent, if any; returns seconds until the next look."""
        now = self._clock.now()
        if not self._began:
            self._unsure = _remembered(await self._store.get(SENDING))
            self._held = now + SETTLE if self._unsure else 0.0
            self._began = True
        if self._unsure is not None:
            if now >= self._held:
                await self._look(self._unsure)
            return POLL
        waiting = sorted(await self._store.lane(CHARTS, 1000), key=lambda one: (one.severity or "P9", one.first))
        self._later = {one.incident: self._later.get(one.incident, 0.0) for one in waiting}
        for number, one in enumerate(waiting):
            row = await self._row(one, now, keep=number < KEPT)
            due = row is not None and now >= max(self._held, self._later[one.incident])
            if row is not None and due and await self._ready(one, row, now):
                self._at_work = row[0]
                await self._guarded(one, row)
                return 0.0
        return POLL

    async def _row(self, one: Waiting, now: float, *, keep: bool) -> Row | None:
        """Return the incident's latest chart; those before it, and what is too old or too much, are left out."""
        rows = await self._store.lane_rows(CHARTS, one.incident, 10)
        wanted = rows and keep and not self._off and now - rows[-1][1].at < OLD and rows[-1][1].key != self._shown
        last = rows[-1] if wanted else None
        for row in rows:
            if row is not last:
                await self._store.sent(row[0], None)
        return last

    async def _ready(self, one: Waiting, row: Row, now: float) -> bool:
        """Whether its turn has come: all that happened before it is told, and others have nothing more urgent."""
        reference = await self._store.reference(SLACK, one.incident)
        if reference is None or self._budget.post_at(reference.partition("/")[0], now) > now:
            return False
        told = await self._store.lane_rows(SLACK, one.incident, 1)
        return not (told and told[0][1].at <= row[1].at) and len(await self._store.lane(SLACK, CALM + 1)) <= CALM

    # --- one chart --------------------------------------------------------------------------------------------------

    async def _guarded(self, one: Waiting, row: Row) -> None:
        reference = await self._store.reference(SLACK, one.incident) or ""
        try:
            await self._send(one, row, reference)
        except NoChart as error:
            await self._failed(one, row, str(error), again=error.again)
        except MetricsUnavailable as error:
            await self._failed(one, row, str(error))
        except SlackRefused as error:
            await self._refused(one, row, error)
        except ChatError as error:
            # Slack is away, slow, or asks to wait: that is no fault of this chart.
            self._held = self._clock.now() + max(error.retry_after or 0.0, SETTLE if error.unknown else RETRY)
            self._observe(CHARTS, "retry")
            _log.warning("slack.chart_waits", incident=one.incident, error=str(error))

    async def _send(self, one: Waiting, row: Row, reference: str) -> None:
        handle, told, _ = row
        wanted = await self._wanted(one.incident, told.payload)
        drawn = await self._painter.paint(wanted)
        title = self._painter.shown(f"{wanted.title}: {wanted.plotted.name}", 200)
        file = await self._files.upload(
            f"{one.incident}-{told.payload.get('seq', 0)}.png", drawn, seen=self._painter.shown(_seen(wanted), 900)
        )
        self._unsure = [told.key, file, reference]
        await self._store.put(SENDING, self._unsure)
        self._budget.posted(reference.partition("/")[0], self._clock.now())
        try:
            await self._files.show(file, title, reference)
        except ChatError as error:
            if not error.unknown:
                await self._sure()
            raise
        except SlackRefused:
            await self._sure()
            raise
        await self._done(handle)

    async def _look(self, unsure: Sequence[str]) -> None:
        """Look whether the chart whose answer was lost is in its thread; what can't be read counts as shown."""
        key, file, reference = unsure
        try:
            shown = await self._files.is_shown(file, reference)
        except SlackRefused as error:
            _log.warning("slack.chart_not_looked_for", error=str(error))
            shown = True
        except ChatError as error:
            self._held = self._clock.now() + max(error.retry_after or 0.0, RETRY)
            return
        self._shown = key if shown else ""
        await self._sure()

    async def _sure(self) -> None:
        self._unsure = None
        await self._store.put(SENDING, None)

    async def _done(self, handle: int) -> None:
        await self._store.sent(handle, None)
        await self._sure()
        self._observe(CHARTS, "sent")

    async def _wanted(self, name: str, payload: Mapping[str, Any]) -> Wanted:
        """Return what to draw of an incident as it was when the row was written."""
        incident = await self._store.incident(name)
        log = [one for one in await log_of(self._store, name) if one.seq <= int(payload.get("seq", 0))]
        if incident is None or not log:
            raise NoChart("the incident is no longer kept")
        began = incident.starts_at or incident.opened_at
        # A clock that is wrong elsewhere must not make the chart a century long.
        start, end = window(max(began, incident.opened_at - 3600.0), log[-1].at, self._clock.now())
        plotted = await self._plotted(incident, end - start)
        if plotted is None:
            raise NoChart("neither the alert's expression is known nor one of its playbook's")
        title = f"{incident.severity.value} {incident.alert} on {incident.target}"
        return Wanted(title, plotted, incident.labels, start, end, marks(log))

    async def _plotted(self, incident: Incident, length: float) -> Plotted | None:
        """Return the alert's expression if Prometheus said that it fires, else one of the playbook's.

        A webhook's sender must not choose what of Prometheus the channel is shown.
        """
        if incident.confirmed:
            for row in await self._store.alerts(incident.id, 20):
                if row.alert.name == incident.alert and (found := of_alert(row.alert.generator_url)) is not None:
                    return found
        playbook = await self._store.playbook(incident.version)
        return None if playbook is None else of_playbook(playbook, incident.target, incident.labels, length)

    # --- what failed ------------------------------------------------------------------------------------------------

    async def _failed(self, one: Waiting, row: Row, why: str, *, again: bool = True) -> None:
        """Try a chart again later, a few times; then it is left out."""
        handle, _, tries = row
        if again and tries + 1 < TRIES:
            self._later[one.incident] = self._clock.now() + RETRY * 2.0**tries
            await self._store.unsent(handle, why[:500], self._later[one.incident])
            self._observe(CHARTS, "retry")
            return
        _log.info("slack.no_chart", incident=one.incident, reason=why)
        await self._store.sent(handle, None)
        self._observe(CHARTS, "dropped")

    async def _refused(self, one: Waiting, row: Row, error: SlackRefused) -> None:
        if error.code == "missing_scope":
            # Said once: without the right to upload, each chart would say it again.
            self._off = True
            _log.warning("slack.no_charts", reason=f"{error}; incidents are told without; remediator slack check")
        elif error.code in ACCESS:
            self._held = self._clock.now() + REFUSAL
            _log.warning("slack.chart_waits", incident=one.incident, error=str(error))
        else:
            await self._failed(one, row, str(error))


def _remembered(value: Any) -> list[str] | None:
    right = isinstance(value, list) and len(value) == 3 and all(isinstance(one, str) for one in value)
    return value if right else None


def _seen(wanted: Wanted) -> str:
    """Return what a chart shows in words, for those who can't see it."""
    told: Sequence[str] = [mark.text for mark in wanted.marks]
    return f"Chart of {wanted.plotted.name} for {wanted.title}. Marked: {', '.join(told) or 'nothing'}."
