"""Checks of `engines` and `services`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from urllib.parse import urlsplit

from receiver.playbooks.problems import Problem
from receiver.playbooks.schema import EngineModel, ServiceModel
from receiver.playbooks.subject import Subject
from receiver.playbooks.wording import listed, suggest

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def lint_engines(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with TLS files and remote addresses."""
    for name, engine in subject.file.engines.items():
        yield from _tls(subject, name, engine)


def lint_services(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with services, each by itself and among each other."""
    for name, service in subject.file.services.items():
        yield from _runtime(subject, name, service)
        replicas = service.replicas
        if replicas is not None and replicas.min > replicas.max:
            loc = ("services", name, "replicas", "min" if subject.given("services", name, "replicas", "min") else "max")
            yield subject.error(loc, f"services.{name}.replicas: min {replicas.min} is more than max {replicas.max}")
    yield from _names(subject)
    yield from _selectors(subject)


def _tls(subject: Subject, name: str, engine: EngineModel) -> Iterator[Problem]:
    loc = ("engines", name)
    is_tcp = engine.url.startswith("tcp://")
    files = [field for field in ("ca", "cert", "key") if getattr(engine, field) is not None]
    if not is_tcp:
        for field in files:
            yield subject.error((*loc, field), f"engines.{name}.{field}: TLS is for tcp:// only; remove it", key=True)
        return
    for one, other in (("cert", "key"), ("key", "cert")):
        if subject.given(*loc, one) and not subject.given(*loc, other):
            yield subject.error((*loc, one), f"engines.{name}: `{one}` needs `{other}` beside it", key=True)
    has_tls = any(subject.given(*loc, field) for field in ("ca", "cert", "key"))
    if not has_tls and urlsplit(engine.url).hostname not in _LOOPBACK:
        text = f"engines.{name}: tcp:// without TLS makes everyone who reaches it root on that host; add ca, cert, key"
        yield subject.warning((*loc, "url"), text)


def _runtime(subject: Subject, name: str, service: ServiceModel) -> Iterator[Problem]:
    loc = ("services", name)
    is_process = service.runtime == "process"
    needs = ("command",) if is_process else ("engine", "selector")
    refuses = ("engine", "selector", "shared_mounts") if is_process else ("command", "options")
    for field in needs:
        if not subject.given(*loc, field):
            yield subject.error(
                loc, f"services.{name} lacks `{field}`, which runtime {service.runtime} needs", key=True
            )
    for field in refuses:
        if subject.given(*loc, field):
            text = f"services.{name}: runtime {service.runtime} has no `{field}`; remove it"
            yield subject.error((*loc, field), text, key=True)
    engines = set(subject.file.engines)
    if service.engine is not None and service.engine not in engines and not subject.given("engines", service.engine):
        hint = suggest(service.engine, engines) or (f"; known are {listed(sorted(engines))}" if engines else "")
        text = f"services.{name}: engine `{service.engine}` is not defined under `engines`{hint}"
        yield subject.error((*loc, "engine"), text)


def _names(subject: Subject) -> Iterator[Problem]:
    """A value of a target label must mean one service."""
    owners = {name: name for name in subject.file.services}
    for name, service in subject.file.services.items():
        for index, alias in enumerate(service.aliases):
            owner = owners.setdefault(alias, name)
            loc = ("services", name, "aliases", index)
            if owner != name:
                yield subject.error(loc, f"services.{name}: alias `{alias}` already means service `{owner}`")
            elif alias in service.aliases[:index] or alias == name:
                yield subject.error(loc, f"services.{name}: alias `{alias}` is here a second time")


def _selectors(subject: Subject) -> Iterator[Problem]:
    """No container may belong to two services: each would hold a lock of its own on it."""
    # By engine and pair: selectors that have none in common are never compared, as there may be thousands.
    known: defaultdict[tuple[str | None, tuple[str, str]], list[tuple[str, frozenset[tuple[str, str]]]]]
    known = defaultdict(list)
    for name, service in subject.file.services.items():
        if service.runtime != "containers" or not service.selector:
            continue
        pairs = frozenset(service.selector.items())
        for other, others in chain.from_iterable(known[service.engine, pair] for pair in sorted(pairs)):
            if pairs <= others or others <= pairs:
                text = f"services.{name}: its selector takes the same containers as that of `{other}`"
                yield subject.error(
                    ("services", name, "selector"), f"{text}; a container belongs to one service", key=True
                )
                break
        for pair in pairs:
            known[service.engine, pair].append((name, pairs))
