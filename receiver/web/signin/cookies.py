"""The cookies of the pages, and the token that proves that a form is one of ours.

Over https a cookie has the prefix `__Host-`: no other host, subdomain or plain-text site can set it. A browser takes
that prefix only over https, so on loopback the same cookies have plain names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from receiver.web.problems import Problem
from receiver.web.signin.door import Door

SESSION: Final = "remediator-session"
FORM: Final = "remediator-form"
"""A random value for a browser without a session, so that its forms (the one to sign in) have a token too."""

SAID: Final = "remediator-said"
"""What a person is told about what they just did, across the redirect after it."""

OIDC: Final = "remediator-oidc"
"""A sign-in that was begun at the provider."""

_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{20,3500}={0,2}", re.ASCII)


def make() -> str:
    """Return a new random value with 256 bits."""
    return secrets.token_urlsafe(32)


def read(request: Request, door: Door, name: str) -> str | None:
    """Return a cookie's value, None when there is none or it has not the shape of one of ours."""
    value = request.cookies.get(_full(name, door))
    return value if value is not None and _VALUE.fullmatch(value) else None


def write(response: Response, door: Door, name: str, value: str, *, seconds: float | None = None) -> None:
    """Set a cookie: for this host only, out of scripts' reach, not sent along by other sites' forms.

    Args:
        seconds: until the browser forgets it; None: with its session.
    """
    response.set_cookie(
        _full(name, door),
        value,
        max_age=round(seconds) if seconds is not None else None,
        path="/",
        secure=door.secure,
        httponly=True,
        # Not `strict`: a link in a chat message must lead to the page, not to the form to sign in.
        samesite="lax",
    )


def drop(response: Response, door: Door, name: str) -> None:
    """Let the browser forget a cookie."""
    response.delete_cookie(_full(name, door), path="/", secure=door.secure, httponly=True, samesite="lax")


def _full(name: str, door: Door) -> str:
    return f"__Host-{name}" if door.secure else name


# --- forms ------------------------------------------------------------------------------------------------------------


def form_token(secret: str) -> str:
    """Return the token that belongs to a session's (or a form cookie's) value; it doesn't give that value away."""
    made = hmac.new(secret.encode(), b"remediator form", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def check_origin(request: Request, door: Door) -> None:
    """Let a form pass that one of our own pages sent.

    Raises:
        Problem: it comes from another site (403).
    """
    origin = request.headers.get("origin")
    # Every browser of today sends Origin with a form; a very strict privacy setting may leave it out.
    site = request.headers.get("sec-fetch-site")
    ours = origin.lower() == door.origin if origin is not None else site == "same-origin"
    if not ours:
        detail = f"The form was not sent by a page of {door.origin}. Open the page again, and send it from there."
        raise Problem(403, detail, errors=[{"where": "Origin", "message": "is not this service"}])


def check_token(given: str, secret: str | None) -> None:
    """Let a form pass that carries the token of its session.

    Raises:
        Problem: it doesn't (403): perhaps somebody signed in or out meanwhile.
    """
    if secret is None or not hmac.compare_digest(given.encode(), form_token(secret).encode()):
        detail = "This form is from before you signed in or out. Open the page again; nothing was changed."
        raise Problem(403, detail, errors=[{"where": "form", "message": "its token is not this session's"}])
