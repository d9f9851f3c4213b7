"""The composition root: `build` joins the parts in one straight line; `receiver.serving` runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from receiver.acting import Actor
from receiver.alertmanager import AlertmanagerApi
from receiver.approvers import Approvers
from receiver.chat.console import ConsoleChat
from receiver.chat.escalation import EscalationSender, MetricPath, WebhookPath
from receiver.chat.outbox import ChatSender, Outbox, Sender
from receiver.chat.pagerduty import PagerDutyPath
from receiver.chat.slack.charts import CHARTS
from receiver.chat.slack.incoming import Incoming, slack_groups, slack_incoming, socket_mode
from receiver.chat.slack.joining import chart_lane, notice_senders, slack_lane
from receiver.chat.slack.lane import LANE as SLACK
from receiver.clock import SystemClock
from receiver.control import KillSwitch
from receiver.core.playbook import Policy
from receiver.core.redaction import Secrets
from receiver.core.telling import PAGERDUTY
from receiver.counting import count
from receiver.engine import Engine
from receiver.executor import Executor
from receiver.ids import RandomIds
from receiver.jobs.embedded import EmbeddedJobs
from receiver.judging import Judge
from receiver.known_good import KnownGoodWatch
from receiver.looking import Looker
from receiver.metrics import Metrics
from receiver.operations import Operations
from receiver.policies import Policies
from receiver.ports import Changes, Clock, StoreUnavailable
from receiver.prometheus import Prometheus
from receiver.resyncing import Resyncer, Silences
from receiver.runtimes import Runtimes
from receiver.settings import Settings
from receiver.simulating import Simulator
from receiver.store.retention import Keep
from receiver.store.space import Room, Space
from receiver.store.sqlite import SqliteStore
from receiver.targets import Targets
from receiver.verifier import Verifier
from receiver.watching import UP, PartsWatch
from receiver.web.feed import Feed
from receiver.web.health import Health
from receiver.web.oidc.joining import oidc_sign_in
from receiver.web.ports import Parts
from receiver.web.site import Site
from remediations.protocol import KnownGood
from remediations.registry import load_actions

CONSOLE = "console"
ESCALATION = "escalation:people"

PRUNE_EVERY = 300.0
"""Seconds between two rounds of retention."""

COUNT_EVERY = 5.0
"""Seconds between two looks at the store's figures for the metrics."""

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """Everything, joined. `background` runs beside the server until it stops."""

    settings: Settings
    store: SqliteStore
    jobs: EmbeddedJobs
    outbox: Outbox
    executor: Executor
    policies: Policies
    runtimes: Runtimes
    http: httpx.AsyncClient
    health: Health
    feed: Feed
    site: Site
    resyncer: Resyncer | None
    slack: Incoming | None
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]]


async def build(settings: Settings, environment: Mapping[str, str]) -> Service:
    """Join the parts.

    Raises:
        PolicyError: the policy or the people's file has mistakes.
        StoreLocked, StoreUnusable: the database can't be had.
    """
    clock = SystemClock()
    metrics = Metrics()
    health = Health()
    actions = load_actions()
    for broken in actions.broken:
        _log.error("an installed action can't be used", reason=str(broken))
    policies = Policies(settings, actions.actions, environment, metrics, clock)
    policy = policies.load()
    store = _open(settings, clock)
    try:
        return await _join(settings, clock, metrics, health, policies, policy, store, actions.actions)
    except BaseException:
        await store.close()
        raise


