"""The service's settings: each by flag, by `REMEDIATOR_*` in the environment, and secrets also by `*_FILE`.

A flag wins over the environment, the environment over the default. Every mistake is told in one run. The table in
docs/settings.md is printed from here, and a test holds it current.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from receiver import settings_values as kind
from receiver.core.durations import format_duration
from receiver.errors import SettingsError
from receiver.settings_signin import SignInSettings
from receiver.settings_slack import SlackSettings
from receiver.settings_values import Address, Located, hide_path, read_secret, size_text, url_secrets
from receiver.settings_values import about as _about

PREFIX: Final = "REMEDIATOR_"

CLIENT: Final = ("REMEDIATOR_URL", "REMEDIATOR_TOKEN", "REMEDIATOR_TOKEN_FILE")
"""What the command line's client reads: where the service is, and who asks."""

ENGINES: Final = "REMEDIATOR_ENGINE_"
"""With an engine's name behind it: replaces that engine's URL, read with the policy."""

SHORTEST_TOKEN: Final = 16
"""Characters below which a token is called weak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(SlackSettings, SignInSettings):
    """Everything that can be set. Durations are seconds, sizes bytes.

    `sources` says for each setting where its value came from; `warnings` what a person should know about them.
    """

    mode: str = field(
        metadata=_about("observe", kind.OneOf("observe", "act"), "`observe` says what it would do; `act` acts")
    )
    listen: Address = field(metadata=_about("127.0.0.1:9797", kind.address, "address and port of the HTTP server"))
    playbooks: tuple[Path, ...] = field(
        metadata=_about(
            "playbooks.yaml", kind.paths, "policy file; several, parted by commas: later ones overlay earlier ones"
        )
    )
    people: Path = field(metadata=_about("people.yaml", kind.file, "who may see, approve and control; need not exist"))
    database: str = field(metadata=_about("sqlite:///remediator.db", kind.sqlite_url, "where everything is kept"))
    prometheus_url: str | None = field(
        metadata=_about(
            "",
            kind.Optional(kind.url),
            "Prometheus; without it queries are inconclusive, and no alert is confirmed to fire",
            by_file=True,
        )
    )
    alertmanager_url: str | None = field(
        metadata=_about(
            "", kind.Optional(kind.url), "Alertmanager, to catch up after a start and to see silences", by_file=True
        )
    )
    alertmanager_receiver: str = field(
        metadata=_about(
            "remediator", kind.name, "the name of the receiver in Alertmanager's configuration that points here"
        )
    )
    external_labels: tuple[str, ...] = field(
        metadata=_about(
            "", kind.words, "names of Prometheus' external labels; they are in webhooks but not in its own series"
        )
    )
    webhook_tokens: tuple[str, ...] = field(
        metadata=_about(
            "", kind.words, "bearer tokens that may post webhooks; several are valid at once, for rotation", secret=True
        )
    )
    webhook_user: str = field(metadata=_about("", str.strip, "user name for basic authentication of the webhook"))
    webhook_password: tuple[str, ...] = field(
        metadata=_about(
            "", kind.lines, "password of that user; several, one a line, are valid at once, for rotation", secret=True
        )
    )
    metrics_tokens: tuple[str, ...] = field(
        metadata=_about("", kind.words, "bearer tokens that may read `/metrics` and nothing else", secret=True)
    )
    external_url: str | None = field(
        metadata=_about(
            "", kind.Optional(kind.url), "how people reach the service, for links; also a Host that it answers to"
        )
    )
    escalation_url: str | None = field(
        metadata=_about(
            "", kind.Optional(kind.url), "where an escalation is posted, signed", by_file=True, shown=hide_path
        )
    )
    escalation_secret: str = field(metadata=_about("", str.strip, "key of that signature (HMAC-SHA256)", secret=True))
    pagerduty_key: str = field(
        metadata=_about("", str.strip, "integration key of a PagerDuty service (Events API v2)", secret=True)
    )
    pagerduty_url: str = field(
        metadata=_about(
            "https://events.pagerduty.com/v2/enqueue", kind.url, "PagerDuty's Events API; `events.eu.` for Europe"
        )
    )
    max_body: int = field(
        metadata=_about("32MB", kind.positive_size, "largest webhook body; larger ones are answered 413")
    )
    body_timeout: float = field(
        metadata=_about("10s", kind.positive_duration, "time for a request's body to arrive, then 408")
    )
    header_timeout: float = field(
        metadata=_about("10s", kind.positive_duration, "time for a request's headers to arrive, then 408")
    )
    keep_alive: float = field(
        metadata=_about("6m", kind.positive_duration, "idle time of a connection; Alertmanager keeps one for 5 minutes")
    )
    max_connections: int = field(metadata=_about("10000", kind.count, "connections at once; more are answered 503"))
    retention_bodies: float = field(metadata=_about("7d", kind.duration, "how long raw webhook bodies are kept"))
    size_cap: int = field(
        metadata=_about("2GB", kind.positive_size, "size of the database from which the oldest evidence is dropped")
    )
    low_disk: int = field(
        metadata=_about("512MB", kind.size, "free disk space from which a warning is logged and counted")
    )
    kill_file: Path | None = field(
        metadata=_about(
            "", kind.Optional(Path), "a file that stops every action while it exists; default: beside the database"
        )
    )
    concurrency: int = field(metadata=_about("16", kind.count, "incidents that are worked on at once"))
    shutdown_grace: float = field(metadata=_about("30s", kind.duration, "time for what runs to finish after SIGTERM"))
    log_level: str = field(
        metadata=_about("info", kind.OneOf("debug", "info", "warning", "error"), "least level that is logged")
    )
    log_format: str = field(
        metadata=_about("auto", kind.OneOf("auto", "json", "console"), "`auto`: readable on a terminal, JSON otherwise")
    )
    sources: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def database_file(self) -> Path:
        """The file of the SQLite database."""
        return Path(self.database.removeprefix("sqlite:///"))

    @property
    def kill_path(self) -> Path:
        """The file that stops every action while it exists."""
        return self.kill_file or self.database_file.with_name(f"{self.database_file.name}.kill")

    @property
    def base_url(self) -> str:
        """How people reach the service."""
        return self.external_url or f"http://{self.listen}"

    @property
    def webhook_is_open(self) -> bool:
        """Whether no credential of the webhook is configured."""
        return not (self.webhook_tokens or self.webhook_password)

    @property
    def escalation_paths(self) -> int:
        """How many independent ways there are to call people: the metric with its rule, the webhook, PagerDuty."""
        return 1 + (self.escalation_url is not None) + bool(self.pagerduty_key)

    @property
    def people_file(self) -> Path | None:
        """The people's file, None when nobody asked for one and the default's isn't there."""
        return self.people if self.sources.get("people") != "default" or self.people.exists() else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret text, for the redaction of logs."""
        listed = (*self.webhook_tokens, *self.webhook_password, *self.metrics_tokens, self.escalation_secret)
        listed = (*listed, self.pagerduty_key, *self.slack_secrets, self.oidc_client_secret)
        urls = (self.prometheus_url, self.alertmanager_url, self.external_url, self.slack_api_url, self.pagerduty_url)
        within = [secret for url in urls if url for secret in url_secrets(url)]
        if self.escalation_url:
            within += url_secrets(self.escalation_url, path=True)
        return tuple(secret for secret in (*listed, *within) if secret)


_LAST: Final = {one.name for part in (SlackSettings, SignInSettings) for one in fields(part)}
SETTINGS: Final[tuple[Field[Any], ...]] = tuple(
    sorted((one for one in fields(Settings) if one.metadata), key=lambda one: one.name in _LAST)
)
"""Every setting, in the order of the documentation."""


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def flag(name: str) -> str:
    """Return the command line flag of a setting."""
    return f"--{name.replace('_', '-')}"


def load(flags: Mapping[str, str], environment: Mapping[str, str], only: Collection[str] | None = None) -> Settings:
    """Read the settings.

    Args:
        flags: by setting name.
        environment: of the process.
        only: the settings that the caller needs; the others stay at their defaults, whatever the environment says of
            them. A command that must work at 3 a.m. isn't stopped by a mistake in what it doesn't use.

    Raises:
        SettingsError: names every mistake and where it was made.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[str] = []
    warnings: list[str] = []
    for one in SETTINGS:
        wanted = only is None or one.name in only
        try:
            text, source = _text(one, flags, environment, warnings) if wanted else (one.metadata["default"], "default")
            values[one.name] = one.metadata["read"](text)
            sources[one.name] = source
        except ValueError as error:
            problems.append(str(error) if isinstance(error, Located) else _located(one, flags, environment, error))
    if only is None:
        warnings.extend(_unknown(environment))
    if not problems:
        settings = Settings(**values, sources=sources, warnings=tuple(warnings))
        if only is not None:
            return settings
        problems = _contradictions(settings)
        if not problems:
            return replace(settings, warnings=(*warnings, *_weak(settings)))
    raise SettingsError(problems)


