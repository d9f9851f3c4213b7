"""The kinds of values that settings have: each reads a text and says in words what is wrong with it."""

from __future__ import annotations

import ipaddress
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from receiver.core.durations import parse_duration

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMGT]?)(i?)B?", re.ASCII | re.IGNORECASE)
MAX_SECRET_BYTES: Final = 64 * 1024
"""A larger secret file is a mistake, such as the wrong file."""

_CHANNEL = re.compile(r"[CGD][A-Z0-9]{6,}", re.ASCII)
_CALLED = re.compile(r"[UWS][A-Z0-9]{6,}", re.ASCII)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_HIDDEN = "***"
_SECRET_SEGMENT = 12
"""Characters from which a segment of an escalation's URL is taken for a credential."""


class Located(ValueError):
    """Says already where the mistake is."""


def read_secret(path: Path, name: str, warnings: list[str]) -> str:
    """Return the text of a secret's file.

    Args:
        path: of the file.
        name: of the variable that names it.
        warnings: gets one when everybody can read it.

    Raises:
        Located: it can't be read, is too large, empty, or no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SECRET_BYTES + 1)
        mode = path.stat().st_mode
    except OSError as error:
        raise Located(f"{name}: {path} cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_SECRET_BYTES:
        raise Located(f"{name}: {path} is larger than {MAX_SECRET_BYTES // 1024} KiB; that is no secret")
    if mode & stat.S_IROTH:
        warnings.append(f"{name}: every user of this machine can read {path}; chmod 600 it")
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise Located(f"{name}: {path} is not UTF-8 text") from None
    if not text:
        raise Located(f"{name}: {path} is empty")
    return text


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service listens: a numeric address (or `localhost`) and a port."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a host (name or numeric) is this machine itself; other names are never looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address(text: str) -> Address:
    """Read `HOST:PORT`, `[IPv6]:PORT` or `:PORT` (every interface).

    Raises:
        ValueError: says what an address looks like.
    """
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "0.0.0.0"  # noqa: S104 as in Prometheus, `:9797` asks for it
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{text!r} is no address such as 127.0.0.1:9797 or [::1]:9797")
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"{host!r} is no IP address; write one, or localhost") from None
    return Address(host, int(port))


def size(text: str) -> int:
    """Read a number of bytes: `32MB` and `32MiB` both mean 32 x 1024 x 1024, as in Prometheus.

    Raises:
        ValueError: says what a size looks like.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no size such as 512KB, 32MB or 2GB")
    return int(found[1]) * int(1024 ** _POWERS[found[2].upper()])


def size_text(value: int) -> str:
    """Return a size as it would be written."""
    for unit, power in reversed(_POWERS.items()):
        if power and value and value % 1024**power == 0:
            return f"{value // 1024**power}{unit}B"
    return str(value)


def positive_size(text: str) -> int:
    """Read a size that is more than nothing.

    Raises:
        ValueError: it is no size, or 0.
    """
    if (found := size(text)) == 0:
        raise ValueError(f"{text!r} is nothing; write a size such as 512KB, 32MB or 2GB")
    return found


def duration(text: str) -> float:
    """Read a duration in seconds: `10s`, `5m`, `7d`."""
    return parse_duration(text.strip())


def token(text: str) -> str:
    """Read what goes into an `Authorization` header.

    Raises:
        ValueError: it has spaces or characters beyond ASCII.
    """
    stripped = text.strip()
    if not stripped.isascii() or any(character.isspace() for character in stripped):
        raise ValueError("a token has no spaces and no characters beyond ASCII")
    return stripped


def header_name(text: str) -> str:
    """Read the name of an HTTP header.

    Raises:
        ValueError: it has other characters than letters, digits and dashes.
    """
    stripped = text.strip()
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", stripped, re.ASCII):
        raise ValueError(f"{text!r} is no name of a header such as X-Forwarded-User")
    return stripped


def channel(text: str) -> str:
    """Read the id of a Slack channel.

    Raises:
        ValueError: it is a name, or something else; says where ids are found.
    """
    stripped = text.strip()
    if not _CHANNEL.fullmatch(stripped):
        raise ValueError(f"{text!r} is no id of a channel such as C0123ABCD; in Slack: the channel's name, then About")
    return stripped


def mention(text: str) -> str:
    """Read whom a Slack message calls: the id of a user or a user group, or `here`, `channel`, `everyone`.

    Raises:
        ValueError: it is a name, or something else; says where ids are found.
    """
    stripped = text.strip().removeprefix("@")
    if stripped not in {"here", "channel", "everyone"} and not _CALLED.fullmatch(stripped):
        raise ValueError(f"{text!r} is neither the id of a user (U...) or a user group (S...) nor here or channel")
    return stripped


