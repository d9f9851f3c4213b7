"""Forms: read within limits, and let pass only when one of our own pages sent them for this very visitor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from receiver.web.body import declared_length, read_body
from receiver.web.problems import Problem
from receiver.web.requests import MAX_REQUEST
from receiver.web.signin import cookies
from receiver.web.signin.visitors import Visitor

FIELDS: Final = 20


async def read_form(request: Request, visitor: Visitor, timeout: float) -> Mapping[str, str]:
    """Return a form's fields, each once.

    Args:
        timeout: seconds for the body to arrive.

    Raises:
        Problem: as of `read_fields`, or it comes without its session's token (403).
    """
    fields = await read_fields(request, visitor, timeout)
    cookies.check_token(fields.get("form", ""), None if visitor.fresh else visitor.secret)
    return fields


async def read_fields(request: Request, visitor: Visitor, timeout: float) -> Mapping[str, str]:
    """Return the fields of a form that nothing is done by: whose it is, is not asked.

    Raises:
        Problem: it comes from another site (403), is no form (415), too large (413), too slow (408), or has a field
            twice (400).
    """
    cookies.check_origin(request, visitor.door)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "The body must be a form.")
    length = request.headers.get("content-length")
    declared_length(length.encode("latin-1") if length is not None else None, MAX_REQUEST)
    body = await read_body(request.receive, MAX_REQUEST, timeout)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise Problem(400, "The form can't be read.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Problem(400, "A field of the form is there twice.")
    return fields