def _text(
    one: Field[Any], flags: Mapping[str, str], environment: Mapping[str, str], warnings: list[str]
) -> tuple[str, str]:
    name, by_file = variable(one.name), f"{variable(one.name)}_FILE"
    if one.name in flags:
        return flags[one.name], f"flag {flag(one.name)}"
    if one.metadata["by_file"] and by_file in environment:
        if name in environment:
            raise Located(f"{name} and {by_file} are both set; keep one")
        return read_secret(Path(environment[by_file]), by_file, warnings), f"file {environment[by_file]} ({by_file})"
    if name in environment:
        return environment[name], name
    return one.metadata["default"], "default"


def _located(one: Field[Any], flags: Mapping[str, str], environment: Mapping[str, str], error: ValueError) -> str:
    where = flag(one.name) if one.name in flags else variable(one.name)
    if one.name not in flags and one.metadata["by_file"] and f"{where}_FILE" in environment:
        where = f"{where}_FILE"
    return f"{where}: {'the value is not usable' if one.metadata['secret'] else error}"


def _unknown(environment: Mapping[str, str]) -> list[str]:
    known = {variable(one.name) for one in SETTINGS}
    known |= {f"{variable(one.name)}_FILE" for one in SETTINGS if one.metadata["by_file"]}
    known |= set(CLIENT)
    found = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and not name.startswith(ENGINES):
            near = difflib.get_close_matches(name, known, n=1)
            found.append(f"{name} is no setting{f'; did you mean {near[0]}?' if near else ''}")
    return found


