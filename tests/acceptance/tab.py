"""A browser's tab without JavaScript, beside the real process: it shows what it loaded until it is loaded again."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Self

import httpx

from tests.unit.web.browser import Reader


class Tab:
    """A person's tab on the page of an incident.

    Args:
        url: of the service.
        token: with which they sign in.
    """

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"origin": url}, timeout=20.0, trust_env=False)
        form = Reader(self._read("/signin")).forms["/signin"]
        assert self._http.post("/signin", data={**form, "token": token}).status_code == 303
        self.page = Reader("")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def open(self, incident: str) -> Reader:
        """Load an incident's page."""
        self.page = Reader(self._read(f"/incidents/{incident}"))
        return self.page

    def vote(self, incident: str, vote: str, reason: str = "") -> str:
        """Send the form as it was when the page was loaded; returns what the next page says of it."""
        path = f"/incidents/{incident}"
        answer = self._http.post(
            f"{path}/vote", data={**self.page.forms[f"{path}/vote"], "vote": vote, "reason": reason}
        )
        assert answer.status_code == 303, answer.text
        told = re.search(r'<p id="said".*?</p>', self._read(path))
        return Reader(told[0]).text if told else ""

    def _read(self, path: str) -> str:
        answer = self._http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text
