"""The API's document against the real server: whatever schemathesis thinks up, no answer is a 500, each is as written.

Each operation gets its share of a small budget in `make test`, and far more with the marker `soak`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS

from receiver.people import People, Person, Role, hash_token
from receiver.web import feed
from tests.integration.web.service import Running, running
from tests.integration.web.states import of, states, world_of_states
from tests.unit.web.document import COPY
from tests.unit.web.fakes import TOKENS

PATHS: Final = {
    path: item
    for path, item in json.loads(COPY.read_text("utf-8"))["paths"].items()
    # There is no Slack in this world; its door has tests of its own.
    if not path.startswith("/slack/")
}
OPERATIONS: Final = sorted((path, method) for path, item in PATHS.items() for method in item if method != "parameters")
STRICT: Final = [
    (path, method) for path, method in OPERATIONS if PATHS[path][method].keys() & {"parameters", "requestBody"}
]
"""Those that can be asked for something wrong."""

WRONG: Final = ("Bearer rmd_unknown", "Basic YTpi", "Bearer", "Bearer \xe9", "x" * 5000)
TOLERANT: Final = {"/webhooks/alertmanager", "/api/v1/simulate"}
"""A bad alert of a good group is kept apart, and the group is taken."""

PEOPLE: Final = People({role: Person(role, role, frozenset({role}), (hash_token(TOKENS[role]),)) for role in Role})

# The schemes are all optional on loopback; who may do what is test_openapi's.
SKIPPED: Final = {"ignored_auth", "missing_required_header", "use_after_free", "ensure_resource_availability"}


@dataclass
class Served:
    """The server of another thread, and what its store holds."""

    url: str
    incidents: list[str]
    letters: list[str]
    schema: Any


class ThreadOfItsOwn:
    """Serves a world of many states until it is stopped."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: anyio.run(self._serve), daemon=True)
        self.served: Served | None = None

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._started.wait(60.0)
        assert self.served is not None
        return self.served

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(30.0)

    async def _serve(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        try:
            world = await world_of_states(self._directory)
            async with running(self._directory, {}, PEOPLE, world) as one:
                self.served = await self._look(one)
                self._started.set()
                await self._ending.wait()
        finally:
            self._started.set()

    async def _look(self, one: Running) -> Served:
        found = await states(one.world)
        assert {"triage", "awaiting_approval", "holding", "escalated", "cleanup", "resolved", "closed"} <= set(
            found.values()
        )
        incidents = [await of(one.world, name) for name in found]
        letters = [letter.id for letter in (await one.world.store.letters(dead=True)).items]
        async with one.client() as client:
            document = (await client.get("/api/v1/openapi.json")).json()
        return Served(one.url, incidents, letters, schemathesis.openapi.from_dict(document))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    async def until_silent(self: feed.Listener, within: float) -> feed.News | None:
        """End a stream where it would wait: schemathesis reads answers to their end."""
        del within
        found = await waits(self, 0.01)
        if found is None:
            raise feed.FeedEnded
        return found

    waits = feed.Listener.next
    with pytest.MonkeyPatch.context() as patched, ThreadOfItsOwn(tmp_path_factory.mktemp("fuzz")) as one:
        patched.setattr(feed.Listener, "next", until_silent)
        yield one


def fuzz(one: Served, path: str, method: str, examples: int, mode: GenerationMode) -> None:
    operation = one.schema[path][method.upper()]
    ids = one.letters if "outbox" in path else one.incidents
    session = requests.Session()
    session.trust_env = False
    skipped: Any = CHECKS.get_by_names(sorted(SKIPPED | ({"negative_data_rejection"} if path in TOLERANT else set())))
    good = [None, *(f"Bearer {token}" for token in TOKENS.values())]
    tokens = st.sampled_from([*good * 4, *WRONG])

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode), token=tokens, known=st.one_of(st.none(), st.sampled_from(ids))
    )
    def run(case: Case[Any], token: str | None, known: str | None) -> None:
        if known is not None and case.path_parameters:
            case.path_parameters = dict.fromkeys(case.path_parameters, known)
        headers = {} if token is None else {"Authorization": token.encode("latin-1")}
        case.call_and_validate(base_url=one.url, session=session, headers=headers, excluded_checks=skipped)

    run()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_is_sent_as_the_document_says_is_answered_as_it_says(served: Served, path: str, method: str) -> None:
    fuzz(served, path, method, 15, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("path", "method"), STRICT)
def test_what_is_not_as_the_document_says_is_refused_as_it_says(served: Served, path: str, method: str) -> None:
    fuzz(served, path, method, 10, GenerationMode.NEGATIVE)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        *((*one, GenerationMode.POSITIVE) for one in OPERATIONS),
        *((*one, GenerationMode.NEGATIVE) for one in STRICT),
    ],
)
def test_the_same_five_hundred_times(served: Served, path: str, method: str, mode: GenerationMode) -> None:
    fuzz(served, path, method, 500, mode)
