"""What makes a version known good."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from receiver.core.playbook import Service
from receiver.known_good import CHECK_EVERY, KnownGoodWatch, Record, interval, looked, ripe
from receiver.store.memory import MemoryStore
from remediations.protocol import ActionRefused, Health, Instance, KnownGood, Target
from remediations.runtimes.memory import MemoryRuntime
from tests.simulation.world import FakeClock

GAP = 40.0


def instance(image_id: str = "sha256:a", *, health: Health = Health.HEALTHY, running: bool = True) -> Instance:
    """Return an instance that was created at 100."""
    return Instance("c", "api-1", running, health, image_id, "api:1", 110.0, 100.0)


def watch(record: Record, *looks: tuple[float, Instance], quiet: bool = True) -> Record:
    """Look several times."""
    for now, seen in looks:
        record = looked(record, [seen], now, quiet=quiet, gap=GAP)
    return record


def test_healthy_for_long_enough_is_known_good_and_healthy_for_a_moment_is_not() -> None:
    record = watch(Record(), *((200.0 + n * 30, instance()) for n in range(12)))
    assert not ripe(record, 1800.0, 530.0)
    assert ripe(record, 300.0, 530.0)


def test_the_change_of_an_image_is_dated_by_the_creation_of_its_container() -> None:
    assert watch(Record(), (200.0, instance())).changed_at == 100.0


def test_one_unhealthy_look_starts_the_time_anew() -> None:
    record = watch(Record(), (200.0, instance()), (230.0, instance(health=Health.UNHEALTHY)), (260.0, instance()))
    assert record.good_since == 260.0


def test_an_open_incident_starts_the_time_anew() -> None:
    record = watch(Record(), (200.0, instance()))
    assert watch(record, (230.0, instance()), quiet=False).good_since is None


def test_another_image_starts_the_time_anew() -> None:
    record = watch(Record(), (200.0, instance()), (230.0, instance("sha256:b")))
    assert record.image_id == "sha256:b"
    assert not ripe(record, 20.0, 240.0)


def test_two_images_at_once_are_no_version() -> None:
    record = looked(Record(), [instance(), instance("sha256:b")], 200.0, quiet=True, gap=GAP)
    assert record.good_since is None


def test_health_that_nobody_saw_does_not_count() -> None:
    record = watch(Record(), (200.0, instance()), (900.0, instance()))
    assert record.good_since == 900.0


def test_what_is_the_newest_known_good_already_is_not_kept_again() -> None:
    record = watch(Record(versions=(KnownGood("sha256:a", "api:1", 1.0),)), (200.0, instance()), (230.0, instance()))
    assert not ripe(record, 10.0, 260.0)


@pytest.mark.anyio
async def test_what_is_wrong_is_told_once_and_again_after_it_was_right() -> None:
    clock, told = FakeClock(), list[str]()
    runtime = MemoryRuntime(clock.now, clock.sleep)
    rounds = iter(range(6))

    class Enough(Exception):
        """The test has seen enough."""

    async def sleep(seconds: float) -> None:
        match next(rounds, None):
            case 2:
                runtime.create("api", "api-1", "a")
            case 3:
                runtime.services["api"].instances.clear()
            case None:
                raise Enough
        clock.time += seconds

    clock.sleep = sleep  # type: ignore[method-assign] # one sleep is one look
    service = Service("api", "local", "containers", {})
    watch = KnownGoodWatch(
        MemoryStore(clock), clock, lambda: {"api": service}, lambda _: runtime, lambda _, text: told.append(text)
    )
    with pytest.raises(Enough):
        await watch.run()
    assert len(told) == 2


@pytest.mark.anyio
async def test_a_round_that_takes_long_is_no_gap_in_what_was_seen(clock: FakeClock) -> None:
    services = {name: replace(SERVICE, name=name) for name in "abcdef"}
    told: list[str] = []
    end = clock.time + 1800.0

    class Slow(Pruned):
        async def instances(self, target: Target) -> tuple[Instance, ...]:
            """Take twenty seconds: a round of six lasts longer than four intervals."""
            await clock.sleep(20.0)
            if clock.time > end:
                raise TimeoutError
            return await super().instances(target)

    slow = Slow(clock)
    for name in services:
        slow.create(name, f"{name}-1", "sha256:a")
    watch = KnownGoodWatch(
        MemoryStore(clock), clock, lambda: services, lambda _: slow, lambda service, _: told.append(service)
    )
    with pytest.raises(TimeoutError):
        await watch.run()
    assert sorted(told) == list("abcdef")


def test_many_services_are_looked_at_less_often_and_soon_good_ones_more_often() -> None:
    def services(number: int, good_after: float = 1800.0) -> list[Service]:
        return [Service(str(one), "local", "containers", {}, good_after=good_after) for one in range(number)]

    assert interval(services(0)) == 7.5
    assert interval(services(500)) == 30.0
    assert interval(services(4000)) == 200.0
    assert interval(services(20_000)) == 450.0
    assert interval(services(3, good_after=20.0)) == 5.0


class Pruned(MemoryRuntime):
    """Loses versions, and can't keep any, when it is told to."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock.now, clock.sleep)
        self.gone: set[str] = set()
        self.forbidden = False

    async def version_exists(self, version: KnownGood) -> bool:
        """Look whether somebody pruned it."""
        return version.image_id not in self.gone

    async def keep_version(self, target: Target, instance: Instance, now: float) -> KnownGood:
        """Keep it, unless a proxy forbids that."""
        if self.forbidden:
            raise ActionRefused("engine local refused (403)")
        return await super().keep_version(target, instance, now)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def runtime(clock: FakeClock) -> Pruned:
    made = Pruned(clock)
    made.create("api", "api-1", "sha256:a")
    return made


SERVICE = Service("api", "local", "containers", {}, good_after=60.0)


def watching(clock: FakeClock, runtime: Pruned, lost: list[list[str]]) -> KnownGoodWatch:
    return KnownGoodWatch(
        MemoryStore(clock), clock, lambda: {"api": SERVICE}, lambda _: runtime, lambda *_: None,
        lambda _, versions: lost.append([one.image_id for one in versions]),
    )  # fmt: skip


@pytest.mark.anyio
async def test_a_kept_version_that_is_gone_from_its_engine_is_told_once_and_again_when_it_is_back(
    clock: FakeClock, runtime: Pruned
) -> None:
    lost: list[list[str]] = []
    watch = watching(clock, runtime, lost)
    for _ in range(10):
        await clock.sleep(15.0)
        await watch.look(SERVICE, 15.0)
    assert lost == [[]]
    runtime.gone = {"sha256:a"}
    for _ in range(45):
        await clock.sleep(15.0)
        await watch.look(SERVICE, 15.0)
    assert lost == [[], ["sha256:a"]]
    runtime.gone = set()
    await clock.sleep(CHECK_EVERY)
    await watch.look(SERVICE, 15.0)
    assert lost == [[], ["sha256:a"], []]


@pytest.mark.anyio
async def test_what_can_not_be_kept_yet_has_not_lost_its_time_of_health(clock: FakeClock, runtime: Pruned) -> None:
    watch = watching(clock, runtime, [])
    runtime.forbidden = True
    for _ in range(10):
        await clock.sleep(15.0)
        with suppress(ActionRefused):
            await watch.look(SERVICE, 15.0)
    runtime.forbidden = False
    await clock.sleep(15.0)
    assert [one.image_id for one in (await watch.look(SERVICE, 15.0)).versions] == ["sha256:a"]
