"""The image's health check: `python3 check.py PORT PATH WORD` exits 0 when the answer is a 200 that holds the word.

It runs every second in every container, so it takes a bare socket: an HTTP client costs five times as long to import.
"""

import socket
import sys
from typing import Final

TIMEOUT: Final = 1.0
"""Seconds that connecting, and each read, may take."""


def main(port: int, path: str, word: str) -> int:
    """Ask once; return the exit status."""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
    except OSError as error:
        print(f"no answer at {path}: {error}")
        return 1
    first, _, body = answer.partition(b"\r\n")
    if b" 200 " not in first or word.encode() not in body:
        print(f"{path} answered {first!r}, without {word!r} in it" if b" 200 " in first else f"{path}: {first!r}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