class Several:
    """Reads some of these words, each once, in the order given; at least one."""

    def __init__(self, *allowed: str) -> None:
        self._allowed = allowed
        self.metavar = "|".join(allowed) + ",..."

    def __call__(self, text: str) -> tuple[str, ...]:
        """Read a text; raises ValueError."""
        found = tuple(one.lower() for one in words(text))
        for one in found:
            if one not in self._allowed:
                raise ValueError(f"{one!r} is none of {', '.join(self._allowed)}")
        if not found or len(set(found)) < len(found):
            raise ValueError(f"{text!r} names {'nothing' if not found else 'one twice'}; known are {self.metavar}")
        return found


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Read addresses and CIDR ranges: `10.1.2.3, 10.0.0.0/8, fd00::/8`.

    Raises:
        ValueError: one is neither, or is every address there is.
    """
    found = []
    for one in words(text):
        try:
            network = ipaddress.ip_network(one)
        except ValueError:
            raise ValueError(f"{one!r} is no address or range such as 10.0.0.0/8 (host bits must be 0)") from None
        if network.prefixlen == 0:
            raise ValueError(f"{one!r} is everybody")
        found.append(network)
    return tuple(found)


class BySeverity:
    """Reads a list of `P1=VALUE`; a severity may come several times.

    Args:
        read: what a value is.
    """

    metavar = "P1=ID,..."

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read

    def __call__(self, text: str) -> tuple[str, ...]:
        """Read a text; raises ValueError."""
        found = []
        for item in words(text):
            severity, equals, value = item.partition("=")
            if not equals or severity.strip().upper() not in {"P1", "P2", "P3", "P4"}:
                raise ValueError(f"{item!r} is not of the form P1=..., P2=..., P3=... or P4=...")
            found.append(f"{severity.strip().upper()}={self._read(value)}")
        return tuple(found)


def severities(text: str) -> tuple[str, ...]:
    """Read a list of severities.

    Raises:
        ValueError: one of them is none.
    """
    found = tuple(one.upper() for one in words(text))
    if wrong := [one for one in found if one not in {"P1", "P2", "P3", "P4"}]:
        raise ValueError(f"{wrong[0]!r} is none of P1, P2, P3, P4")
    return found


def by_severity(items: tuple[str, ...]) -> dict[str, list[str]]:
    """Return what `BySeverity` read: values by severity."""
    found: dict[str, list[str]] = {}
    for item in items:
        severity, _, value = item.partition("=")
        found.setdefault(severity, []).append(value)
    return found


def positive_duration(text: str) -> float:
    """Read a duration that is longer than nothing.

    Raises:
        ValueError: it is no duration, or 0.
    """
    if (found := duration(text)) == 0:
        raise ValueError(f"{text!r} is no time at all; write a duration such as 10s or 5m")
    return found


def name(text: str) -> str:
    """Read a name.

    Raises:
        ValueError: it is empty.
    """
    if not (found := text.strip()):
        raise ValueError("is empty; give a name or leave it out")
    return found


def count(text: str) -> int:
    """Read a whole number from 1.

    Raises:
        ValueError: it is something else.
    """
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit()) or not 0 < int(stripped) < 10**9:
        raise ValueError(f"{text!r} is no whole number from 1")
    return int(stripped)


def words(text: str) -> tuple[str, ...]:
    """Read a list: commas or line ends part its items."""
    return tuple(item for part in text.splitlines() for item in (one.strip() for one in part.split(",")) if item)


def lines(text: str) -> tuple[str, ...]:
    """Read a list with one item a line; commas belong to the items."""
    return tuple(stripped for line in text.splitlines() if (stripped := line.strip()))


def file(text: str) -> Path:
    """Read the name of a file.

    Raises:
        ValueError: it is empty.
    """
    return Path(name(text))


def paths(text: str) -> tuple[Path, ...]:
    """Read a list of files.

    Raises:
        ValueError: there is none.
    """
    found = tuple(Path(item) for item in words(text))
    if not found:
        raise ValueError("names no file")
    return found


def url(text: str) -> str:
    """Read an http or https URL, without its trailing slash; user and password may be part of it.

    Raises:
        ValueError: says what is missing.
    """
    stripped = text.strip().rstrip("/")
    try:
        parts = urlsplit(stripped)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in stripped):
        raise ValueError(f"{hide_url(text)!r} is no URL such as http://127.0.0.1:9090")
    return stripped


def issuer(text: str) -> str:
    """Read an OpenID Connect issuer; a slash at its end belongs to it.

    Raises:
        ValueError: it isn't https (plain http is for this machine's loopback), or has parts that an issuer can't have.
    """
    stripped = text.strip()
    url(stripped)
    parts = urlsplit(stripped)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"{hide_url(text)!r} must begin with https://: who signs in there is believed here")
    if "@" in parts.netloc or "?" in stripped or "#" in stripped or not stripped.isascii():
        raise ValueError(f"{hide_url(text)!r} is no issuer such as https://id.example.com: it has no user and no query")
    return stripped


def client_id(text: str) -> str:
    """Read what a provider calls a client, or the client's secret.

    Raises:
        ValueError: it has characters that OAuth doesn't allow (RFC 6749, A.1 and A.2).
    """
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isprintable()):
        raise ValueError("has characters beyond printable ASCII")
    return stripped


def sqlite_url(text: str) -> str:
    """Read `sqlite:///relative.db` or `sqlite:////absolute/path.db`.

    Raises:
        ValueError: it is another kind of database.
    """
    stripped = text.strip()
    if not stripped.startswith("sqlite:///") or not stripped.removeprefix("sqlite:///"):
        raise ValueError(f"{hide_user(text)!r} is no database such as sqlite:///remediator.db")
    return stripped


def hide_user(text: str) -> str:
    """Return a URL with user and password hidden; what is no URL with a user is returned as it is."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return _HIDDEN
    if "@" not in parts.netloc:
        return text
    netloc = f"{_HIDDEN}@{parts.netloc.rpartition('@')[2]}"
    return urlunsplit(SplitResult(parts.scheme, netloc, parts.path, parts.query, parts.fragment))


