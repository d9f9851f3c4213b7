"""Call an HTTP endpoint: a deploy system, a feature switch. The address comes from the playbook alone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, Literal, Self

import httpx
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from remediations.health import redact
from remediations.protocol import (
    ActionRefused,
    Context,
    EngineUnavailable,
    Intent,
    Json,
    Observation,
    Outcome,
    OutcomeUnknown,
    Plan,
    Progress,
    Verdict,
)
from remediations.state import judge, read_instances, revision, serving

MAX_BODY = 65536
MAX_EXCERPT = 300
CONNECT_LIMIT = 5.0
"""Seconds for the connection alone: a failure while connecting is known to have sent nothing."""

_URL = TypeAdapter(HttpUrl)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_FORBIDDEN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class HttpParameters(BaseModel):
    """Parameters of `http`."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        description="Where to send it. Scheme, host and port are the playbook's own: templates are allowed in path and"
        " query only. Redirects are not followed.",
        max_length=2000,
    )
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = Field(default="POST", description="The HTTP method.")
    headers: dict[str, str] = Field(default_factory=dict, max_length=50, description="Headers to send.")
    body: str | dict[str, Any] | list[Any] | None = Field(
        default=None, description="The body: a text as it is, anything else as JSON."
    )
    expect: list[int] | None = Field(
        default=None, min_length=1, max_length=50, description="Status codes that mean success; by default any 2xx."
    )
    idempotency_header: str = Field(
        default="Idempotency-Key",
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$",
        description="The header that carries the action's id, so that the receiver can tell a repeat.",
    )
    status_url: str | None = Field(
        default=None,
        max_length=2000,
        description="Where to ask what became of the call when its answer was lost; `{action_id}` in it is replaced."
        " On the same host as `url`.",
    )
    status_done: list[int] = Field(
        default=[200], min_length=1, max_length=50, description="Answers of `status_url` that mean it was done."
    )
    status_not_started: list[int] = Field(
        default=[404], min_length=1, max_length=50, description="Answers of `status_url` that mean it never arrived."
    )
    token_file: str | None = Field(
        default=None,
        max_length=1000,
        description="A file with a bearer token to send, read at each call: so the token stands neither in the playbook"
        " nor in what is stored about the step.",
    )
    time_limit: float = Field(default=10.0, gt=0, le=300, description="Seconds that the answer may take.")

    @field_validator("url", "status_url")
    @classmethod
    def _own_address(cls, value: str | None) -> str | None:
        if value is not None:
            _check_url(value)
        return value

    @field_validator("headers")
    @classmethod
    def _own_headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, content in value.items():
            if name.casefold() in _FORBIDDEN_HEADERS:
                raise ValueError(f"the header {name} is set by the client itself")
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(content):
                raise ValueError(f"the header {name!r} holds what no header can: letters beyond ASCII, or a line break")
        return value

    @model_validator(mode="after")
    def _one_host(self) -> Self:
        if self.status_url is not None and _origin(self.status_url) != _origin(self.url):
            raise ValueError("status_url must have the scheme, host and port of url")
        return self


def _origin(value: str) -> str:
    scheme, _, rest = value.partition("://")
    return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}"


def _check_url(value: str) -> None:
    if any(sign in _origin(value) for sign in "{}$"):
        raise ValueError("a template may not form scheme, host or port: alerts must not choose where calls go")
    try:
        _URL.validate_python(value)
    except ValidationError as error:
        raise ValueError(f"not an http(s) URL: {error.errors()[0]['msg']}") from error


