"""The console as a chat: one line an entry, one an incident's change of state."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TextIO

from receiver.chat.render import Style, header_line, headline, style_of, thread_line
from receiver.ports import ChatError

REMEMBERED = 1000
"""Incidents whose last state line is remembered, so that it isn't printed twice in a row."""

RETRY = 30.0
"""Seconds until a line that could not be written is tried again."""


class ConsoleChat:
    """Writes to a stream; implements `receiver.ports.Chat`.

    Args:
        stream: a terminal, a pipe or a file.
        style: what it can show; by default it is asked (`NO_COLOR` and `TERM=dumb` are respected).
    """

    def __init__(self, stream: TextIO, style: Style | None = None) -> None:
        self._stream = stream
        self._style = style if style is not None else style_of(stream)
        self._shown: OrderedDict[str, str] = OrderedDict()

    async def header(self, incident: str, payload: Mapping[str, Any], reference: str | None) -> str:
        """Print the state line, unless it says what the last one said; raises ChatError."""
        title = headline(payload)
        if self._shown.get(incident) != title:
            await self._write(header_line(incident, payload, self._style))
            self._shown[incident] = title
            self._shown.move_to_end(incident)
            if len(self._shown) > REMEMBERED:
                self._shown.popitem(last=False)
        return incident

    async def thread(self, incident: str, payload: Mapping[str, Any], reference: str | None, key: str) -> str:
        """Print an entry; raises ChatError."""
        await self._write(thread_line(incident, payload, self._style))
        return key

    async def find(self, incident: str, key: str, reference: str | None) -> str | None:
        """Return None: a console can't be asked what it showed."""
        return None

    async def _write(self, line: str) -> None:
        # In a thread: a pipe that nobody reads would block the whole service.
        try:
            await asyncio.to_thread(self._write_here, line)
        except OSError as error:
            raise ChatError(f"the console can't be written: {error}", retry_after=RETRY) from error
        except ValueError as error:
            raise ChatError(f"the console is closed: {error}") from error

    def _write_here(self, line: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        self._stream.flush()