def hide_url(text: str) -> str:
    """Return a URL with user, password, query and fragment hidden, all of which may be credentials."""
    shown = hide_user(text)
    if "://" not in shown:
        return shown
    end = min((found for sign in "?#" if (found := shown.find(sign)) >= 0), default=-1)
    return shown if end < 0 else f"{shown[: end + 1]}{_HIDDEN}"


def hide_path(text: str) -> str:
    """Return of a URL only where it leads to: the paths of webhooks that call people are credentials."""
    shown = hide_url(text)
    scheme, found, rest = shown.partition("://")
    host, slash, path = rest.partition("/")
    if not found or not slash or not path:
        return shown
    return f"{scheme}://{host}/{_HIDDEN}"


def url_secrets(text: str, *, path: bool = False) -> list[str]:
    """Return what of a URL may be a credential: user and password, the values of its query, with `path` its segments.

    Short segments (`api`, `hooks`) are words, which stand in any text.
    """
    try:
        parts = urlsplit(text)
        password = parts.password
    except ValueError:
        return [text]
    found = [parts.netloc.rpartition("@")[0], password or "", parts.query]
    found += [value for _, value in parse_qsl(parts.query)]
    if path:
        found += [segment for segment in parts.path.split("/") if len(segment) >= _SECRET_SEGMENT]
    return [secret for secret in found if secret]


_METAVARS: Mapping[Callable[[str], Any], str] = {
    str.strip: "NAME",
    name: "NAME",
    token: "TOKEN",
    channel: "ID",
    words: "NAME,...",
    severities: "P1,...",
    networks: "CIDR,...",
    header_name: "NAME",
    lines: "TEXT",
    address: "HOST:PORT",
    paths: "FILE,...",
    file: "FILE",
    Path: "FILE",
    sqlite_url: "URL",
    issuer: "URL",
    client_id: "NAME",
    url: "URL",
    size: "SIZE",
    positive_size: "SIZE",
    duration: "DURATION",
    positive_duration: "DURATION",
    count: "NUMBER",
}


def metavar(read: Callable[[str], Any]) -> str:
    """Return what `--help` calls a value that is read so."""
    return getattr(read, "metavar", None) or _METAVARS[read]


class Optional:
    """Reads an empty text as nothing."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read
        self.metavar = metavar(read)

    def __call__(self, text: str) -> Any:
        """Read a text."""
        return self._read(text) if text.strip() else None


class OneOf:
    """Reads one of some words, whatever its letter case."""

    def __init__(self, *allowed: str) -> None:
        self._allowed = allowed
        self.metavar = "|".join(allowed)

    def __call__(self, text: str) -> str:
        """Read a text; raises ValueError."""
        if text.strip().lower() not in self._allowed:
            raise ValueError(f"{text!r} is none of {', '.join(self._allowed)}")
        return text.strip().lower()


def about(
    default: str,
    read: Callable[[str], Any],
    help_text: str,
    *,
    secret: bool = False,
    by_file: bool = False,
    shown: Callable[[str], str] = hide_url,
) -> Mapping[str, Any]:
    """Describe a setting.

    Args:
        default: a text as a person would write it, empty for none.
        read: makes the value of a text; raises ValueError.
        help_text: one line.
        secret: never shown, without a flag, and read from a file too.
        by_file: read from a file too, as it may hold a credential.
        shown: what people are shown of the text.
    """
    told = {"default": default, "read": read, "help": help_text, "secret": secret, "shown": shown}
    return told | {"by_file": secret or by_file, "metavar": metavar(read)}
