"""All pages together, as routes."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from receiver.web.pages.declaring import Declaring
from receiver.web.pages.frame import Frame
from receiver.web.pages.incidents import IncidentPages
from receiver.web.pages.live import Live
from receiver.web.pages.oidc import OidcSigning
from receiver.web.pages.signing import Signing
from receiver.web.pages.static import STATIC
from receiver.web.pages.verbs import Verbs
from receiver.web.ports import Parts
from receiver.web.problems import Problem
from receiver.web.signin.visitors import Visitors

KEPT: Final = "public, max-age=31536000, immutable"
"""For static files by their address with a version, which changes with the file."""


def page_routes(parts: Parts) -> list[BaseRoute]:
    """Return the routes of every page and of what they load."""
    frame = Frame(parts, Visitors(parts, parts.settings))
    signing = Signing(frame)
    return [
        *IncidentPages(frame).routes(),
        *Live(frame).routes(),
        *Verbs(frame).routes(),
        *Declaring(frame).routes(),
        *signing.routes(),
        *(OidcSigning(frame, signing, parts.oidc).routes() if parts.oidc is not None else ()),
        Route("/static/{name:path}", static),
    ]


async def static(request: Request) -> Response:
    """Answer a static file; they hold nothing that isn't public."""
    found = STATIC.get(request.path_params["name"])
    if found is None:
        raise Problem(404, "There is no such file.")
    data, kind, version = found
    kept = request.query_params.get("v") == version
    return Response(data, media_type=kind, headers={"cache-control": KEPT if kept else "no-cache"})
