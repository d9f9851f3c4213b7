"""Prometheus, asked over its HTTP API: queries, and whether an alert fires in Prometheus itself.

Queries are evaluated at Prometheus' own now unless a time is given, so that clocks that differ move no window. A
sample's `at` is that time of evaluation; how old the data behind it is, `receiver.verifier` asks for apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from receiver.asking import Asker, Fields, Unanswered
from receiver.core.template import promql_text
from receiver.ports import Clock, MetricsUnavailable, Sample, Series

TIMEOUT = 10.0
"""Seconds that an answer may take, body included."""

MAX_BODY = 8 * 1024 * 1024
"""Bytes of an answer that are read."""

MAX_SAMPLES = 1000
"""Samples of an answer; an expression with more was not aggregated."""

MAX_SERIES = 100
"""Series of a range query's answer; no chart shows more than a few of them."""

MAX_POINTS = 500
"""Points of each of them that may be asked for."""

MAX_RANGE_BODY = 4 * 1024 * 1024
"""Bytes of a range query's answer that are read."""

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_OWN_LABELS = frozenset({"__name__", "alertname", "alertstate"})


class _Series(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Line(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct):
    resultType: str  # noqa: N815 - Prometheus' own name
    result: Any


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""
    errorType: str = ""  # noqa: N815 - Prometheus' own name


class _Config(msgspec.Struct):
    yaml: str


class _ConfigAnswer(msgspec.Struct):
    data: _Config


class Prometheus:
    """A `receiver.ports.MetricsSource` over HTTP.

    Args:
        url: of the server, with the path prefix if it has one.
        client: for the requests, with its authentication and TLS.
        clock: for the waits between tries.
        external_labels: names of the labels that Prometheus adds to what it sends away (the settings' own); when
            none are given they are read once from the server's configuration, where it shows that.
    """

    def __init__(
        self, url: str, client: httpx.AsyncClient, clock: Clock, external_labels: Sequence[str] | None = None
    ) -> None:
        self._asker = Asker("Prometheus", url, client, clock, TIMEOUT, MAX_BODY, long_as_form=True)
        self._ranges = Asker("Prometheus", url, client, clock, TIMEOUT, MAX_RANGE_BODY, long_as_form=True)
        self._external = frozenset(external_labels) if external_labels is not None else None

    async def query(self, expr: str, at: float | None = None) -> Sequence[Sample]:
        """Run an instant query.

        Args:
            expr: of type instant vector or scalar.
            at: UNIX seconds of the evaluation; None: Prometheus' own now.

        Raises:
            MetricsUnavailable: no answer, an error, an answer that is too large or of another type.
        """
        fields = {"query": expr} | ({"time": f"{at:.3f}"} if at is not None else {})
        body = await self._ask("/api/v1/query", fields)
        try:
            return _samples(msgspec.json.decode(body, type=_Answer))
        except (msgspec.DecodeError, ValueError) as error:
            raise MetricsUnavailable(f"{self._asker.name} gave an answer that can't be read: {error}") from error

    async def query_range(self, expr: str, start: float, end: float, step: float) -> Sequence[Series]:
        """Run a range query.

        Args:
            expr: of type instant vector or scalar.
            start, end: UNIX seconds.
            step: seconds between two points.

        Raises:
            MetricsUnavailable: no answer, an error, an answer that is too large.
            ValueError: more points are asked for than may be.
        """
        if not 0 < (end - start) / step <= MAX_POINTS:
            raise ValueError(f"{(end - start) / step:.0f} points (from 1 to {MAX_POINTS})")
        fields = {
            "query": expr, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}",
            "timeout": f"{TIMEOUT:.0f}s", "limit": str(MAX_SERIES + 1),
        }  # fmt: skip
        body = await self._ask("/api/v1/query_range", fields, self._ranges)
        try:
            return _lines(msgspec.json.decode(body, type=_Answer))
        except (msgspec.DecodeError, ValueError) as error:
            raise MetricsUnavailable(f"{self._asker.name} gave an answer that can't be read: {error}") from error

    async def firing(self, alertname: str, labels: Mapping[str, str]) -> bool | None:
        """Whether the alert fires in Prometheus itself, by `ALERTS`; labels that it doesn't have there don't count.

        Args:
            alertname: None can be told without one.
            labels: the alert's, external ones included.

        Raises:
            MetricsUnavailable: it can't be asked.
        """
        if not alertname:
            return None
        external = self._external if self._external is not None else frozenset()
        if await self.query(_alerts(alertname, labels, external)):
            return True
        if self._external is None:
            self._external = external = await self._configured_labels()
            if external & labels.keys():
                return bool(await self.query(_alerts(alertname, labels, external)))
        return False

    async def _configured_labels(self) -> frozenset[str]:
        """Read `global.external_labels` from the configuration; none where it isn't shown (look-alikes)."""
        try:
            body = await self._ask("/api/v1/status/config", {})
            config = YAML(typ="safe").load(msgspec.json.decode(body, type=_ConfigAnswer).data.yaml)
        except (MetricsUnavailable, msgspec.DecodeError, YAMLError):
            return frozenset()
        section = config.get("global") if isinstance(config, dict) else None
        found = section.get("external_labels") if isinstance(section, dict) else None
        return frozenset(str(name) for name in found) if isinstance(found, dict) else frozenset()

    async def _ask(self, path: str, fields: Fields, asker: Asker | None = None) -> bytes:
        try:
            code, body = await (asker or self._asker).ask(path, fields)
        except Unanswered as error:
            raise MetricsUnavailable(str(error)) from error
        if code == 200:
            return body
        try:
            said = msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError:
            raise MetricsUnavailable(f"{self._asker.name} answers {code}") from None
        raise MetricsUnavailable(f"Prometheus refuses the query ({said.errorType or code}): {said.error[:300]}")


def _samples(answer: _Answer) -> tuple[Sample, ...]:
    if answer.status != "success" or answer.data is None:
        raise ValueError(answer.error or f"status {answer.status!r}")
    kind, result = answer.data.resultType, answer.data.result
    if kind == "scalar":
        at, value = msgspec.convert(result, type=tuple[float, str])
        return (Sample({}, float(value), at),)
    if kind != "vector":
        raise MetricsUnavailable(f"the expression gives a {kind}; a single value or one a series is needed")
    series = msgspec.convert(result, type=list[_Series])
    if len(series) > MAX_SAMPLES:
        raise MetricsUnavailable(f"the expression gives {len(series)} series (at most {MAX_SAMPLES}): aggregate it")
    return tuple(Sample(one.metric, float(one.value[1]), one.value[0]) for one in series)


def _lines(answer: _Answer) -> tuple[Series, ...]:
    if answer.status != "success" or answer.data is None:
        raise ValueError(answer.error or f"status {answer.status!r}")
    lines = msgspec.convert(answer.data.result, type=list[_Line])
    if len(lines) > MAX_SERIES:
        raise MetricsUnavailable(f"the expression gives more than {MAX_SERIES} series: aggregate it")
    return tuple(Series(one.metric, [(at, float(value)) for at, value in one.values]) for one in lines)


def _alerts(alertname: str, labels: Mapping[str, str], external: frozenset[str]) -> str:
    """Return the selector of the alert's own series; names that PromQL can't write in the classic way are left out."""
    kept = {
        name: value
        for name, value in sorted(labels.items())
        if name not in external and name not in _OWN_LABELS and _LABEL_NAME.fullmatch(name)
    }
    wanted = {"alertname": alertname, "alertstate": "firing"} | kept
    return "ALERTS{" + ",".join(f'{name}="{promql_text(value)}"' for name, value in wanted.items()) + "}"
