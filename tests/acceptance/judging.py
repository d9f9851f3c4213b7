"""What must be true of one incident, whatever happened meanwhile: the engine's word against the timeline."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.acceptance.engine_events import Event
from tests.acceptance.fleet import FLEET
from tests.acceptance.soaking import ENDED, ENDS

CLOSE = 3.0
"""Seconds by which a container's start and the event that tells of it may differ."""


@dataclass(frozen=True, slots=True)
class Story:
    """One incident.

    Args:
        service: of the fleet.
        incident, timeline: as the API shows them at the end.
        before, after: the service's containers, broken and at the end.
        events: what the engine says was done to the service's containers in between.
    """

    service: str
    incident: dict[str, Any]
    timeline: list[dict[str, Any]]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    events: list[Event]

    @property
    def state(self) -> str:
        """The incident's state."""
        return str(self.incident["state"])

    @property
    def names_before(self) -> list[str]:
        """The names of the containers that were there before."""
        return [name_of(facts) for facts in self.before]

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Return the data of the timeline's entries of a kind."""
        return [one["data"] for one in self.timeline if one["kind"] == kind]

    def count(self, action: str, container: str) -> int:
        """Return how often the engine did this to a container."""
        return sum((one.action, one.container) == (action, container) for one in self.events)

    def done(self) -> dict[str, Counter[str]]:
        """Return what was done to each container, by its ID."""
        found: dict[str, Counter[str]] = {}
        for one in self.events:
            found.setdefault(one.container, Counter())[one.action] += 1
        return found

    def __str__(self) -> str:
        told = [f"{one['at']} {one['text']}" for one in self.timeline]
        seen = [f"{stamp(one.at)} {one.action} {one.name} ({one.container[:6]})" for one in self.events]
        return "\n".join([f"{self.service}: {self.state}", *sorted(told + seen)])


def held(story: Story) -> None:
    """Hold what must be true; a failure tells the timeline and the engine's events in one row."""
    try:
        _told(story)
        _by_trouble(story)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{story}") from error


def _told(story: Story) -> None:
    """Hold that the timeline is whole: every intent with one outcome, and nothing done outside of an intent."""
    assert story.state in ENDED
    sequence = [entry["seq"] for entry in story.timeline]
    assert all(earlier < later for earlier, later in itertools.pairwise(sequence)), f"out of order: {sequence}"
    begun = Counter(one["action_id"] for one in story.entries("step_started"))
    ended = Counter(one["action_id"] for kind in ENDS for one in story.entries(kind))
    assert begun == ended == Counter(dict.fromkeys(begun, 1)), f"begun {begun}, ended {ended}"
    assert len(_steps(story)) == 1, "the only step of its playbook, once"
    first = min(entry["at"] for entry in story.timeline if entry["kind"] == "step_started")
    early = [one for one in story.events if stamp(one.at) < first]
    assert not early, f"done before the intent was stored at {first}: {early}"
    if story.state == "resolved":
        assert story.incident["firing"] == 0
        late = [one for one in story.events if stamp(one.at) > story.incident["resolved_at"]]
        assert not late, f"done after the end at {story.incident['resolved_at']}: {late}"


def _by_trouble(story: Story) -> None:
    match FLEET[story.service].trouble:
        case "stopped" | "hung":
            _restarted_once(story)
        case "busy":
            _scaled_once_and_back(story)
        case "bad release":
            _rolled_back_once(story)
        case _:
            _tried_once_and_taken_back(story)


def _restarted_once(story: Story) -> None:
    (step,) = _steps(story)
    after = {facts["Id"]: facts for facts in story.after}
    assert after.keys() == {facts["Id"] for facts in story.before}, "a restart keeps its containers"
    assert story.done().keys() <= after.keys(), "another container was touched"
    for before in story.before:
        now = after[before["Id"]]
        starts = story.count("start", before["Id"])
        planned = name_of(before) in step["plan"]["data"]["order"]
        assert starts <= int(planned), f"{name_of(before)} was started {starts} times"
        assert starts == int(planned) or not _succeeded(story, step), f"{name_of(before)} was not started"
        assert story.count("die", before["Id"]) == int(planned and before["State"]["Running"]), "it died of what?"
        _same_start(story, before, now, starts)
        assert now["Created"] == before["Created"]


def _same_start(story: Story, before: dict[str, Any], now: dict[str, Any], starts: int) -> None:
    """Hold that the container's own time of start agrees with the events."""
    began = now["State"]["StartedAt"]
    assert (began != before["State"]["StartedAt"]) == (starts > 0), f"{starts} starts, and it says {began}"
    if starts:
        (told,) = (one.at for one in story.events if (one.action, one.container) == ("start", now["Id"]))
        assert abs(told - moment(began)) < CLOSE, f"started at {began}, told at {stamp(told)}"


