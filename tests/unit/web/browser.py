"""What a browser does, without one: keeps cookies, reads forms, sends them as its pages would."""

from html.parser import HTMLParser
from typing import Any

import httpx

from tests.unit.web.fakes import Edge


class Reader(HTMLParser):
    """Collects a page's elements, forms and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.forms: dict[str, dict[str, str]] = {}
        self.words: list[str] = []
        self._form: dict[str, str] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag == "form":
            self._form = self.forms[given["action"] or ""] = {}
        elif tag == "input" and self._form is not None:
            self._form[given["name"] or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [given for name, given in self.elements if name == tag]


def _transport(edge: Edge | None, address: str) -> httpx.AsyncBaseTransport:
    if edge is None:
        return httpx.AsyncHTTPTransport(verify=False, limits=httpx.Limits(max_keepalive_connections=0))
    return httpx.ASGITransport(app=edge.site, raise_app_exceptions=False, client=(address, 50000))


class Browser:
    """One browser, without JavaScript; over the network when there is no edge."""

    def __init__(self, edge: Edge | None, origin: str = "http://127.0.0.1:9797", address: str = "127.0.0.1") -> None:
        self.origin = origin
        self.http = httpx.AsyncClient(transport=_transport(edge, address), base_url=origin)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def read(self, path: str) -> Reader:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return Reader(answer.text)

    async def send(self, path: str, fields: dict[str, Any], **headers: str) -> httpx.Response:
        return await self.http.post(path, data=fields, headers={"origin": self.origin, **headers})

    async def submit(self, page: str, action: str, **fields: str) -> httpx.Response:
        """Open a page, fill in one of its forms and send it; follows no redirect."""
        form = (await self.read(page)).forms[action]
        return await self.send(action, {**form, **fields})

    async def sign_in(self, token: str) -> httpx.Response:
        return await self.submit("/signin", "/signin", token=token)
