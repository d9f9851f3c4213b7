"""The kinds of values that settings have: each reads a text and says in words what is wrong with it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from receiver.core.durations import parse_duration

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMGT]?)(i?)B?", re.ASCII | re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_HIDDEN = "***"


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


def duration(text: str) -> float:
    """Read a duration in seconds: `10s`, `5m`, `7d`."""
    return parse_duration(text.strip())


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
        raise ValueError(f"{hide_user(text)!r} is no URL such as http://127.0.0.1:9090")
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
