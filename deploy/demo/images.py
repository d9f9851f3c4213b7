"""The demo's images: smartresume-api 1.0 (good) and 1.1 (bad), and the proxy; built from local files only."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.demo import rootfs
from deploy.parts.process import PartError

GOOD: Final = "smartresume-api:1.0"
BAD: Final = "smartresume-api:1.1"
PROXY: Final = "smartresume-proxy:1.0"
BASE: Final = "smartresume-base"

BAD_SHARE: Final = 0.5
"""The share of requests that release 1.1 answers with 500 while its health check says healthy."""

KEY_LABEL: Final = "deploy.demo.key"

SERVICE: Final = Path(__file__).parent / "service"

ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - inside a container; what is published is bound to 127.0.0.1
CHECK: Final = ("/usr/bin/python3", "-S", "/app/deploy/demo/service/check.py")


def dockerfile(base: str, release: Mapping[str, Any], module: str, check: Sequence[str]) -> str:
    """Return the Dockerfile of one of the images."""
    lines = [f"FROM {base}", "COPY app /app", f"LABEL org.opencontainers.image.version={release['version']}"]
    lines += ["COPY release.json /release.json", "USER 1000:1000", "WORKDIR /app"]
    lines.append(f"HEALTHCHECK --interval=1s --timeout=2s --retries=3 CMD {json.dumps([*CHECK, *check])}")
    lines.append(f"CMD {json.dumps(['/usr/bin/python3', '-m', module, '--host', ANYWHERE])}")
    return "\n".join(lines) + "\n"


def build(engine: httpx.Client) -> dict[str, str]:
    """Build what the engine doesn't have yet and return the image ID of each tag.

    Raises:
        PartError: the engine refused; the text is its own.
    """
    python = rootfs.interpreter()
    key = hashlib.sha256((rootfs.key(python) + _source_hash() + Path(__file__).read_text()).encode()).hexdigest()[:12]
    ids = {tag: _current(engine, tag, key) for tag in (GOOD, BAD, PROXY)}
    if not all(ids.values()):
        base = _base(engine, python)
        service, proxy = ("8000", "/health", '"healthy"'), ("8080", "/-/metrics", "proxy")
        parts: dict[str, tuple[float, str, tuple[str, ...]]] = {
            GOOD: (0.0, "deploy.demo.service", service),
            BAD: (BAD_SHARE, "deploy.demo.service", service),
            PROXY: (0.0, "deploy.demo.service.proxy", proxy),
        }
        for tag, (share, module, check) in parts.items():
            release = {"version": tag.rpartition(":")[2], "error_share": share}
            ids[tag] = _build(engine, tag, _context(dockerfile(base, release, module, check), release), key)
    return {tag: image for tag, image in ids.items() if image is not None}


def foreign(engine: httpx.Client) -> list[str]:
    """Return those of our tags that the engine has for images that we didn't build."""
    answers = {tag: engine.get(f"/images/{tag}/json") for tag in (GOOD, BAD, PROXY)}
    present = {tag: answer.json() for tag, answer in answers.items() if answer.status_code == httpx.codes.OK}
    return [tag for tag, facts in present.items() if KEY_LABEL not in (facts["Config"].get("Labels") or {})]


def _source_hash() -> str:
    sources = sorted(SERVICE.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _current(engine: httpx.Client, tag: str, key: str) -> str | None:
    answer = engine.get(f"/images/{tag}/json")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    facts = answer.json()
    labels = facts["Config"].get("Labels") or {}
    return str(facts["Id"]) if labels.get(KEY_LABEL) == key else None


def _base(engine: httpx.Client, python: rootfs.Interpreter) -> str:
    tag = rootfs.key(python)
    if engine.get(f"/images/{BASE}:{tag}/json").status_code == httpx.codes.OK:
        return f"{BASE}:{tag}"
    settings = [f"ENV {name}={value}" for name, value in rootfs.environment(python).items()]
    settings.append(f"LABEL {KEY_LABEL}={tag}")
    query: list[tuple[str, str | int | float | bool | None]] = [("fromSrc", "-"), ("repo", BASE), ("tag", tag)]
    query += [("changes", line) for line in settings]
    answer = engine.post("/images/create", params=query, content=rootfs.archive(python), timeout=120.0)
    _complain(answer, f"import of {BASE}:{tag}")
    return f"{BASE}:{tag}"


def _context(recipe: str, release: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    files = {"Dockerfile": recipe, "release.json": json.dumps(release)}
    for package in (SERVICE.parent.parent, SERVICE.parent, SERVICE):
        inside = package.relative_to(SERVICE.parent.parent.parent)
        names = sorted(package.glob("*.py")) if package == SERVICE else [package / "__init__.py"]
        files |= {f"app/{inside}/{path.name}": path.read_text() for path in names}
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            content = text.encode()
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _build(engine: httpx.Client, tag: str, context: bytes, key: str) -> str:
    query = {"t": tag, "labels": json.dumps({KEY_LABEL: key}), "rm": "1", "forcerm": "1", "version": "1"}
    headers = {"Content-Type": "application/x-tar"}
    answer = engine.post("/build", params=query, content=context, headers=headers, timeout=120.0)
    _complain(answer, f"build of {tag}")
    return str(engine.get(f"/images/{tag}/json").json()["Id"])


def _complain(answer: httpx.Response, what: str) -> None:
    """Raise when the engine refused, or began with 200 and told its error in the stream."""
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        raise PartError(f"{what}: the engine answered {answer.status_code}: {answer.text.strip()}")
    for line in answer.text.splitlines():
        progress = json.loads(line) if line.startswith("{") else {}
        if "error" in progress:
            raise PartError(f"{what}: {progress['error']}")
