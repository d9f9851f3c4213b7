"""Drives one incident through the pure machine: events in, what follows by itself after them, time at will."""

from __future__ import annotations

from receiver.core import events as ev
from receiver.core.alert import AlertStatus
from receiver.core.commands import Command
from receiver.core.fold import evolve, replay
from receiver.core.incident import Incident, Phase
from receiver.core.machine import due, next_event, step_named, wake
from receiver.core.playbook import ApprovalPolicy, OnFailure, Playbook, Step, Verification
from receiver.core.severity import Severity

VERIFY = Verification(initial_delay=1.0, interval=1.0, consecutive=2, consecutive_failures=2, timeout=20.0)


def step(name: str, *, undo: bool = False, cleanup_after: float | None = None, approvals: int = 0) -> Step:
    """Return a step whose action has its name."""
    return Step(
        name,
        name,
        verify=VERIFY,
        undo=undo,
        cleanup_after=cleanup_after,
        approval=ApprovalPolicy(approvals=approvals, expires=60.0, execute_before=30.0),
        on_failure=OnFailure.NEXT,
    )


def playbook(*steps: Step, name: str = "service-down", rank: int = 1) -> Playbook:
    """Return a playbook with short times."""
    return Playbook(
        name, f"v-{name}", rank, (), steps=steps, settle=1.0, hold=5.0, resolve_within=60.0, page_every=100.0
    )


class Life:
    """One incident, its log, and a clock."""

    def __init__(self, book: Playbook, *, mode: str = "act") -> None:
        self.now = 1000.0
        self.books = {book.version: book}
        self.log: list[ev.Recorded] = []
        self.incident: Incident
        opened = ev.Opened(
            target="api",
            playbook=book.name,
            version=book.version,
            rank=book.rank,
            severity=Severity.P2,
            mode=mode,
            reason="test",
            alert="ServiceDown",
            starts_at=self.now,
            settle_until=self.now + book.settle,
            give_up_at=self.now + 1000.0,
        )
        recorded = ev.Recorded("i-1", 1, self.now, opened)
        self.log.append(recorded)
        self.incident = evolve(None, recorded)
        self.alerts(started=1)

    @property
    def book(self) -> Playbook:
        """The playbook that leads."""
        return self.books[self.incident.version]

    def feed(self, event: ev.Event) -> None:
        """Store an event and what follows by itself."""
        following: ev.Event | None = event
        for _ in range(50):
            if following is None:
                return
            recorded = ev.Recorded(self.incident.id, self.incident.seq + 1, self.now, following)
            self.log.append(recorded)
            self.incident = evolve(self.incident, recorded)
            following = next_event(self.incident, self.book, self.now)
        raise AssertionError("it never comes to rest")

    def advance(self, seconds: float) -> None:
        """Let time pass, and what follows from that."""
        self.now += seconds
        if (following := next_event(self.incident, self.book, self.now)) is not None:
            self.feed(following)

    def alerts(self, *, started: int = 0, ended: int = 0, severity: Severity = Severity.P2) -> None:
        """Let alerts begin and cease to fire."""
        status = AlertStatus.FIRING if started else AlertStatus.RESOLVED
        book = self.book
        change = ev.AlertChange("f" * 16, status, 1, "ServiceDown", severity, book.name, book.version, book.rank)
        self.feed(ev.AlertsChanged((change,), started, ended))

    def higher(self, book: Playbook) -> None:
        """Let an alert fire whose playbook stands higher in the file."""
        self.books[book.version] = book
        change = ev.AlertChange(
            "e" * 16, AlertStatus.FIRING, 1, "Worse", Severity.P1, book.name, book.version, book.rank
        )
        self.feed(ev.AlertsChanged((change,), 1, 0))

    def diagnosed(self, *, confirmed: bool | None = True) -> None:
        """Answer the diagnosis, and let it settle."""
        self.feed(ev.Diagnosed(confirmed=confirmed))
        self.advance(1.5)

    def start(self, name: str, *, kind: str = "step", cause: str | None = None) -> str:
        """Store an intent; returns its action id."""
        action_id = f"a-{name}-{kind}-{self.incident.seq}"
        rung = step_named(self.book, name) or Step(name, name)
        self.feed(
            ev.StepStarted(
                name,
                action_id,
                name,
                kind,
                f"{kind} {name}",
                plan={"summary": name},
                cause=cause,
                undo=rung.undo,
                cleanup_after=rung.cleanup_after,
            )
        )
        return action_id

    def run(self, name: str, *, ok: bool = True, restored: bool = False) -> str:
        """Start a step and end it; returns its action id."""
        action_id = self.start(name)
        self.advance(2.0)
        self.feed(ev.StepFinished(action_id, ok=ok, text="done" if ok else "broke", restored=restored))
        return action_id

    def look(self, verdict: bool | None, times: int = 1) -> None:
        """Answer looks of the verification."""
        for _ in range(times):
            self.advance(1.0)
            if self.incident.check is None:
                return
            readings = ({"name": "up", "ok": verdict, "at": self.now},)
            self.feed(ev.Sampled(verdict, f"seen {verdict}", readings, next_at=self.now + 1.0))

    def due(self) -> Command | None:
        """Return what the world has to do now."""
        return due(self.incident, self.book, self.now)

    def check(self) -> None:
        """Hold the machine to its promises: a deadline for every open state, and replay equals the fold."""
        assert replay(self.log) == self.incident
        at = wake(self.incident, self.book, self.now)
        assert (at is None) == self.incident.phase.terminal
        if at is not None:
            assert at >= self.now

    def kinds(self) -> list[str]:
        """Return the names of the log's events."""
        return [type(one.event).__name__ for one in self.log]

    def phase(self) -> Phase:
        """Return where it stands, checked."""
        self.check()
        return self.incident.phase
