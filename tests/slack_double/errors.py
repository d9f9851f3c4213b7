"""Slack's refusals: HTTP 200, `ok: false`, a code, and sometimes more."""

from collections.abc import Iterable
from typing import Any


class SlackError(Exception):
    """A refusal; `code` is one of Slack's published error codes.

    Args:
        code: such as `channel_not_found`.
        extra: further keys of the answer, such as `needed` and `provided`.
    """

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra

    def answer(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"ok": False, "error": self.code, **self.extra}


def explained(code: str, problems: Iterable[str], *, errors: bool = False) -> SlackError:
    """Return a refusal that says in `response_metadata.messages` what is wrong, in Slack's words.

    Args:
        code: `invalid_arguments`, `invalid_blocks`...
        problems: one text each, without the prefix.
        errors: whether the answer repeats them in `errors`, as recorded answers of `invalid_blocks` do.
    """
    texts = list(problems)
    extra: dict[str, Any] = {"errors": texts} if errors else {}
    return SlackError(code, **extra, response_metadata={"messages": [f"[ERROR] {text}" for text in texts]})
