"""The root file system of the demo's images: this machine's Python and its libraries, nothing downloaded."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.parts.process import PartError

SKIPPED: Final = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "sqlite3", "test", "tests"}
    | {"tkinter", "turtledemo", "unittest", "distutils", "dist-packages"}
)
"""Directories of the standard library that a small HTTP service never imports."""

MODULES: Final = ("_bisect", "_json", "_socket", "_struct", "array", "binascii", "math", "select", "zlib", "_heapq")
"""Compiled modules that are worth their libraries; where they are built into the interpreter nothing is added."""

PROBE: Final = """
import importlib.util, json, sys, sysconfig
files = []
for name in sys.argv[1:]:
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.origin and spec.origin.startswith("/"):
        files.append(spec.origin)
print(json.dumps({"version": sys.version, "executable": sys.executable,
                  "stdlib": sysconfig.get_paths()["stdlib"], "modules": files}))
"""

LIBRARY: Final = re.compile(r"(?:=> |^\s*)(/[^ ]+) \(0x", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python on this machine: its program, its standard library, and the files of its compiled modules."""

    executable: Path
    stdlib: Path
    version: str
    modules: tuple[Path, ...]


def interpreter() -> Interpreter:
    """Find the Python that goes into the images: Debian's when it is there, else the one that runs us.

    Raises:
        PartError: it can't be asked where its files are.
    """
    system = Path("/usr/bin/python3")
    program = str(system) if system.exists() else sys.executable
    command = [program, "-I", "-c", PROBE, *MODULES]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode:
        raise PartError(f"{program} can't be asked where its files are: {answer.stderr.strip()}")
    facts = json.loads(answer.stdout)
    modules = tuple(Path(name) for name in facts["modules"] if name.endswith(".so"))
    return Interpreter(Path(facts["executable"]).resolve(), Path(facts["stdlib"]), facts["version"], modules)


def key(python: Interpreter) -> str:
    """Return a short hash that changes when an image built from this interpreter would."""
    facts = [python.version, str(python.stdlib), Path(__file__).read_text()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def archive(python: Interpreter) -> bytes:
    """Return the root file system as a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for directory in ("tmp", "etc", "app", "usr", "usr/bin"):
            _directory(tar, directory)
        _text(tar, "etc/passwd", "root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/app:/bin/sh\n")
        _text(tar, "etc/group", "root:x:0:\napp:x:1000:\n")
        _text(tar, "etc/nsswitch.conf", "passwd: files\nhosts: files dns\n")
        _file(tar, python.executable, "usr/bin/python3")
        for library in _libraries((python.executable, *python.modules)):
            _file(tar, library.resolve(), str(library).lstrip("/"))
        for path in _stdlib(python.stdlib):
            _file(tar, path, str(path).lstrip("/"))
        for path in python.modules:
            _file(tar, path.resolve(), str(path).lstrip("/"))
    return out.getvalue()


def environment(python: Interpreter) -> dict[str, str]:
    """Return what the image sets so that the interpreter finds its library at the place that it had here."""
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONHOME": str(python.stdlib.parent.parent),
        "PYTHONPATH": "/app",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }


def _stdlib(root: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(root):
        keep = [name for name in names if name not in SKIPPED and not name.startswith("config-")]
        names[:] = [name for name in sorted(keep) if name != "lib-dynload"]
        yield from (Path(directory) / name for name in sorted(files) if name.endswith(".py"))


def _libraries(binaries: tuple[Path, ...]) -> list[Path]:
    found: set[Path] = set()
    for binary in binaries:
        answer = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, timeout=30, check=False)
        found.update(Path(match) for match in LIBRARY.findall(answer.stdout))
    return sorted(found)


def _directory(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    entry.mode = 0o1777 if name == "tmp" else 0o755
    tar.addfile(entry)


def _text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(text.encode()))


def _file(tar: tarfile.TarFile, source: Path, name: str) -> None:
    """Add a file owned by root with a fixed time, so that the same files give the same image."""
    entry = tarfile.TarInfo(name)
    entry.size = source.stat().st_size
    entry.mode = 0o755 if os.access(source, os.X_OK) else 0o644
    with source.open("rb") as content:
        tar.addfile(entry, content)
