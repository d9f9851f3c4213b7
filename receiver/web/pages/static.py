"""The files that the pages load: read once, and kept by browsers, as their addresses change with them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib import resources
from typing import Final

_KINDS: Final[Mapping[str, str]] = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def _read() -> dict[str, tuple[bytes, str, str]]:
    found = {}
    folder = resources.files("receiver.web").joinpath("static")
    for place, prefix in ((folder, ""), (folder.joinpath("vendor"), "vendor/")):
        for one in place.iterdir():
            kind = _KINDS.get(f".{one.name.rpartition('.')[2]}")
            if one.is_file() and kind is not None:
                data = one.read_bytes()
                found[f"{prefix}{one.name}"] = (data, f"{kind}; charset=utf-8", sha256(data).hexdigest()[:16])
    return found


STATIC: Final = _read()
"""Name to bytes, media type and version of every file that the pages load."""


def static_path(name: str) -> str:
    """Return where a static file is; its address changes with its content, so that browsers may keep it."""
    return f"/static/{name}?v={STATIC[name][2]}"
