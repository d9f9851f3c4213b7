"""The API's document, as the whole site gives it; `make docs` writes it to docs/openapi.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import anyio

from tests.unit.house.sources import ROOT
from tests.unit.web.fakes import Edge

COPY: Final = ROOT / "docs" / "openapi.json"


class Desk:
    """Takes nothing: Slack's routes are only described."""

    async def interactive(self, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        raise NotImplementedError

    async def command(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        raise NotImplementedError


def whole() -> Edge:
    """Return a site with everything switched on that has routes."""
    environment = {
        "REMEDIATOR_SLACK_TOKEN": "xoxb-1",
        "REMEDIATOR_SLACK_CHANNEL": "C0123456789",
        "REMEDIATOR_SLACK_SIGNING_SECRET": "a-signing-secret",
    }
    return Edge(environment=environment, slack=Desk())


async def served() -> dict[str, Any]:
    async with whole().client() as client:
        answer = await client.get("/api/v1/openapi.json")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def write(path: Path = COPY) -> None:
    path.write_text(text(anyio.run(served)), "utf-8")


if __name__ == "__main__":
    write()
