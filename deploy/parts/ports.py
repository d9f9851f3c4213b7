"""Free TCP ports on loopback."""

import socket
from contextlib import closing

from deploy.parts.process import PartError


def free_port() -> int:
    """Return a port that nothing listens on right now; another process may still take it before we do."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_range(count: int) -> int:
    """Return the first of `count` ports in a row that nothing listens on right now."""
    while True:
        first = free_port()
        if first + count <= 65536 and all(map(is_free, range(first, first + count))):
            return first


def port_for(name: str, wanted: int | None) -> int:
    """Return the wanted port if it is free, or any free one when none is wanted.

    Raises:
        PartError: it is taken: whoever listens there would be mistaken for the part.
    """
    if wanted is None:
        return free_port()
    if not is_free(wanted):
        raise PartError(f"{name} can't have port {wanted}: something listens on 127.0.0.1:{wanted} already")
    return wanted


def is_free(port: int) -> bool:
    """Whether nothing listens on this port of 127.0.0.1."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