async def _join(  # noqa: PLR0915 - one straight line, see tests/unit/house/test_size.py
    settings: Settings,
    clock: Clock,
    metrics: Metrics,
    health: Health,
    policies: Policies,
    policy: Policy,
    store: SqliteStore,
    actions: Mapping[str, Any],
) -> Service:
    http = httpx.AsyncClient(timeout=10.0, trust_env=False, limits=httpx.Limits(max_connections=64))
    kill = KillSwitch(store, clock, settings.kill_path)
    await kill.load()
    slack = slack_lane(
        settings, http, clock, store, metrics.sent, lambda state: noted("slack", state), policies.in_slack
    )
    prometheus = _prometheus(settings, http, clock)
    charts = chart_lane(settings, http, clock, store, prometheus, slack, metrics.sent)
    chats = (*((SLACK,) if slack is not None else ()), *((CHARTS,) if charts is not None else ()))
    notices = notice_senders(settings, clock, store, slack)
    pages = MetricPath(metrics.escalation_undelivered.set)
    senders = _senders(settings, http, clock, store, pages) | notices
    lanes = (*senders, *chats)
    engine = Engine(store, clock, RandomIds(), policy, mode=settings.mode, lanes=lanes)
    await engine.use(policy)
    policies.in_force = engine.use
    depends = [url for url in (settings.prometheus_url, settings.alertmanager_url) if url]
    state = settings.database_file.with_suffix(".processes")
    runtimes = Runtimes(lambda: engine.policy, state, clock, depends=depends)
    targets = Targets(store, clock, http, kill, runtimes.of)
    alertmanager = _alertmanager(settings, http, clock)
    looker = Looker(targets, Verifier(prometheus, http, clock), prometheus, actions)
    groups = slack_groups(settings, http, clock, lambda: policies.people)
    judge = Judge(engine, kill, Approvers(lambda: policies.people, groups))
    actor = Actor(engine, store, clock, targets, judge, actions)
    jobs = EmbeddedJobs(store, clock, settings.concurrency)
    feed = Feed(store, clock, metrics.stream_listeners.set)
    outbox = Outbox(store, clock, senders, metrics.sent, others=chats)
    operations = Operations(engine, kill, judge, jobs.nudge)
    resyncer: Resyncer | None = None
    silences: Silences | None = None
    if alertmanager is not None:
        resyncer = Resyncer(engine, store, clock, alertmanager, lambda how: metrics.resyncs.labels(how).inc())
        silences = Silences(store, alertmanager)
    watch = KnownGoodWatch(store, clock, lambda: engine.policy.services, runtimes.of, _told, _loser(metrics))

    def noted(part: str, state: str) -> None:
        health.part(part, state)
        metrics.part_up.labels(part).set(state == UP)

    outside = PartsWatch(clock, prometheus, alertmanager, lambda: engine.policy.services, runtimes.of, noted)

    def stored(changes: Changes) -> None:
        count(metrics, changes.events)
        pages.happened(changes.events)
        feed.stored(changes)
        for at in changes.wake.values():
            if at is not None:
                jobs.nudge(at)
        if changes.outbox:
            outbox.nudge()
            if slack is not None:
                slack.nudge()

    def observe() -> None:
        metrics.in_mode(settings.mode)
        metrics.killed(kill.state())

    engine.on_stored = stored
    simulate = Simulator(engine, clock, actor, looker.confirm).simulate
    incoming = slack_incoming(
        settings,
        http,
        clock,
        store,
        operations,
        simulate,
        lambda: policies.people,
        services=lambda: tuple(engine.policy.services),
        refused=metrics.slack_refused,
    )
    parts = Parts(
        settings=settings,
        engine=engine,
        operations=operations,
        simulate=simulate,
        store=store,
        clock=clock,
        metrics=metrics,
        health=health,
        feed=feed,
        people=lambda: policies.people,
        reload=policies.reload,
        resync=resyncer.ask if resyncer is not None else lambda: None,
        observe=observe,
        services=lambda: tuple(engine.policy.services),
        slack=incoming,
        oidc=oidc_sign_in(settings, http, clock),
    )
    return Service(
        settings=settings,
        store=store,
        jobs=jobs,
        outbox=outbox,
        executor=Executor(
            engine,
            clock,
            actor,
            looker,
            silenced=silences.of if silences is not None else None,
            failed=metrics.work_failures.inc,
        ),
        policies=policies,
        runtimes=runtimes,
        http=http,
        health=health,
        feed=feed,
        site=Site(parts),
        resyncer=resyncer,
        slack=incoming,
        background=(
            *((resyncer.run,) if resyncer is not None else ()),
            *((slack.run,) if slack is not None else ()),
            *((groups.run,) if groups is not None else ()),
            *socket_mode(settings, http, clock, incoming, lambda state: noted("slack_socket", state)),
            feed.run,
            *((charts.run,) if charts is not None else ()),
            watch.run,
            outside.run,
            lambda: _every(clock, PRUNE_EVERY, lambda: _prune(store, clock)),
            lambda: _every(clock, COUNT_EVERY, lambda: _count(store, metrics, health)),
        ),
    )


