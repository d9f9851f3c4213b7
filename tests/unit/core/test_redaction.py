"""What is shown of a stored event holds no credential, wherever it stood; ordinary words stay."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core import events as ev
from receiver.core import redaction
from receiver.core.redaction import HIDDEN, Secrets, hide, hide_deep
from receiver.core.timeline import data_of, header
from receiver.core.words import Names, say
from tests.unit.core.life import Life, playbook, step

SECRET = "hunter2-0123456789"
PARAMETERS: dict[str, Any] = {
    "url": f"https://me:{SECRET}@deploy.example/hook?token={SECRET}&x=1",
    "headers": {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "Accept": "text/plain"},
    "body": {"password": SECRET, "list": [{"client_secret": SECRET}]},
}


@pytest.mark.parametrize(
    "event",
    [
        ev.StepStarted("call", "a-1", "http", "step", f"POST {PARAMETERS['url']}", PARAMETERS, {"data": PARAMETERS}),
        ev.StepFinished("a-1", ok=False, text=f"the answer was token={SECRET}", data=PARAMETERS, post_state=PARAMETERS),
        ev.StepRefused("call", "target", f"https://me:{SECRET}@h/ is not there", data=PARAMETERS),
        ev.WouldHave("call", f"POST {PARAMETERS['url']}", "observe mode", plan=PARAMETERS),
        ev.Diagnosed(({"text": f"log: password={SECRET}"},), failed=None, readings=(PARAMETERS,)),
        ev.Sampled(None, f"https://me:{SECRET}@h/ can't be asked", (PARAMETERS,)),
        ev.Escalated(f"https://me:{SECRET}@h/ is not there", page_at=1.0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_no_event_shows_a_credential(event: ev.Event) -> None:
    assert SECRET not in str(data_of(event))
    assert SECRET not in say(event, Names())


def test_an_incident_that_needs_people_shows_none_either() -> None:
    life = Life(playbook(step("restart")))
    life.feed(ev.Escalated(f"https://me:{SECRET}@h/ is not there", page_at=1.0))
    assert SECRET not in header(life.incident).title


def test_what_is_no_credential_is_left_as_it_is() -> None:
    shown = hide_deep(PARAMETERS)
    assert shown["headers"]["Accept"] == "text/plain"
    assert shown["url"] == "https://***@deploy.example/hook?token=***&x=1"
    assert hide_deep({"secret": "", "n": 1, "b": None}) == {"secret": "", "n": 1, "b": None}
    for text in ("basic checks passed", "a secret garden", "http://h:9/x?y=1"):
        assert hide(text) == text


def test_what_lies_too_deep_is_hidden_as_a_whole() -> None:
    value: Any = "text"
    for _ in range(30):
        value = {"x": value}
    assert HIDDEN in str(hide_deep(value))
    assert "text" not in str(hide_deep(value))


@pytest.mark.parametrize("cut", [False, True])
def test_a_json_text_is_shown_without_credentials_also_when_it_is_cut_off(cut: bool) -> None:
    alert = {"labels": {"Authorization": SECRET, "note": f'api_key="{SECRET}"', "x": "kept", "own": 'my "own" one'}}
    whole = json.dumps(alert)
    shown = Secrets(['my "own" one']).json_text(whole[:-2] if cut else whole)
    assert SECRET not in shown
    assert "kept" in shown
    assert cut or "own" not in json.loads(shown)["labels"]["own"]


@given(
    st.text(),
    st.sampled_from(["", "Bearer aB1cdefg", "rmd_0123456789", "://u:p@h", "api_key=abcdef", "PA\u017fSWORD: abcdef"]),
)
def test_looking_for_signs_first_hides_no_less(text: str, credential: str) -> None:
    whole = f"{text} {credential} {text}"
    instead = whole
    for shape, hidden in redaction._SHAPES:
        instead = shape.sub(hidden, instead)
    assert hide(whole) == instead


@pytest.mark.parametrize("known", [SECRET, "aaaaaaaaab-aaaaaa", 'quoted "one" \\ 123'])
@pytest.mark.parametrize("after", ["", "…", "… (9000 characters)"])
def test_of_a_known_secret_that_is_cut_off_no_beginning_is_shown(known: str, after: str) -> None:
    secrets = Secrets(["another-secret", known])
    for length in range(redaction.SHORTEST_KNOWN, len(known)):
        assert secrets.text(f"Expected `int`, got {known[:length]}{after}") == f"Expected `int`, got ***{after}"
    assert secrets.value({"raw": f"{known[:9]}{after}"}) == {"raw": f"***{after}"}
    assert secrets.json_text(f'{{"raw": "{known[:6]}') == '{"raw": "***'


def test_what_a_known_secret_begins_with_is_left_within_a_text_that_goes_on() -> None:
    secrets = Secrets(["restart-the-service-0123"])
    for text in ("restart-the service", "restart-the-services…", "restart- is begun", "it did resta"):
        assert secrets.text(text) == text


@pytest.mark.parametrize("end", ["", "…"])
def test_userinfo_that_is_cut_off_is_hidden_and_a_port_is_none(end: str) -> None:
    assert hide(f"not a time: https://me:{SECRET[:3]}{end}") == f"not a time: https://***{end}"
    for text in (
        "http://h:9090",
        "http://h:9090.",
        "http://[::1]:9090",
        "http://127.0.0.1:{port}",
        "http://h",
        "http://h:",
    ):
        assert hide(text + end) == text + end


def test_a_known_secret_is_hidden_as_an_error_s_message_or_json_quotes_it_too() -> None:
    known = "a \"known\" <2> \\ 'one' ü"
    for quoted in (known, repr(known), json.dumps(known), json.dumps(known, ensure_ascii=False)):
        assert "known" not in Secrets([known]).text(f"not a number: {quoted} was given")
