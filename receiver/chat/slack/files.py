"""A file in a thread, in Slack's three steps: ask for an address, send the bytes there, say where it is shown."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import httpx

from receiver.chat.slack.api import TIMEOUT, Api
from receiver.ports import ChatError

PAGES: Final = 5
"""Pages of a thread that are read back at most."""


class SlackFiles:
    """Uploads files.

    Args:
        api: Slack.
        http: for the bytes, which go without the token.
        api_url: where Slack's Web API is; an upload's address on that host may be plain HTTP too.
    """

    def __init__(self, api: Api, http: httpx.AsyncClient, api_url: str) -> None:
        self._api = api
        self._http = http
        self._host = urlsplit(api_url).netloc

    async def upload(self, name: str, data: bytes, *, seen: str) -> str:
        """Bring a file to Slack, where nobody sees it yet; returns its id.

        Args:
            name: of the file.
            data: its bytes.
            seen: what it shows, for those who can't see it.

        Raises:
            ChatError: it didn't get there; nothing is shown, whatever became of it.
            SlackRefused: Slack doesn't take it.
        """
        promised = await self._api.call(
            "files.getUploadURLExternal", filename=name, length=str(len(data)), alt_txt=seen[:1000]
        )
        url, file = promised.get("upload_url"), promised.get("file_id")
        if not isinstance(url, str) or not isinstance(file, str):
            raise ChatError("Slack's answer doesn't say where the file goes", retry_after=0.0)
        if urlsplit(url).scheme != "https" and urlsplit(url).netloc != self._host:
            raise ChatError("Slack wants the file at an address that is not encrypted", retry_after=0.0)
        try:
            answer = await self._http.post(
                url, content=data, headers={"Content-Type": "image/png"}, timeout=TIMEOUT, follow_redirects=False
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ChatError(f"the file didn't arrive: {str(error) or type(error).__name__}", retry_after=0.0) from error
        if answer.status_code != httpx.codes.OK:
            raise ChatError(f"the file was not taken: HTTP {answer.status_code}", retry_after=0.0)
        return file

    async def show(self, file: str, title: str, reference: str) -> None:
        """Show an uploaded file in a thread. Raises ChatError (`unknown`: perhaps it is shown) or SlackRefused."""
        channel, _, ts = reference.partition("/")
        await self._api.call(
            "files.completeUploadExternal", files=[{"id": file, "title": title}], channel_id=channel, thread_ts=ts
        )

    async def is_shown(self, file: str, reference: str) -> bool:
        """Whether a thread has the file. Raises ChatError or SlackRefused."""
        channel, _, ts = reference.partition("/")
        cursor: str | None = None
        for _ in range(PAGES):
            answer = await self._api.call("conversations.replies", channel=channel, ts=ts, limit="200", cursor=cursor)
            for message in answer.get("messages", ()):
                if any(one.get("id") == file for one in message.get("files") or ()):
                    return True
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                break
        return False