class HttpAction:
    """One request with an idempotency key. A lost answer is unknown, never failed."""

    name = "http"
    parameters: type[BaseModel] = HttpParameters
    read_only = False
    idempotent = False
    destroys_state = False
    needs_known_good = False
    needs_bounds = False
    undoable = False
    temporary = False

    def describe(self, parameters: Json) -> str:
        """Say in one line what it does with these parameters."""
        chosen = HttpParameters.model_validate(parameters)
        return f"{chosen.method} {redact(chosen.url)}"

    async def plan(self, context: Context, parameters: Json) -> Plan:
        """Say what would be sent where; asks nobody."""
        chosen = HttpParameters.model_validate(parameters)
        call = f"{chosen.method} {redact(chosen.url)}"
        instances = await read_instances(context)
        healthy = serving(instances.values())
        return Plan(
            summary=f"{call} for {context.target.service}",
            steps=(f"send {call} with the action's id as {chosen.idempotency_header}",),
            revision=revision((), chosen.model_dump(mode="json")),
            lowest_healthy=healthy,
            healthy_now=healthy,
        )

    async def execute(self, context: Context, intent: Intent) -> Outcome:
        """Send the request once; the answer's status decides."""
        chosen = HttpParameters.model_validate(intent.parameters)
        call = f"{chosen.method} {redact(chosen.url)}"
        await context.checkpoint()
        code, excerpt = await _send(context, chosen, intent.action_id)
        good = code in chosen.expect if chosen.expect is not None else 200 <= code < 300
        wanted = "" if good else f" (expected {', '.join(map(str, chosen.expect)) if chosen.expect else '2xx'})"
        return Outcome(ok=good, text=f"{call} answers {code}{wanted}", data={"status_code": code, "answer": excerpt})

    async def observe(self, context: Context, intent: Intent) -> Observation:
        """Ask `status_url`, if there is one; without it nobody can tell whether the call arrived."""
        chosen = HttpParameters.model_validate(intent.parameters)
        if chosen.status_url is None:
            return Observation(Progress.UNKNOWN, "the call has no status_url: only its receiver can tell if it arrived")
        url = chosen.status_url.replace("{action_id}", intent.action_id)
        shown = redact(url)
        try:
            headers = await _headers(chosen)
            async with (
                asyncio.timeout(chosen.time_limit),
                context.http.stream("GET", url, headers=headers, follow_redirects=False) as answer,
            ):
                code = answer.status_code
        except (TimeoutError, httpx.HTTPError, ActionRefused) as error:
            return Observation(Progress.UNKNOWN, f"{shown} can't be asked: {str(error) or type(error).__name__}")
        if code in chosen.status_done:
            return Observation(Progress.DONE, f"{shown} answers {code}: it was done")
        if code in chosen.status_not_started:
            return Observation(Progress.NOT_STARTED, f"{shown} answers {code}: it never arrived")
        return Observation(Progress.UNKNOWN, f"{shown} answers {code}, which says neither")

    async def verify(self, context: Context, intent: Intent) -> Verdict:
        """Judge whether the target's instances serve."""
        instances = await read_instances(context)
        return judge(instances, instances)

    async def undo(self, context: Context, intent: Intent, post_state: Json) -> Outcome:
        """Change nothing: what a call did elsewhere can't be taken back from here."""
        return Outcome(ok=False, text="an HTTP call can't be undone; nothing was changed")


async def _send(context: Context, chosen: HttpParameters, action_id: str) -> tuple[int, str]:
    """Send the request and return status and the beginning of the answer.

    Raises EngineUnavailable when no connection was made, OutcomeUnknown for everything that went wrong later.
    """
    headers = {**await _headers(chosen), chosen.idempotency_header: action_id}
    content = chosen.body if isinstance(chosen.body, str) else None
    data = chosen.body if chosen.body is not None and content is None else None
    shown = f"{chosen.method} {redact(chosen.url)}"
    try:
        async with (
            asyncio.timeout(chosen.time_limit),
            context.http.stream(
                chosen.method, chosen.url, headers=headers, content=content, json=data, follow_redirects=False,
                timeout=httpx.Timeout(chosen.time_limit, connect=min(CONNECT_LIMIT, chosen.time_limit / 2)),
            ) as answer,
        ):  # fmt: skip
            return answer.status_code, await _excerpt(answer)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise EngineUnavailable(f"{shown}: no connection: {str(error) or type(error).__name__}") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
        raise ActionRefused(f"{shown} can't be sent: {error}") from error
    except (TimeoutError, httpx.HTTPError) as error:
        reason = str(error) or type(error).__name__
        raise OutcomeUnknown(f"{shown} was sent and no whole answer came: {reason}") from error


async def _headers(chosen: HttpParameters) -> dict[str, str]:
    if chosen.token_file is None:
        return dict(chosen.headers)
    try:
        token = (await asyncio.to_thread(Path(chosen.token_file).read_text, encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ActionRefused(f"the token can't be read: {error}") from error
    if not token or not _HEADER_VALUE.fullmatch(token):
        raise ActionRefused(f"{chosen.token_file} holds no token that a header can carry")
    return {**chosen.headers, "Authorization": f"Bearer {token}"}


async def _excerpt(answer: httpx.Response) -> str:
    """Read the beginning of the answer; the status has come, so a body that breaks off changes nothing."""
    body = bytearray()
    try:
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) >= MAX_BODY:
                break
    except httpx.HTTPError:
        return ""
    return bytes(body).decode("utf-8", errors="replace")[:MAX_EXCERPT]
