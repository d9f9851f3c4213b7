"""Free TCP ports on loopback."""

import socket
from contextlib import closing


def free_port() -> int:
    """Return a port that nothing listens on right now; another process may still take it before we do."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether nothing listens on this port of 127.0.0.1."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