def _contradictions(settings: Settings) -> list[str]:
    found = []
    if settings.webhook_password and not settings.webhook_user:
        found.append("REMEDIATOR_WEBHOOK_PASSWORD is set without REMEDIATOR_WEBHOOK_USER")
    if settings.webhook_user and not settings.webhook_password:
        found.append("REMEDIATOR_WEBHOOK_USER is set without REMEDIATOR_WEBHOOK_PASSWORD")
    if ":" in settings.webhook_user:
        found.append("REMEDIATOR_WEBHOOK_USER: a user name for basic authentication can't contain a colon")
    if settings.escalation_url and not settings.escalation_secret:
        found.append("REMEDIATOR_ESCALATION_URL is set without REMEDIATOR_ESCALATION_SECRET, its signature's key")
    if any(not one.isascii() for one in (*settings.webhook_tokens, *settings.metrics_tokens)):
        found.append("a token has characters beyond ASCII, which no HTTP header carries reliably")
    return [*found, *settings.slack_contradictions(), *settings.sign_in_contradictions(settings.external_url)]


def _weak(settings: Settings) -> list[str]:
    listed = {
        "REMEDIATOR_WEBHOOK_TOKENS": settings.webhook_tokens,
        "REMEDIATOR_METRICS_TOKENS": settings.metrics_tokens,
    }
    return [
        f"{name}: a token is shorter than {SHORTEST_TOKEN} characters; make one with: openssl rand -hex 24"
        for name, tokens in listed.items()
        if any(len(one) < SHORTEST_TOKEN for one in tokens)
    ]


def effective(settings: Settings) -> list[tuple[str, str, str]]:
    """Return (name, value, where it came from) of every setting, without secrets."""
    derived = {"kill_file": settings.kill_path, "external_url": settings.base_url}
    return [
        (
            one.name,
            _shown(one, derived.get(one.name, getattr(settings, one.name))),
            settings.sources.get(one.name, "default"),
        )
        for one in SETTINGS
    ]


def table() -> str:
    """Return every setting as a Markdown table; docs/settings.md holds it."""
    lines = ["| Environment | Flag | Default | Meaning |", "|---|---|---|---|"]
    for one in SETTINGS:
        secret = one.metadata["secret"]
        name = f"`{variable(one.name)}`" + (f", `{variable(one.name)}_FILE`" if one.metadata["by_file"] else "")
        shown = "" if secret else f"`{flag(one.name)}`"
        default = f"`{one.metadata['default']}`" if one.metadata["default"] else ""
        lines.append(f"| {name} | {shown} | {default} | {one.metadata['help']} |")
    return "\n".join(lines) + "\n"


def _shown(one: Field[Any], value: Any) -> str:
    if one.metadata["secret"]:
        number = len(value) if isinstance(value, tuple) else 1
        return f"*** ({number} set)" if value else "(none)"
    if value is None or value in ("", ()):
        return "(none)"
    if one.metadata["read"] in {kind.duration, kind.positive_duration}:
        return format_duration(value)
    if one.metadata["read"] in {kind.size, kind.positive_size}:
        return size_text(value)
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    shown: str = one.metadata["shown"](str(value))
    return shown
