"""Following a stream: how its pieces are read, and what of a row of looks is shown."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.cli import watching
from receiver.cli.client import Client, Sent, sent
from receiver.errors import ServiceRefused, ServiceUnreachable
from receiver.web.stream import Frame, _frame

Captured = pytest.CaptureFixture[str]


@given(
    st.lists(st.tuples(st.integers(0, 10**17), st.text()), min_size=1, max_size=5),
    st.integers(1, 40),
)
def test_what_the_service_writes_is_read_in_whatever_pieces_it_comes(news: list[tuple[int, str]], size: int) -> None:
    frames = [_frame(Frame("entry", json.dumps(text)), position) for position, text in news]
    whole = b"id: 7\nretry: 2000\n\n" + b": still here\n\n".join(frames)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    found = [Sent("7", "message", "")]
    found += [Sent(str(position), "entry", json.dumps(text)) for position, text in news]
    assert list(sent(pieces)) == found


def test_separators_of_unicode_do_not_end_a_line() -> None:
    text = json.dumps("a\u2028b\x85c\x0bd", ensure_ascii=False)
    assert [one.data for one in sent([_frame(Frame("entry", text), 1)])] == [text]


def test_something_that_is_no_stream_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.cli.client.MOST_SENT", 100)
    with pytest.raises(ServiceUnreachable, match="no stream"):
        list(sent([b"x" * 60, b"x" * 60]))


def entry(seq: int, kind: str = "noted", alike: int = 1, incident: str = "i-1") -> dict[str, object]:
    return {"at": "2026-11-24T02:13:14.418Z", "kind": kind, "text": f"line {seq}", "tone": "info", "seq": seq,
            "alike": alike, "incident": incident, "data": {}}  # fmt: skip


def test_of_a_row_of_looks_the_first_and_the_last_are_shown(capsys: Captured) -> None:
    story = watching.Story(one=False)
    looks = [entry(1, "sampled"), entry(2, "sampled", 2), entry(3, "sampled", 3), entry(4, incident="i-2"),
             entry(5, "verified"), entry(6, "sampled"), entry(7, "sampled", 2)]  # fmt: skip
    for one in looks:
        story.entry(one)
    story.done()
    assert [line.rpartition(" ")[2] for line in capsys.readouterr().out.splitlines()] == ["1", "4", "3", "5", "6", "7"]


class Connections(Client):
    """Answers each connection from a list: pieces, then perhaps an error."""

    def __init__(self, *answers: list[Sent | Exception]) -> None:
        self.answers = list(answers)
        self.positions: list[str | None] = []

    @contextmanager
    def stream(self, path: str, position: str | None) -> Iterator[Iterator[Sent]]:
        self.positions.append(position)
        yield self._pieces(self.answers.pop(0))

    def _pieces(self, answer: list[Sent | Exception]) -> Iterator[Sent]:
        for one in answer:
            if isinstance(one, Exception):
                raise one
            yield one


def start(position: str) -> Sent:
    return Sent(position, "message", "")


def piece(seq: int) -> Sent:
    return Sent(str(seq), "entry", str(seq))


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("receiver.cli.watching.time.sleep", found.append)
    return found


def test_it_comes_again_where_it_was_as_often_as_needed(naps: list[float], capsys: Captured) -> None:
    broken: list[Sent | Exception] = [ServiceUnreachable("the connection broke")]
    client = Connections(
        [start("3"), *broken],
        *([broken] * 4),
        [ServiceRefused("stopping", 503)],
        [start("3"), piece(4), piece(5)],
        [piece(6)],
    )
    taken: list[str] = []

    def take(one: Sent) -> bool:
        taken.append(one.data)
        return one.data == "6"

    watching.follow(client, "/", take)
    assert taken == ["4", "5", "6"]
    assert client.positions == [None, *["3"] * 6, "5"]
    assert naps == [1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 1.0]
    err = capsys.readouterr().err
    assert (err.count("trying again"), err.count("connected again")) == (2, 2)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_no_ends_it_also_later(status: int) -> None:
    client = Connections([start("3")], [ServiceRefused("no", status)])
    with pytest.raises(ServiceRefused):
        watching.follow(client, "/", lambda _: False)


@pytest.mark.parametrize("error", [ServiceRefused("full", 503), ServiceUnreachable("nobody")])
def test_who_was_never_connected_does_not_wait(error: Exception) -> None:
    with pytest.raises(type(error)):
        watching.follow(Connections([error]), "/", lambda _: False)