def _scaled_once_and_back(story: Story) -> None:
    (step,) = _steps(story)
    wanted = sorted((name, step["action_id"]) for name in step["plan"]["data"]["names"])
    made = sorted((one.name, one.stamp) for one in story.events if one.action == "create")
    assert made == wanted or (not _succeeded(story, step) and set(made) <= set(wanted)), f"{made} for {wanted}"
    assert len(made) == len(set(made)), f"made twice: {made}"
    for clone in {one.container for one in story.events if one.action == "create"}:
        done = story.done()[clone]
        assert done["start"] == 1 or not _succeeded(story, step), f"started {done['start']} times"
        assert (done["start"] <= 1, done["destroy"]) == (True, int(story.state == "resolved")), done
        assert (done["rename"], done["die"] <= 1) == (0, True), done
    untouched = {facts["Id"]: (facts["Created"], facts["State"]["StartedAt"]) for facts in story.before}
    assert not story.done().keys() & untouched.keys(), "the original was touched"
    if story.state == "resolved":
        assert {one["Id"]: (one["Created"], one["State"]["StartedAt"]) for one in story.after} == untouched


def _rolled_back_once(story: Story) -> None:
    (step,) = _steps(story)
    after = {name_of(facts): facts for facts in story.after}
    assert sorted(after) == story.names_before, "exactly one container in each place"
    made = Counter(one.name for one in story.events if one.action == "create")
    assert set(made) <= set(step["plan"]["data"]["order"]), made
    assert set(made.values()) <= {1}, f"made twice: {made}"
    good = _succeeded(story, step)
    for before in story.before:
        now = after[name_of(before)]
        policy = before["HostConfig"]["RestartPolicy"]
        assert now["HostConfig"]["RestartPolicy"] == policy, f"{now['HostConfig']['RestartPolicy']} for {policy}"
        assert now["State"]["Running"], "it doesn't run"
        if good:
            _replaced(story, step, before, now)


def _replaced(story: Story, step: dict[str, Any], before: dict[str, Any], now: dict[str, Any]) -> None:
    old, new = story.done()[before["Id"]], story.done()[now["Id"]]
    assert now["Image"] == step["plan"]["data"]["version"]["image_id"] != before["Image"]
    assert step["action_id"] in now["Config"]["Labels"].values(), "it isn't stamped"
    assert (old["rename"], old["die"], old["start"], old["destroy"]) == (1, 1, 0, 1), old
    assert (new["create"], new["start"], new["die"], new["rename"], new["destroy"]) == (1, 1, 0, 0, 0), new
    assert now["Created"] > before["Created"]
    _same_start(story, {"State": {"StartedAt": None}}, now, new["start"])


def _tried_once_and_taken_back(story: Story) -> None:
    (step,) = _steps(story)
    (ended,) = story.entries("step_finished")
    assert (story.state, ended["ok"], ended["restored"]) == ("escalated", False, True)
    after = {facts["Id"]: facts for facts in story.after}
    made = sorted(one.name for one in story.events if one.action == "create")
    assert made == sorted(step["plan"]["data"]["order"]), f"tried: {made}"
    for tried in {one.container for one in story.events if one.action == "create"}:
        done = story.done()[tried]
        assert (done["start"], done["die"], done["destroy"]) == (1, 1, 1), done
    for before in story.before:
        now, done = after.pop(before["Id"]), story.done()[before["Id"]]
        assert (done["rename"], done["die"], done["start"], done["destroy"]) == (2, 1, 1, 0), done
        assert (name_of(now), now["Created"], now["State"]["Running"]) == (name_of(before), before["Created"], True)
        assert now["HostConfig"]["RestartPolicy"] == before["HostConfig"]["RestartPolicy"]
        _same_start(story, before, now, 1)
    assert not after, f"left over: {after.keys()}"


def _steps(story: Story) -> list[dict[str, Any]]:
    """Return the steps that were begun; one that was withdrawn is decided anew, so nothing may be done for it."""
    withdrawn = {one["action_id"] for one in story.entries("step_withdrawn")}
    begun = [one for one in story.entries("step_started") if one["kind"] == "step"]
    return [one for one in begun if one["action_id"] not in withdrawn]


def _succeeded(story: Story, step: dict[str, Any]) -> bool:
    (ended,) = (one for one in story.entries("step_finished") if one["action_id"] == step["action_id"])
    return bool(ended["ok"])


def name_of(facts: dict[str, Any]) -> str:
    """Return a container's name."""
    return str(facts["Name"]).lstrip("/")


def moment(text: str) -> float:
    """Return the engine's time as UNIX seconds."""
    return datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00").timestamp()


def stamp(seconds: float) -> str:
    """Return UNIX seconds as the API writes them."""
    whole = datetime.fromtimestamp(seconds, tz=UTC)
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")