def _open(settings: Settings, clock: Clock) -> SqliteStore:
    def low(space: Space) -> None:
        _log.warning("disk space is getting low", free_bytes=space.disk_free, used_bytes=space.used)

    return SqliteStore.open(
        settings.database_file,
        clock,
        room=Room(most=settings.size_cap, low_disk=settings.low_disk),
        keep=Keep(bodies=settings.retention_bodies),
        on_low_disk=low,
    )


def _prometheus(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> Prometheus | None:
    if settings.prometheus_url is None:
        _log.warning("no Prometheus is configured: no symptom can be verified, and no alert confirmed")
        return None
    return Prometheus(settings.prometheus_url, http, clock, settings.external_labels or None)


def _alertmanager(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> AlertmanagerApi | None:
    if settings.alertmanager_url is None:
        _log.warning("no Alertmanager is configured: what fired or resolved while this service was down is unknown")
        return None
    return AlertmanagerApi(settings.alertmanager_url, http, clock, settings.alertmanager_receiver)


def _senders(
    settings: Settings, http: httpx.AsyncClient, clock: Clock, store: SqliteStore, metric: MetricPath
) -> dict[str, Sender]:
    secrets = Secrets(settings.secrets)
    paths: list[Any] = [metric]
    if settings.escalation_url is not None:
        secret, base = settings.escalation_secret.encode(), settings.base_url
        paths.insert(0, WebhookPath(settings.escalation_url, secret, http, clock, base_url=base, secrets=secrets))
    found: dict[str, Sender] = {
        CONSOLE: ChatSender(CONSOLE, ConsoleChat(sys.stdout), store, secrets),
        ESCALATION: EscalationSender(paths),
    }
    if settings.pagerduty_key:
        url, key, base = settings.pagerduty_url, settings.pagerduty_key, settings.base_url
        pagerduty = PagerDutyPath(url, key, http, base_url=base, secrets=secrets)
        found[PAGERDUTY] = EscalationSender([pagerduty, metric])
    return found


def _told(service: str, text: str) -> None:
    _log.info("known-good watch", service=service, text=text)


def _loser(metrics: Metrics) -> Callable[[str, Sequence[KnownGood]], None]:
    """Return what shows and logs the known-good versions of a service that are gone."""

    def lost(service: str, versions: Sequence[KnownGood]) -> None:
        metrics.known_good_missing.labels(service).set(len(versions))
        if versions:
            names = ", ".join(f"{one.image} ({one.image_id[:19]})" for one in versions)
            _log.warning("known-good versions are gone from their engine", service=service, versions=names)

    return lost


async def _every(clock: Clock, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await work()
        except StoreUnavailable as error:
            _log.warning("the store could not be asked", reason=str(error))
        await clock.sleep(seconds)


async def _prune(store: SqliteStore, clock: Clock) -> None:
    gone = await store.prune(clock.now())
    if any(gone.values()):
        _log.info("retention", **{kind: number for kind, number in gone.items() if number})


async def _count(store: SqliteStore, metrics: Metrics, health: Health) -> None:
    try:
        counts = await store.counts()
    except StoreUnavailable as error:
        metrics.store_up.set(0)
        health.store(str(error))
        raise
    metrics.counted(counts)
    health.store(counts["full"])
