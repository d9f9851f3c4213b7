"""The command line: `remediator serve`, and everything that a person asks the running service.

Exit codes: 0 done; 1 no (problems found, refused, could not start); 2 wrong usage or settings; 3 the service can't be
reached; 4 not allowed; 5 no such thing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from receiver.cli.parser import build_parser
from receiver.errors import RemediatorError, ServiceRefused, ServiceUnreachable, SettingsError

OK = 0
NO = 1
USAGE = 2
UNREACHABLE = 3
NOT_ALLOWED = 4
NOT_FOUND = 5

_BY_STATUS = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: NOT_FOUND}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors are told in words on standard error."""
    parser = build_parser()
    given = parser.parse_args(arguments)
    try:
        code: int = given.run(given)
        sys.stdout.flush()
    except ServiceRefused as error:
        return _failed(error, _BY_STATUS.get(error.status, NO))
    except ServiceUnreachable as error:
        return _failed(error, UNREACHABLE)
    except SettingsError as error:
        return _failed(error, USAGE)
    except RemediatorError as error:
        return _failed(error, NO)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read along (`| head`) has seen enough; Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _failed(error: RemediatorError, code: int) -> int:
    for line in str(error).splitlines() or ["failed"]:
        sys.stderr.write(f"remediator: {line}\n")
    return code
