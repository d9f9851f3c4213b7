"""An incident's timeline live: the feed's entries, drawn by the same template as the page's own."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.people import Role
from receiver.web.feed import News, Told
from receiver.web.pages.frame import Frame
from receiver.web.problems import Problem
from receiver.web.requests import Query
from receiver.web.signin.visitors import Visitor
from receiver.web.stream import EventStream, listen, position
from receiver.web.stream import Frame as Sent

PARTS: Final = "parts.html"


class Live:
    """`/incidents/{id}/live`: server-sent events with the number of each event in its log as their id."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> list[Route]:
        """Return the one route."""
        return [self._frame.route("/incidents/{id}/live", Role.VIEWER, GET=self.stream)]

    async def stream(self, request: Request, visitor: Visitor) -> Response:
        """Send what happens to an incident until the reader goes, or may not read any more."""
        wanted = request.path_params["id"]
        if await self._frame.parts.store.incident(wanted) is None:
            raise Problem(404, f"There is no incident {wanted[:100]}.")
        after = position(request, Query(request, ("after",)))
        if request.method == "HEAD":
            return Response(media_type=EventStream.media_type)
        listener = await listen(self._frame.parts.feed, wanted, after)
        return EventStream(listener, self._draw, lambda: self._still(visitor))

    def _draw(self, news: News) -> Sent | None:
        """Return an entry as the page shows it; of one incident's feed there are no gaps."""
        if not isinstance(news, Told):
            return None
        return Sent("entry", self._frame.part(PARTS, "entry", news.entry))

    def _still(self, visitor: Visitor) -> None:
        if not self._frame.visitors.still(visitor):
            raise Problem(401, "The session has ended.")
