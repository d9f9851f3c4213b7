"""What the demo leaves on an engine when it goes: nothing of its own, whatever state the engine is in."""

import json

import httpx
import pytest

from deploy.demo import stage
from deploy.parts.process import PartError

NETWORK = "a" * 64


class StuckEngine:
    """Answers as an engine does on whose network of ours there still are endpoints."""

    def __init__(self, endpoints: dict[str, str], containers: set[str]) -> None:
        self.endpoints = dict(endpoints)
        self.containers = containers
        self.network = True

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.answer), base_url="http://engine")

    def answer(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path.strip("/").split("/"):
            case "GET", ["containers", "json"]:
                return httpx.Response(200, json=[])
            case "GET", ["containers", holder, "json"]:
                return httpx.Response(200 if holder in self.containers else 404, json={})
            case "GET", ["networks"]:
                return httpx.Response(200, json=[{"Id": NETWORK}] if self.network else [])
            case "GET", ["networks", _]:
                holders = {holder: {"Name": name} for holder, name in self.endpoints.items()}
                return httpx.Response(200, json={"Containers": holders})
            case "POST", ["networks", _, "disconnect"]:
                name = json.loads(request.content)["Container"]
                self.endpoints = {holder: one for holder, one in self.endpoints.items() if one != name}
                return httpx.Response(200)
            case "DELETE", ["networks", _] if self.endpoints:
                return httpx.Response(403, json={"message": "has active endpoints"})
            case "DELETE", ["networks", _]:
                self.network = False
                return httpx.Response(204)
        raise AssertionError(request)


def test_a_network_that_holds_an_endpoint_of_a_container_that_is_gone_is_removed() -> None:
    engine = StuckEngine({"ep-1": "smartresume-smartresume-api-1", "b" * 64: "proxy"}, set())
    stage._remove(engine.client())
    assert not engine.network


def test_somebody_elses_container_stays_on_the_network_and_the_engines_words_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "GONE_WITHIN", 0.0)
    engine = StuckEngine({"c" * 64: "theirs"}, {"c" * 64})
    with pytest.raises(PartError, match="has active endpoints"):
        stage._remove(engine.client())
    assert engine.endpoints == {"c" * 64: "theirs"}
