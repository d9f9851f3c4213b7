"""The store's contract. A subclass says how to open one; see tests/unit/store/test_sqlite.py.

Nothing here knows which database it is, and nothing is asked of a store beyond `receiver.ports.Store`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace

import pytest

from receiver.core import events as ev
from receiver.core.events import Recorded
from receiver.core.fold import replay
from receiver.core.incident import Incident
from receiver.core.matchers import Op, matcher
from receiver.core.playbook import Playbook, Step
from receiver.core.severity import Severity
from receiver.ports import (
    AlertRow,
    Body,
    Changes,
    IncidentFilter,
    InvalidChanges,
    OutboxRow,
    Quarantined,
    Store,
    Unit,
    View,
)
from tests.contract.folding import alert, append, fold, opening, webhook

NOW = 1_800_000_000.0


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


async def opened(store: Store, service: str = "api", fingerprint: str = "00000000000000aa") -> Incident:
    """Open an incident by one alert."""
    changes = await store.submit(webhook([alert(fingerprint, service)], NOW))
    return changes.incidents[0]


async def recorded(store: Store, incident_id: str, *events: ev.Event, now: float = NOW, **more: object) -> Changes:
    """Append events to an incident."""

    def decide(view: View) -> Changes:
        changes = append(view.incidents[incident_id], incident_id, events, now)
        return changes._replace(**more)  # type: ignore[arg-type]

    return await store.submit(Unit(decide, incidents=(incident_id,)))


def told(key: str, incident: str, *, kind: str = "thread", lane: str = "chat", text: str = "") -> OutboxRow:
    return OutboxRow(lane, kind, key, incident, {"text": text or key}, NOW)


async def tell(store: Store, *rows: OutboxRow) -> None:
    await store.submit(Unit(lambda _: Changes(outbox=rows)))


async def waiting(store: Store) -> list[str]:
    return [row.key for _, row, _ in await store.outbox(100)]


async def seen_actions(store: Store, since: float | None) -> list[str]:
    """Return the steps of the actions that a unit sees."""
    views: list[View] = []

    def look(view: View) -> Changes:
        views.append(view)
        return Changes()

    await store.submit(Unit(look, actions_since=since))
    return [one.step for one in views[-1].actions]


def closed(reason: str = "done") -> ev.Closed:
    return ev.Closed("ann", reason, "cli")


@pytest.mark.anyio
class StoreContract:
    """Inherit and implement `opening`."""

    def opening(self, clock: Clock) -> AbstractAsyncContextManager[Store]:
        """Open an empty store, and close it at the end."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    async def store(self, clock: Clock) -> AsyncIterator[Store]:
        async with self.opening(clock) as store:
            yield store

    # --- units ----------------------------------------------------------------------------------------------------

    async def test_a_new_alert_opens_an_incident_with_its_log_its_wake_up_and_its_rows(self, store: Store) -> None:
        incident = await opened(store)
        assert await store.incident(incident.id) == incident
        assert [(one.seq, type(one.event)) for one in await store.events(incident.id)] == [
            (1, ev.Opened),
            (2, ev.AlertsChanged),
        ]
        assert await store.due(NOW + 10, 10) == [(incident.id, "api")]
        (row,) = await store.alerts(incident.id)
        assert row == AlertRow(alert("00000000000000aa"), incident.id, "down", None, NOW, 0)
        assert await store.firing() == {"00000000000000aa": row}
        assert len(await waiting(store)) == 1

    async def test_replaying_the_log_gives_the_stored_state(self, store: Store) -> None:
        incident = await opened(store)
        await store.submit(webhook([alert("b"), alert("c", status="resolved")], NOW + 1))
        await recorded(store, incident.id, ev.Noted("seen"), ev.Acknowledged("ann", "cli"))
        log = await store.events(incident.id)
        assert replay(log) == await store.incident(incident.id)

    async def test_a_unit_sees_what_it_named_and_nothing_else(self, store: Store) -> None:
        one = await opened(store, "api", "a")
        other = await opened(store, "web", "b")
        views: list[View] = []

        def look(view: View) -> Changes:
            views.append(view)
            return Changes()

        await store.submit(Unit(look, fingerprints=("a", "unknown"), targets=("web", "idle"), incidents=("i-nobody",)))
        (view,) = views
        assert view.alerts.keys() == {"a"}
        assert view.alerts["a"].incident == one.id
        assert view.incidents == {one.id: one}
        assert view.open == {"web": other}

    async def test_a_closed_incident_is_seen_by_name_but_is_not_open(self, store: Store) -> None:
        incident = await opened(store)
        await recorded(store, incident.id, closed())
        seen: list[View] = []

        def look(view: View) -> Changes:
            seen.append(view)
            return Changes()

        await store.submit(Unit(look, targets=("api",), incidents=(incident.id,)))
        assert not seen[0].open
        assert not seen[0].incidents[incident.id].open
        again = await opened(store, fingerprint="b")
        assert again.id != incident.id

    async def test_an_exception_of_a_decision_reaches_its_caller_and_leaves_nothing(self, store: Store) -> None:
        def decide(view: View) -> Changes:
            raise LookupError("no such thing")

        with pytest.raises(LookupError, match="no such thing"):
            await store.submit(Unit(decide, body=Body(NOW, b"{}", 1)))
        assert not await store.bodies(0, NOW + 1)

    async def test_a_bad_unit_among_many_fails_alone(self, store: Store) -> None:
        def decide(view: View) -> Changes:
            raise LookupError

        def broken(view: View) -> Changes:
            changes = fold(view, [alert("bad", "bad")], NOW)
            return changes._replace(alerts=[changes.alerts[0]._replace(seen_at=float("nan"), reason="\ud800")])

        units = [webhook([alert(f"{number:016x}", f"svc-{number % 7}")], NOW) for number in range(50)]
        units.insert(20, Unit(decide))
        units.insert(30, Unit(broken, fingerprints=("bad",), targets=("bad",)))
        results = await asyncio.gather(*(store.submit(unit) for unit in units), return_exceptions=True)
        failed = [number for number, result in enumerate(results) if isinstance(result, BaseException)]
        assert failed == [20, 30]
        assert len(await store.firing()) == 50
        assert len((await store.incidents(IncidentFilter(open_only=True))).items) == 7
        for incident in (await store.incidents(IncidentFilter())).items:
            assert replay(await store.events(incident.id)) == incident

    async def test_units_submitted_together_see_each_other(self, store: Store) -> None:
        await asyncio.gather(*(store.submit(webhook([alert(f"{number:016x}")], NOW)) for number in range(100)))
        (incident,) = (await store.incidents(IncidentFilter())).items
        assert (incident.firing, incident.alerts, incident.seq) == (100, 100, 101)
        assert [one.seq for one in await store.events(incident.id)] == list(range(1, 102))

    async def test_the_same_delivery_many_times_at_once_counts_once(self, store: Store) -> None:
        await asyncio.gather(*(store.submit(webhook([alert("a")], NOW + number)) for number in range(20)))
        (incident,) = (await store.incidents(IncidentFilter())).items
        assert incident.seq == 2
        (row,) = await store.alerts(incident.id)
        assert row.repeats == 19

    # --- what contradicts the stored is refused ---------------------------------------------------------------------

    async def test_a_second_open_incident_of_a_target_is_refused(self, store: Store) -> None:
        await opened(store)
        with pytest.raises(InvalidChanges, match="api"):
            await store.submit(Unit(lambda _: opening("api", [alert("b")], NOW), ("b",), ("api",)))
        assert len((await store.incidents(IncidentFilter())).items) == 1

    async def test_two_open_incidents_of_a_target_in_one_unit_are_refused(self, store: Store) -> None:
        def decide(view: View) -> Changes:
            one, two = opening("api", [alert("a")], NOW), opening("api", [alert("b")], NOW)
            return Changes(incidents=[*one.incidents, *two.incidents], events=[*one.events, *two.events])

        with pytest.raises(InvalidChanges, match="api"):
            await store.submit(Unit(decide, targets=("api",)))
        assert not (await store.incidents(IncidentFilter())).items

    async def test_one_unit_may_close_an_incident_and_open_the_next(self, store: Store) -> None:
        first = await opened(store)

        def decide(view: View) -> Changes:
            ended = append(view.incidents[first.id], first.id, [closed()], NOW)
            fresh = opening("api", [alert("b")], NOW)
            return Changes(
                fresh.alerts,
                incidents=[*fresh.incidents, *ended.incidents],
                events=[*fresh.events, *ended.events],
            )

        changes = await store.submit(Unit(decide, ("b",), ("api",), (first.id,)))
        (open_now,) = (await store.incidents(IncidentFilter(open_only=True))).items
        assert open_now == changes.incidents[0]

    @pytest.mark.parametrize("step", [-1, 1])
    async def test_a_state_whose_seq_is_not_the_stored_one_plus_its_events_is_refused(
        self, store: Store, step: int
    ) -> None:
        incident = await opened(store)

        def decide(view: View) -> Changes:
            changes = append(view.incidents[incident.id], incident.id, [ev.Noted("x")], NOW)
            return changes._replace(incidents=[replace(changes.incidents[0], seq=changes.incidents[0].seq + step)])

        with pytest.raises(InvalidChanges, match="seq"):
            await store.submit(Unit(decide, incidents=(incident.id,)))
        assert await store.incident(incident.id) == incident

    async def test_events_out_of_order_are_refused(self, store: Store) -> None:
        incident = await opened(store)

        def decide(view: View) -> Changes:
            changes = append(view.incidents[incident.id], incident.id, [ev.Noted("x"), ev.Noted("y")], NOW)
            return changes._replace(events=changes.events[::-1])

        with pytest.raises(InvalidChanges, match="follows"):
            await store.submit(Unit(decide, incidents=(incident.id,)))
        assert len(await store.events(incident.id)) == 2

    async def test_events_without_their_state_are_refused(self, store: Store) -> None:
        incident = await opened(store)
        stray = ev.Recorded(incident.id, 3, NOW, ev.Noted("x"))
        with pytest.raises(InvalidChanges, match="state"):
            await store.submit(Unit(lambda _: Changes(events=[stray]), incidents=(incident.id,)))

    async def test_an_alert_that_the_unit_did_not_name_is_refused(self, store: Store) -> None:
        with pytest.raises(InvalidChanges, match="stranger"):
            await store.submit(Unit(lambda _: Changes([AlertRow(alert("stranger"), None)])))

    # --- alerts -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "fingerprint",
        [
            *("0000000000000000", "7fffffffffffffff", "8000000000000000", "ffffffffffffffff", "31af2abf78d48d70"),
            *("FFFFFFFFFFFFFFFF", "+000000000000001", "0_0_0_0_0_0_0_00", "x", "42", "ü" * 16, "0" * 200),
        ],
    )
    async def test_any_fingerprint_comes_back_as_it_was(self, store: Store, fingerprint: str) -> None:
        await opened(store, fingerprint=fingerprint)
        await store.submit(webhook([alert(fingerprint)], NOW + 1))
        rows = await store.firing()
        assert list(rows) == [fingerprint]
        assert rows[fingerprint].repeats == 1

    async def test_an_alert_twice_in_one_delivery_is_one_row_and_a_repeat(self, store: Store) -> None:
        await store.submit(webhook([alert("a"), alert("a"), alert("b")], NOW))
        rows = await store.firing()
        assert {name: row.repeats for name, row in rows.items()} == {"a": 1, "b": 0}

    async def test_an_alert_that_resolves_and_fires_again_keeps_one_row(self, store: Store) -> None:
        incident = await opened(store, fingerprint="a")
        await store.submit(webhook([alert("a", status="resolved")], NOW + 1))
        (row,) = await store.alerts(incident.id)
        assert (row.alert.status, row.seen_at) == ("resolved", NOW + 1)
        assert not await store.firing()
        await store.submit(webhook([alert("a", starts_at=2_000_000)], NOW + 2))
        (row,) = await store.alerts(incident.id)
        assert (row.alert.status, row.alert.starts_at, row.repeats) == ("firing", 2_000_000, 0)
        counts = await store.counts()
        assert counts["alerts"] == {"firing": 1, "resolved": 0}

    async def test_repeats_are_counted_on_the_alert(self, store: Store) -> None:
        await store.submit(webhook([alert("a"), alert("b")], NOW))
        for second in range(1, 4):
            await store.submit(webhook([alert("a")], NOW + second))
        rows = await store.firing()
        assert (rows["a"].repeats, rows["a"].seen_at) == (3, NOW + 3)
        assert (rows["b"].repeats, rows["b"].seen_at) == (0, NOW)

    async def test_a_group_of_many_alerts_comes_back_whole(self, store: Store) -> None:
        group = [alert(f"{number:016x}", pod=f"pod-{number}", text="é\u2028\u0001" * 50) for number in range(500)]
        await store.submit(webhook(group, NOW))
        (incident,) = (await store.incidents(IncidentFilter())).items
        found = await store.alerts(incident.id, 1000)
        assert sorted((row.alert for row in found), key=lambda one: one.fingerprint) == group
        assert len(await store.alerts(incident.id, 10)) == 10

    async def test_alerts_that_nobody_takes_are_listed_with_reason_and_repeats_newest_first(self, store: Store) -> None:
        for number in range(5):
            await store.submit(webhook([alert(f"u{number}", None)], NOW + number))
        await store.submit(webhook([alert("u3", None)], NOW + 9))
        page = await store.unmatched(3)
        assert [row.alert.fingerprint for row in page.items] == ["u4", "u3", "u2"]
        assert [(row.reason, row.repeats) for row in page.items][:2] == [
            ("no playbook matches", 0),
            ("no playbook matches", 1),
        ]
        rest = await store.unmatched(3, page.next)
        assert [row.alert.fingerprint for row in rest.items] == ["u1", "u0"]
        assert rest.next is None
        assert (await store.counts())["counters"] == {"unmatched": 5}

    # --- incidents, their log and their wake-ups ----------------------------------------------------------------------

    async def test_incidents_are_listed_newest_first_in_pages(self, store: Store) -> None:
        ids = [(await opened(store, f"svc-{number}", f"{number:016x}")).id for number in range(5)]
        found: list[str] = []
        after: str | None = None
        for _ in range(3):
            page = await store.incidents(IncidentFilter(limit=2, after=after))
            found += [incident.id for incident in page.items]
            after = page.next
        assert after is None
        assert found == ids[::-1]

    async def test_incidents_are_found_by_state_target_and_severity(self, store: Store) -> None:
        one = await opened(store, "api", "a")
        two = await opened(store, "web", "b")
        await recorded(store, two.id, closed())

        async def names(wanted: IncidentFilter) -> list[str]:
            return [incident.id for incident in (await store.incidents(wanted)).items]

        assert await names(IncidentFilter(open_only=True)) == [one.id]
        assert await names(IncidentFilter(state="closed")) == [two.id]
        assert await names(IncidentFilter(target="api")) == [one.id]
        assert await names(IncidentFilter(severity="P1", state="triage")) == [one.id]
        assert await names(IncidentFilter(severity="P4")) == []

    async def test_a_cursor_of_somebody_elses_gives_an_empty_page(self, store: Store) -> None:
        await opened(store)
        assert not (await store.incidents(IncidentFilter(after="0"))).items

    async def test_the_log_is_read_from_any_point(self, store: Store) -> None:
        incident = await opened(store)
        await recorded(store, incident.id, *(ev.Noted(str(number)) for number in range(20)))
        assert [one.seq for one in await store.events(incident.id, after=5, limit=3)] == [6, 7, 8]
        assert not await store.events(incident.id, after=22)
        assert not await store.events("i-nobody")

    async def test_events_come_back_as_they_were(self, store: Store) -> None:
        incident = await opened(store)
        plan = {"containers": [{"id": "c" * 64, "n": 1}], "text": "x" * 5000, "none": None, "share": 0.25}
        started = ev.StepStarted("restart", "a-1", "restart", "step", "restarts it", {"by": 1}, plan)
        await recorded(store, incident.id, started)
        (found,) = await store.events(incident.id, after=2)
        assert found == ev.Recorded(incident.id, 3, NOW, started)

    async def test_wake_ups_come_earliest_first_and_only_when_due(self, store: Store) -> None:
        ids = {}
        for number, at in enumerate([30.0, 10.0, 20.0]):
            incident = await opened(store, f"svc-{number}", f"{number:016x}")
            ids[at] = incident.id
            await recorded(store, incident.id, ev.Noted("x"), wake={incident.id: NOW + at})
        assert [name for name, _ in await store.due(NOW + 25, 10)] == [ids[10.0], ids[20.0]]
        assert [name for name, _ in await store.due(NOW + 25, 1)] == [ids[10.0]]
        assert not await store.due(NOW, 10)
        assert await store.next_wake() == NOW + 10
        assert await store.next_wake(NOW + 10) == NOW + 20
        assert await store.next_wake(NOW + 30) is None

    async def test_a_wake_up_can_be_moved_without_an_event(self, store: Store) -> None:
        incident = await opened(store)
        await store.submit(Unit(lambda _: Changes(wake={incident.id: NOW + 99}), incidents=(incident.id,)))
        assert await store.next_wake() == NOW + 99
        await store.submit(Unit(lambda _: Changes(wake={incident.id: None}), incidents=(incident.id,)))
        assert await store.next_wake() is None
        assert await store.incident(incident.id) == incident

    async def test_an_incident_that_is_not_named_keeps_its_wake_up(self, store: Store) -> None:
        incident = await opened(store)
        await recorded(store, incident.id, ev.Noted("x"))
        assert await store.next_wake() == NOW + 10

    async def test_an_incident_that_ends_loses_its_wake_up(self, store: Store) -> None:
        incident = await opened(store)
        await recorded(store, incident.id, closed(), wake={incident.id: NOW + 5})
        assert await store.next_wake() is None

    async def test_actions_are_known_from_their_events(self, store: Store) -> None:
        incident = await opened(store)
        await recorded(store, incident.id, ev.StepStarted("restart", "a-1", "restart", "step", "restarts it"))
        (under_way,) = await store.actions(NOW + 999)
        assert (under_way.target, under_way.playbook, under_way.step, under_way.kind) == (
            "api",
            "down",
            "restart",
            "step",
        )
        assert (under_way.started_at, under_way.ended_at, under_way.ok) == (NOW, None, None)
        await recorded(store, incident.id, ev.StepFinished("a-1", ok=True, text="done"), now=NOW + 7)
        (ended,) = await store.actions(NOW)
        assert (ended.ended_at, ended.ok) == (NOW + 7, True)
        assert not await store.actions(NOW + 1)

    async def test_an_action_that_was_withdrawn_never_was(self, store: Store) -> None:
        incident = await opened(store)
        await recorded(store, incident.id, ev.StepStarted("restart", "a-1", "restart", "step", "restarts it"))
        await recorded(store, incident.id, ev.StepWithdrawn("a-1", "it never began"))
        assert not await store.actions(0.0)

    async def test_a_unit_sees_the_actions_that_it_asks_for_and_no_others(self, store: Store) -> None:
        old, new = await opened(store, "old", "a"), await opened(store, "new", "b")
        await recorded(store, old.id, ev.StepStarted("one", "a-1", "restart", "step", ""), now=NOW - 90)
        await recorded(store, new.id, ev.StepStarted("two", "a-2", "restart", "step", ""), now=NOW - 10)
        assert await seen_actions(store, None) == []
        assert await seen_actions(store, NOW - 50) == ["one", "two"], "the first is under way still"
        await recorded(store, old.id, ev.StepFinished("a-1", ok=True, text="done"), now=NOW - 80)
        assert await seen_actions(store, NOW - 50) == ["two"]
        assert await seen_actions(store, NOW - 100) == ["one", "two"]

    async def test_of_units_that_wait_for_one_commit_the_later_sees_what_the_earlier_began(self, store: Store) -> None:
        incidents = [await opened(store, f"svc-{number}", f"{number:016x}") for number in range(20)]
        began: list[int] = []

        def begin(incident: Incident) -> Unit:
            def decide(view: View) -> Changes:
                began.append(len(view.actions))
                if len(view.actions) >= 3:
                    return Changes()
                started = ev.StepStarted("restart", f"a-{incident.id}", "restart", "step", "restarts it")
                return append(view.incidents[incident.id], incident.id, [started], NOW)

            return Unit(decide, incidents=(incident.id,), actions_since=NOW - 600)

        await asyncio.gather(*(store.submit(begin(incident)) for incident in incidents))
        assert len(await store.actions(0.0)) == 3
        assert max(began) == 3

    # --- the order over all incidents -------------------------------------------------------------------------------

    async def test_the_feed_has_every_event_of_all_incidents_in_the_order_of_their_commits(self, store: Store) -> None:
        assert (await store.feed_end(), (await store.feed(0)).complete) == (0, True)
        one, other = await opened(store), await opened(store, "web", "00000000000000bb")
        await recorded(store, one.id, ev.Noted("first", "ann", "cli"))
        await recorded(store, other.id, ev.Noted("second", "ann", "cli"))
        page = await store.feed(0)
        logs = [*(await store.events(one.id))[:2], *(await store.events(other.id))[:2]]
        logs += [*(await store.events(one.id))[2:], *(await store.events(other.id))[2:]]
        assert [event for _, event in page.events] == logs
        places = [place for place, _ in page.events]
        assert places == sorted(set(places))
        assert page.last == places[-1] == await store.feed_end()

    async def test_the_feed_goes_on_from_any_place_in_pages_of_any_size(self, store: Store) -> None:
        first = await opened(store)
        await asyncio.gather(*(opened(store, f"svc-{one}", f"{one:016x}") for one in range(5)))
        await recorded(store, first.id, *(ev.Noted(f"note {one}", "ann", "cli") for one in range(5)))
        everything = (await store.feed(0)).events
        assert len(everything) == 2 * 6 + 5
        for size in (1, 2, 7, 100):
            found: list[tuple[int, Recorded]] = []
            at = 0
            while page := (await store.feed(at, size)).events:
                assert len(page) <= size
                found += page
                at = page[-1][0]
            assert found == everything
        for number, (place, _) in enumerate(everything, 1):
            assert (await store.feed(place)).events == everything[number:]

    async def test_a_place_that_the_feed_never_gave_is_told(self, store: Store) -> None:
        await opened(store)
        page = await store.feed(1 << 50)
        assert (list(page.events), page.last, page.complete) == ([], await store.feed_end(), False)

    # --- evidence ---------------------------------------------------------------------------------------------------

    async def test_raw_bodies_and_bad_alerts_are_kept_as_they_came(self, store: Store) -> None:
        raw = b'{"alerts": "\xff\x00"}' * 1000
        bad = [Quarantined(NOW, f"$.alerts[{number}]", "no labels", "{}") for number in range(3)]
        unit = webhook([alert("a")], NOW, Body(NOW, raw, 4, "10.0.0.1"))._replace(quarantined=bad)
        await store.submit(unit)
        await store.submit(webhook([alert("a")], NOW + 5, Body(NOW + 5, b"{}", 1)))
        assert await store.bodies(NOW, NOW + 1) == [Body(NOW, raw, 4, "10.0.0.1")]
        assert len(await store.bodies(NOW, NOW + 5)) == 2
        assert len(await store.bodies(NOW, NOW + 5, 1)) == 1
        page = await store.quarantined(2)
        assert page.items == bad[:0:-1]
        assert (await store.quarantined(2, page.next)).items == bad[:1]

    async def test_a_playbook_version_comes_back_with_its_expressions_compiled(self, store: Store) -> None:
        playbook = Playbook(
            name="down",
            version="v1",
            rank=0,
            match=(matcher("alertname", Op.EQUAL, "ServiceDown"), matcher("job", Op.MATCHES, "api|web")),
            severity=Severity.P1,
            steps=(Step("restart", "restart", {"by": 1, "names": ["x"]}),),
        )
        await store.submit(Unit(lambda _: Changes(playbooks=[playbook])))
        await store.submit(Unit(lambda _: Changes(playbooks=[playbook])))
        found = await store.playbook("v1")
        assert found == playbook
        assert found is not None
        assert found.match[1].matches({"job": "web"})
        assert await store.playbook("v2") is None

    # --- the outbox -------------------------------------------------------------------------------------------------

    async def test_a_lane_gives_one_row_at_a_time_in_order(self, store: Store) -> None:
        await tell(store, told("a1", "i-1"), told("a2", "i-1"), told("b1", "i-1", lane="pager"))
        heads = await store.outbox(10)
        assert [row.key for _, row, _ in heads] == ["a1", "b1"]
        assert heads[0][1] == told("a1", "i-1")
        await store.sent(heads[0][0], None)
        assert await waiting(store) == ["a2", "b1"]
        assert len(await store.outbox(1)) == 1

    async def test_a_row_is_told_once_by_its_key(self, store: Store) -> None:
        await tell(store, told("a1", "i-1"))
        await tell(store, told("a1", "i-1", text="again"))
        ((handle, row, _),) = await store.outbox(10)
        assert row.payload == {"text": "a1"}
        await store.sent(handle, None)
        await tell(store, told("a1", "i-1"))
        assert await waiting(store) == []

    async def test_headers_collapse_to_the_latest_and_keep_their_place(self, store: Store) -> None:
        await tell(store, told("h1", "i-1", kind="header"), told("t1", "i-1"), told("h1b", "i-2", kind="header"))
        await tell(store, told("h2", "i-1", kind="header"))
        order = []
        while heads := await store.outbox(10):
            order.append(heads[0][1].key)
            await store.sent(heads[0][0], "ref")
        assert order == ["h2", "t1", "h1b"]

    async def test_a_header_that_changed_on_its_way_is_sent_again_as_an_edit(self, store: Store) -> None:
        await tell(store, told("h1", "i-1", kind="header"))
        ((on_its_way, _, _),) = await store.outbox(10)
        await tell(store, told("h2", "i-1", kind="header"))
        await store.sent(on_its_way, "ref-1")
        assert await store.reference("chat", "i-1") == "ref-1"
        ((handle, row, _),) = await store.outbox(10)
        assert row.key == "h2"
        await store.sent(handle, "ref-1")
        assert await waiting(store) == []

    async def test_the_reference_of_a_header_is_kept_by_lane_and_incident(self, store: Store) -> None:
        await tell(store, told("h1", "i-1", kind="header"), told("t1", "i-1"))
        for reference in ("ref-1", "not a header's"):
            ((handle, _, _),) = await store.outbox(10)
            await store.sent(handle, reference)
        assert await store.reference("chat", "i-1") == "ref-1"
        assert await store.reference("pager", "i-1") is None
        assert await store.reference("chat", "i-2") is None

    async def test_a_failed_row_holds_its_lane_until_it_may_be_tried_again(self, store: Store, clock: Clock) -> None:
        await tell(store, told("a1", "i-1"), told("a2", "i-1"), told("b1", "i-1", lane="pager"))
        await store.unsent((await store.outbox(10))[0][0], "rate limited", NOW + 30)
        assert await waiting(store) == ["b1"]
        clock.time += 30
        heads = await store.outbox(10)
        assert [(row.key, attempts) for _, row, attempts in heads] == [("a1", 1), ("b1", 0)]

    async def test_a_row_that_is_given_up_is_a_dead_letter_and_the_lane_goes_on(self, store: Store) -> None:
        await tell(store, told("a1", "i-1"), told("a2", "i-1"))
        await store.unsent((await store.outbox(10))[0][0], "no such channel", None)
        assert await waiting(store) == ["a2"]
        (letter,) = (await store.letters(dead=True)).items
        assert (letter.row.key, letter.attempts, letter.error) == ("a1", 1, "no such channel")
        assert (await store.counts())["outbox"] == {"waiting": 1, "dead": 1}

    async def test_a_header_that_changed_is_not_given_up_with_its_old_content(self, store: Store) -> None:
        await tell(store, told("h1", "i-1", kind="header"))
        ((on_its_way, _, _),) = await store.outbox(10)
        await tell(store, told("h2", "i-1", kind="header"))
        await store.unsent(on_its_way, "too long", None)
        assert await waiting(store) == ["h2"]

    async def test_a_dead_letter_that_is_sent_again_waits_in_its_old_place(self, store: Store) -> None:
        await tell(store, told("a1", "i-1"), told("a2", "i-1"))
        await store.unsent((await store.outbox(10))[0][0], "no such channel", None)
        (letter,) = (await store.letters(dead=True)).items
        assert await store.resend(letter.id)
        assert not await store.resend(letter.id)
        assert not await store.resend("x")
        assert not (await store.letters(dead=True)).items
        assert await waiting(store) == ["a1"]
        assert [one.row.key for one in (await store.letters(dead=False)).items] == ["a2", "a1"]

    async def test_a_dead_header_is_not_sent_over_a_newer_one(self, store: Store) -> None:
        await tell(store, told("h1", "i-1", kind="header"))
        await store.unsent((await store.outbox(10))[0][0], "bad blocks", None)
        await tell(store, told("h2", "i-1", kind="header"))
        (letter,) = (await store.letters(dead=True)).items
        assert await store.resend(letter.id)
        assert [row.key for _, row, _ in await store.lane_rows("chat", "i-1", 10, header=True)] == ["h2"]
        assert not (await store.letters(dead=True)).items

    async def test_letters_come_by_the_page_newest_first(self, store: Store) -> None:
        await tell(store, *(told(f"a{number}", "i-1") for number in range(5)))
        page = await store.letters(dead=False, limit=2)
        assert [one.row.key for one in page.items] == ["a4", "a3"]
        page = await store.letters(dead=False, limit=3, after=page.next)
        assert [one.row.key for one in page.items] == ["a2", "a1", "a0"]
        assert page.next is None

    async def test_a_lane_shows_by_incident_what_waits_the_worst_first(self, store: Store) -> None:
        one = await opened(store, "api", "a")
        await tell(
            store,
            told("n1", "i-none"),
            told("n2", "i-none", kind="approval"),
            told("h1", one.id, kind="header"),
            told("t1", one.id),
            told("p1", one.id, lane="pager"),
        )
        await store.unsent((await store.lane_rows("chat", "i-none", 1))[0][0], "down", NOW + 1000)
        first, second = await store.lane("chat", 10)
        assert (first.incident, first.severity, first.state) == (one.id, "P1", "triage")
        assert (first.header, first.entries, first.asks, first.reference) == (True, 1, False, None)
        assert (second.incident, second.severity, second.header, second.entries, second.asks) == (
            "i-none", "", False, 2, True,
        )  # fmt: skip
        assert [one.incident for one in await store.lane("chat", 1)] == [one.id]
        assert [row.key for _, row, _ in await store.lane_rows("chat", one.id, 10)] == ["t1"]
        assert [row.key for _, row, _ in await store.lane_rows("chat", one.id, 10, header=True)] == ["h1"]
        rows = await store.lane_rows("chat", "i-none", 10)
        assert [(row.key, attempts) for _, row, attempts in rows] == [("n1", 1), ("n2", 0)]

    async def test_a_reference_can_be_replaced_and_forgotten(self, store: Store) -> None:
        await tell(store, told("h1", "i-1", kind="header"))
        await store.refer("chat", "i-1", "ref-1")
        await store.refer("chat", "i-1", "ref-2")
        assert await store.reference("chat", "i-1") == "ref-2"
        assert (await store.lane("chat", 10))[0].reference == "ref-2"
        await store.refer("chat", "i-1", None)
        assert await store.reference("chat", "i-1") is None

    # --- the rest ---------------------------------------------------------------------------------------------------

    async def test_named_values_are_kept(self, store: Store) -> None:
        assert await store.get("kill") is None
        await store.put("kill", {"everything": True, "by": "ann"})
        await store.put("known_good/api", ["sha256:1"])
        await store.put("kill", {"everything": False})
        assert await store.get("kill") == {"everything": False}
        assert await store.get("known_good/api") == ["sha256:1"]

    async def test_counts_tell_what_there_is(self, store: Store) -> None:
        await opened(store, "api", "a")
        two = await opened(store, "web", "b")
        await recorded(store, two.id, closed())
        await store.submit(Unit(lambda _: Changes(counters={"x": 2})))
        await store.submit(Unit(lambda _: Changes(counters={"x": 3, "y": 1})))
        counts = await store.counts()
        assert counts["incidents"] == {("triage", "P1"): 1, ("closed", "P1"): 1}
        assert counts["alerts"] == {"firing": 2, "resolved": 0}
        assert counts["wakes"] == 1
        assert counts["counters"] == {"x": 5, "y": 1}
        assert counts["waiting_units"] == 0

    async def test_incidents_that_people_are_called_about_are_counted_in_every_state(self, store: Store) -> None:
        assert (await store.counts())["paged"] == 0
        given_up = await opened(store, "api", "a")
        await recorded(store, given_up.id, ev.Escalated("the ladder is at its end", page_at=NOW + 900))
        in_doubt = await opened(store, "web", "b")
        started = ev.StepStarted("restart", "a-1", "restart", "step", "restart web")
        await recorded(store, in_doubt.id, started)
        await recorded(store, in_doubt.id, ev.Escalated("what became of it can't be told", page_at=NOW + 900))
        quiet = await opened(store, "db", "c")
        await recorded(store, quiet.id, ev.Escalated("observing", page=False))
        assert (await store.counts())["paged"] == 2
        await recorded(store, given_up.id, closed())
        assert (await store.counts())["paged"] == 1

    async def test_pruning_leaves_what_is_needed(self, store: Store) -> None:
        incident = await opened(store)
        await store.submit(webhook([alert("u", None)], NOW))
        await store.prune(NOW + 10 * 365 * 86_400)
        assert await store.incident(incident.id) == incident
        assert len(await store.events(incident.id)) == 2
        assert (await store.firing()).keys() == {"00000000000000aa", "u"}
        assert len((await store.unmatched()).items) == 1

    async def test_a_cancelled_caller_does_not_undo_its_unit(self, store: Store) -> None:
        task = asyncio.ensure_future(store.submit(webhook([alert("a")], NOW)))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await store.submit(Unit(lambda _: Changes()))
        assert list(await store.firing()) == ["a"]
