from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.matchers import Matcher, Op, matcher
from receiver.core.playbook import (
    ACKNOWLEDGE_WITHIN,
    DEADLINES,
    UPDATE_EVERY,
    ApprovalPolicy,
    Guardrails,
    OnFailure,
    Playbook,
    Query,
    SeverityRule,
    Step,
    Verification,
)
from receiver.core.severity import Severity
from receiver.core.stored import playbook_from_json, playbook_to_json, playbook_version

_text = st.text(max_size=8)
_number = st.floats(0, 1e9)
_matchers = st.lists(
    st.builds(matcher, _text, st.sampled_from([Op.EQUAL, Op.NOT_EQUAL]), _text)
    | st.builds(matcher, _text, st.sampled_from([Op.MATCHES, Op.NOT_MATCHES]), st.sampled_from(["a|b", ".*", r"\d+"])),
    max_size=3,
).map(tuple)
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)
_queries = st.lists(
    st.builds(Query, _text, _text, st.none() | _text, _text, st.none() | _text, _number, _text), max_size=2
).map(tuple)
_steps = st.lists(
    st.builds(
        Step,
        name=_text,
        action=_text,
        parameters=st.dictionaries(_text, _json, max_size=3),
        timeout=_number,
        verify=st.builds(
            Verification,
            health=st.booleans(),
            queries=_queries,
            consecutive=st.integers(1, 9),
            probe=st.lists(st.text(max_size=9), max_size=2).map(tuple),
        ),
        undo=st.booleans(),
        cleanup_after=st.none() | _number,
        on_failure=st.sampled_from(OnFailure),
        approval=st.builds(ApprovalPolicy, approvals=st.integers(0, 3), on_timeout=st.sampled_from(OnFailure)),
        allow_gap=st.booleans(),
    ),
    max_size=3,
).map(tuple)
_playbooks = st.builds(
    Playbook,
    name=_text,
    version=_text,
    rank=st.integers(0, 99),
    match=_matchers,
    severity=st.sampled_from(Severity),
    severity_rules=st.lists(st.builds(SeverityRule, _matchers, st.sampled_from(Severity)), max_size=2).map(tuple),
    target_labels=st.lists(_text, max_size=3).map(tuple),
    steps=_steps,
    guardrails=st.builds(Guardrails, min_healthy=st.none() | st.integers(0, 9), cooldown=_number),
    settle=_number,
    dry_run=st.booleans(),
    description=_text,
)


@given(_playbooks)
def test_a_stored_playbook_comes_back_exactly(playbook: Playbook) -> None:
    back = playbook_from_json(json.loads(json.dumps(playbook_to_json(playbook))))
    assert back == playbook
    assert playbook_version(back) == playbook_version(playbook)
    assert all(isinstance(one, Matcher) for one in back.match)


@given(_playbooks, _playbooks)
def test_versions_differ_when_the_content_does(one: Playbook, other: Playbook) -> None:
    content = [{**playbook_to_json(playbook), "version": "", "rank": 0} for playbook in (one, other)]
    assert (playbook_version(one) == playbook_version(other)) == (content[0] == content[1])


@pytest.mark.parametrize("data", [{}, {"name": "x"}, {"match": 1}])
def test_what_is_no_stored_playbook_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        playbook_from_json(data)


def test_a_playbook_from_before_there_were_deadlines_and_updates_has_none() -> None:
    now = Playbook("p", "v", 0, (), deadlines=DEADLINES, update_every=UPDATE_EVERY)
    old = {name: value for name, value in playbook_to_json(now).items() if name not in {"deadlines", "update_every"}}
    assert playbook_from_json(old) == Playbook("p", "v", 0, ())
    assert playbook_from_json(playbook_to_json(now)) == now


def test_a_playbook_from_before_response_times_could_be_chosen_keeps_the_times_that_all_had() -> None:
    now = Playbook("p", "v", 0, (), acknowledge_within={Severity.P1: 300.0})
    old = {name: value for name, value in playbook_to_json(now).items() if name != "acknowledge_within"}
    assert playbook_from_json(old).acknowledge_within == ACKNOWLEDGE_WITHIN
    assert playbook_from_json(playbook_to_json(now)) == now
