"""Debian packages that the real parts come from, installed when they are missing and may be installed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

APT_TIMEOUT: Final = 600.0
"""Seconds that one apt-get call may take."""

POLICY_FILE: Final = Path("/usr/sbin/policy-rc.d")
"""Debian's hook that maintainer scripts ask before they start a service (invoke-rc.d(8))."""

POLICY_DENY: Final = "#!/bin/sh\nexit 101\n"
"""101 is "action forbidden by policy" in invoke-rc.d(8)."""

PROGRAMS: Final[dict[str, str]] = {
    "busybox-static": "/bin/busybox",
    "chromium": "/usr/bin/chromium",
    "docker.io": "/usr/sbin/dockerd",
    "iproute2": "/usr/bin/ip",
    "iptables": "/usr/sbin/iptables",
    "prometheus": "/usr/bin/prometheus",
    "prometheus-alertmanager": "/usr/bin/prometheus-alertmanager",
    "webhook": "/usr/bin/webhook",
}
"""The program whose presence shows that a package is installed."""

UNITS: Final[dict[str, tuple[str, ...]]] = {
    "docker.io": ("docker.service", "docker.socket", "containerd.service"),
    "prometheus": ("prometheus.service", "prometheus-node-exporter.service"),
    "prometheus-alertmanager": ("prometheus-alertmanager.service",),
    "webhook": ("webhook.service",),
}
"""systemd units that a package enables; what we install only for its program must not start at the next boot."""


@dataclass(frozen=True, slots=True)
class Provision:
    """What was asked for, told apart by what became of it."""

    present: tuple[str, ...]
    installed: tuple[str, ...]
    missing: dict[str, str]
    """Package name to the reason, in words, why it can't be had."""

    def __bool__(self) -> bool:
        return not self.missing

    def describe(self) -> str:
        """Say in one line a package what became of each package."""
        lines = [f"{name}: there" for name in self.present]
        lines += [f"{name}: installed" for name in self.installed]
        lines += [f"{name}: can't be had: {reason}" for name, reason in self.missing.items()]
        return "\n".join(lines)


def ensure(packages: Sequence[str], told: Callable[[str], None] = lambda _: None) -> Provision:
    """Install those of the Debian packages that are missing, without letting their services start.

    Nothing is installed unless we are root on a machine with apt-get; then the missing packages are reported with
    that reason. Packages are installed one by one, so that one that can't be had doesn't take the others with it.

    Args:
        packages: their names.
        told: is given a line before something is installed, which may take minutes.
    """
    present = tuple(name for name in packages if _is_there(name))
    absent = [name for name in packages if name not in present]
    if not absent:
        return Provision(present, (), {})
    if shutil.which("apt-get") is None:
        return Provision(present, (), dict.fromkeys(absent, "this machine has no apt-get (not Debian); install it"))
    if os.geteuid() != 0:
        hint = "not root; run as root: apt-get install --no-install-recommends"
        return Provision(present, (), {name: f"{hint} {name}" for name in absent})
    installed: list[str] = []
    missing: dict[str, str] = {}
    with no_service_starts():
        problem = _apt("update")
        for name in absent:
            told(f"Installing Debian's {name}, without starting any service of it ...")
            failure = _apt("install", "--yes", "--no-install-recommends", name)
            if failure is None and _is_there(name):
                installed.append(name)
                _disable_units(name)
            else:
                missing[name] = failure or problem or "apt-get succeeded, but the program isn't there"
    return Provision(present, tuple(installed), missing)


def _is_there(package: str) -> bool:
    program = PROGRAMS.get(package)
    if program is not None:
        return Path(program).exists() or shutil.which(Path(program).name) is not None
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        return False
    return answer.stdout == "installed"


def _apt(*arguments: str) -> str | None:
    """Run apt-get; answer nothing when it succeeded, else its last line of error."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=120", *arguments]
    try:
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=APT_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"`{' '.join(command)}` took longer than {APT_TIMEOUT:.0f} s"
    if answer.returncode == 0:
        return None
    lines = [line for line in answer.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"`{' '.join(command)}` exited {answer.returncode}"


@contextmanager
def no_service_starts() -> Iterator[None]:
    """Forbid package scripts to start services, unless the machine has a policy of its own."""
    if POLICY_FILE.exists():
        yield
        return
    POLICY_FILE.write_text(POLICY_DENY)
    POLICY_FILE.chmod(0o755)
    try:
        yield
    finally:
        POLICY_FILE.unlink(missing_ok=True)


def _disable_units(package: str) -> None:
    if not Path("/run/systemd/system").is_dir():
        return
    for unit in UNITS.get(package, ()):
        subprocess.run(["systemctl", "disable", unit], capture_output=True, timeout=60, check=False)


def main() -> int:
    """Install the packages named on the command line; exits 1 only in CI, where a missing part is a failure."""
    provision = ensure(sys.argv[1:], lambda line: print(line, flush=True))
    print(provision.describe())
    return 1 if os.environ.get("CI") and not provision else 0


if __name__ == "__main__":
    sys.exit(main())
