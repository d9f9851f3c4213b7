"""The pages: what they show is escaped and without credentials, and what their forms do is what people may do."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from receiver.core import events as ev
from receiver.core.alert import Alert
from receiver.core.events import Recorded
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.people import Identity, People, Person, Role, hash_token
from receiver.ports import AlertRow
from receiver.web.pages.frame import HEADERS
from receiver.web.parsing import parse
from tests.unit.web.browser import Browser, Reader
from tests.unit.web.fakes import NOW, TOKENS, Edge, Said, everybody, payload

pytestmark = pytest.mark.anyio

OUTSIDE = "https://remediator.example.com"
FAR = {
    "REMEDIATOR_LISTEN": "0.0.0.0:9797",
    "REMEDIATOR_WEBHOOK_TOKENS": "the-webhooks-own-token",
    "REMEDIATOR_EXTERNAL_URL": OUTSIDE,
}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnp\x1b[31m{{7*7}}"
ASKED = ev.ApprovalAsked(
    approval="p-1",
    step="rollback",
    summary="roll api back to the version that was known good",
    plan_hash="abc123",
    needed=2,
    expires_at=NOW + 600,
    execute_before=300.0,
    on_timeout="escalate",
    reason_required=True,
    plan={"steps": ["stop api-1", "start api-1 from good"], "healthy_now": 2, "lowest_healthy": 1},
    approvers=("approver", "admin"),
)
VERBS: list[tuple[str, dict[str, str], Role, str]] = [
    ("vote", {"vote": "deny", "approval": "p-1", "reason": "no"}, Role.APPROVER, "vote"),
    ("ack", {}, Role.RESPONDER, "acknowledge"),
    ("takeover", {"reason": "mine"}, Role.RESPONDER, "take_over"),
    ("pause", {"reason": "a look first"}, Role.RESPONDER, "pause"),
    ("resume", {}, Role.RESPONDER, "resume"),
    ("severity", {"severity": "P2", "reason": "one customer"}, Role.RESPONDER, "severity"),
    ("close", {"reason": "no trouble"}, Role.RESPONDER, "close"),
    ("note", {"text": "seen before"}, Role.RESPONDER, "note"),
]
PATHS = ["/declare", "/incidents", "/incidents?all=true", "/approvals", "/incidents/i-1", "/incidents/i-1/dry-run"]


def edge(*more: ev.Event, alert: Alert | None = None, environment: Mapping[str, str] | None = None) -> Edge:
    one = Edge(people=everybody(), environment=environment)
    shown = alert or parse(payload("01-single-firing"), NOW).alerts[0]
    one.store.add("i-1", AlertRow(shown, "i-1"))
    log = one.store.logs["i-1"]
    log += [Recorded("i-1", seq, NOW + seq, event) for seq, event in enumerate(more, 2)]
    return one


async def signed_in(one: Edge, role: Role = Role.APPROVER) -> Browser:
    browser = Browser(one)
    assert (await browser.sign_in(TOKENS[role])).status_code == 303
    return browser


def said(browser: Browser) -> str:
    """Return what the redirect after a form will tell."""
    told: dict[str, str] = json.loads(base64.urlsafe_b64decode(browser.http.cookies["remediator-said"].strip('"')))
    return told["text"]


async def send(browser: Browser, verb: str, fields: dict[str, str], **headers: str) -> Any:
    form = (await browser.read("/incidents/i-1")).forms["/signout"]["form"]
    return await browser.send(f"/incidents/i-1/{verb}", {"form": form, **fields}, **headers)


@pytest.mark.parametrize("path", PATHS)
async def test_what_comes_with_alerts_is_text_and_never_markup(path: str) -> None:
    shown = parse(payload("01-single-firing"), NOW).alerts[0]
    alert = replace(
        shown,
        labels={**shown.labels, "team": HOSTILE, "alertname": HOSTILE},
        annotations={"summary": HOSTILE, "runbook_url": "javascript:alert(3)", HOSTILE: HOSTILE},
    )
    hostile = replace(ASKED, summary=HOSTILE, step=HOSTILE, plan={"steps": [HOSTILE]}, approvers=(HOSTILE,))
    voted = ev.Voted("p-1", HOSTILE, approve=True, reason=HOSTILE, via="web")
    one = edge(ev.Noted(HOSTILE, HOSTILE), hostile, voted, alert=alert)
    answer = await (await signed_in(one)).get(path)
    page = Reader(answer.text)
    assert answer.status_code == 200
    assert all(given.get("src", "").startswith("/static/") for given in page.named("script"))  # type: ignore[union-attr]
    assert page.named("img") == []
    assert not [given for _, given in page.elements if any(name.startswith("on") for name in given)]
    assert not [given for given in page.named("a") if (given["href"] or "").startswith("javascript")]
    assert "\u202e" not in answer.text
    assert "\x1b" not in answer.text


async def test_credentials_stand_on_no_page() -> None:
    shown = parse(payload("01-single-firing"), NOW).alerts[0]
    alert = replace(
        shown,
        labels={**shown.labels, "api_key": "plain-as-day"},
        annotations={
            "summary": "Authorization: Bearer abc123DEF456",
            "own": "the-webhooks-own-token",
            "url": "http://u:pw123@h/",
        },
    )
    note = ev.Noted("password=hunter2hunter2 and the-webhooks-own-token", "ann")
    one = edge(note, replace(ASKED, summary="call http://u:pw123@host/ now"), alert=alert, environment=FAR)
    browser = Browser(one, OUTSIDE)
    await browser.sign_in(TOKENS[Role.APPROVER])
    for path in PATHS:
        text = (await browser.get(path)).text
        for secret in ("plain-as-day", "abc123DEF456", "the-webhooks-own-token", "hunter2", "pw123"):
            assert secret not in text, path


@pytest.mark.parametrize("path", [*PATHS, "/signin", "/incidents/none"])
async def test_every_page_forbids_what_it_does_not_need(path: str) -> None:
    answer = await (await signed_in(edge(ASKED))).get(path)
    policy = answer.headers["content-security-policy"]
    assert policy == HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    page = Reader(answer.text)
    assert page.named("style") == []
    assert not [given for _, given in page.elements if "style" in given]


@pytest.mark.parametrize(("verb", "fields", "role", "asked"), VERBS)
async def test_a_form_does_its_verb_as_the_person_who_signed_in(
    verb: str, fields: dict[str, str], role: Role, asked: str
) -> None:
    one = edge(ASKED)
    browser = await signed_in(one, role)
    answer = await send(browser, verb, fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/i-1")
    ((what, how),) = one.operations.asked
    assert what == asked
    assert how["by"] == Principal(role.value, "web", "token", "127.0.0.1")
    assert "Done so" in (await browser.read("/incidents/i-1")).text
    assert "Done so" not in (await browser.read("/incidents/i-1")).text, "it is told twice"


@pytest.mark.parametrize(("verb", "fields", "role", "_asked"), VERBS)
async def test_a_form_of_who_may_not_is_refused(verb: str, fields: dict[str, str], role: Role, _asked: str) -> None:
    one = edge(ASKED)
    browser = await signed_in(one, Role.VIEWER)
    answer = await send(browser, verb, fields)
    assert answer.status_code == 403
    assert f"needs the role {role}" in answer.text
    assert one.operations.asked == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.RESPONDER])
async def test_who_may_not_approve_is_shown_the_plan_and_no_buttons(role: Role) -> None:
    page = await (await signed_in(edge(ASKED), role)).read("/incidents/i-1")
    assert "start api-1 from good" in page.text
    assert "/incidents/i-1/vote" not in page.forms
    assert "needs the role approver" in page.text


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:9797.evil.example", "http://127.0.0.1:1"]
)
@pytest.mark.parametrize(("verb", "fields", "_role", "_asked"), VERBS)
async def test_a_form_of_another_site_is_refused(
    verb: str, fields: dict[str, str], _role: Role, _asked: str, origin: str
) -> None:
    one = edge(ASKED)
    answer = await send(await signed_in(one), verb, fields, origin=origin)
    assert answer.status_code == 403
    assert one.operations.asked == []


@pytest.mark.parametrize("token", ["", "wrong", None, "another's"])
async def test_a_form_without_its_sessions_token_is_refused(token: str | None) -> None:
    one = edge(ASKED)
    browser, other = await signed_in(one), await signed_in(one)
    given = (await other.read("/incidents")).forms["/signout"]["form"] if token == "another's" else token
    fields = {"other": "x"} if given is None else {"form": given}
    answer = await browser.send("/incidents/i-1/ack", fields)
    assert answer.status_code == 403
    assert one.operations.asked == []


async def test_a_form_without_an_origin_passes_only_when_the_browser_says_it_is_ours() -> None:
    one = edge(ASKED)
    browser = await signed_in(one)
    form = (await browser.read("/incidents")).forms["/signout"]["form"]
    for site, status in ((None, 403), ("cross-site", 403), ("same-site", 403), ("none", 403), ("same-origin", 303)):
        headers = {"sec-fetch-site": site} if site is not None else {}
        answer = await browser.http.post("/incidents/i-1/ack", data={"form": form}, headers=headers)
        assert answer.status_code == status, site


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"form=x&form=y", "application/x-www-form-urlencoded", 400),
        (b"\xff=1", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"f%d=1" % number for number in range(100)), "application/x-www-form-urlencoded", 400),
        (b"a" * 2_000_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_what_is_no_form_is_refused(content: bytes, kind: str, status: int) -> None:
    one = edge(ASKED)
    browser = await signed_in(one)
    headers = {"content-type": kind, "origin": browser.origin}
    answer = await browser.http.post("/incidents/i-1/note", content=content, headers=headers)
    assert answer.status_code == status
    assert one.operations.asked == []


async def test_a_vote_answers_the_request_that_the_page_showed() -> None:
    one = edge(ASKED)
    browser = await signed_in(one)
    page = await browser.read("/incidents/i-1")
    form = page.forms["/incidents/i-1/vote"]
    assert form["approval"] == "p-1"
    await browser.send("/incidents/i-1/vote", {**form, "vote": "approve", "reason": "it was fine before"})
    ((_, how),) = one.operations.asked
    assert (how["approval"], how["approve"], how["reason"]) == ("p-1", True, "it was fine before")


@pytest.mark.parametrize("fields", [{"vote": "approve"}, {"approval": "p-1"}, {"vote": "yes", "approval": "p-1"}])
async def test_a_vote_that_does_not_say_what_it_means_is_refused(fields: dict[str, str]) -> None:
    one = edge(ASKED)
    assert (await send(await signed_in(one), "vote", fields)).status_code == 422
    assert one.operations.asked == []


async def test_a_late_press_is_told_which_decision_stands() -> None:
    one = edge(ASKED, ev.ApprovalEnded("p-1", "denied", "bob denied: wrong version"))
    one.operations.says = Said("conflict", "there is nothing to approve")
    browser = await signed_in(one)
    answer = await send(browser, "vote", {"vote": "approve", "approval": "p-1", "reason": "go"})
    assert answer.status_code == 303
    text = said(browser)
    assert text.startswith("Too late: step rollback was denied at ")
    assert "bob denied: wrong version" in text
    assert "changed nothing" in text


async def test_a_verb_that_is_refused_says_why() -> None:
    one = edge(ASKED)
    one.operations.says = Said("conflict", "P1 already")
    browser = await signed_in(one)
    await send(browser, "severity", {"severity": "P1", "reason": "so"})
    page = await browser.read("/incidents/i-1")
    assert "Not done: P1 already." in page.text
    assert one.operations.asked[0][1]["severity"] is Severity.P1


@pytest.mark.parametrize("phase", ["", "assessed", "mitigated"])
async def test_a_note_carries_the_phase_that_the_form_offers(phase: str) -> None:
    one = edge()
    browser = await signed_in(one)
    assert f'<option value="{phase}">' in (await browser.http.get("/incidents/i-1")).text
    await send(browser, "note", {"text": "the disk is full", "phase": phase})
    assert (one.operations.asked[0][1]["text"], one.operations.asked[0][1]["phase"]) == ("the disk is full", phase)


@pytest.mark.parametrize("severity", ["P5", "", "p1", None])
async def test_a_severity_that_there_is_not_is_refused(severity: str | None) -> None:
    one = edge()
    fields = {} if severity is None else {"severity": severity}
    assert (await send(await signed_in(one), "severity", {"reason": "so", **fields})).status_code == 422
    assert one.operations.asked == []


async def test_what_a_person_is_told_holds_no_credential_and_fits_a_cookie() -> None:
    one = edge()
    one.operations.says = Said("conflict", "token=abcdef123456 " + "\N{GRINNING FACE}" * 5000)
    browser = await signed_in(one)
    await send(browser, "ack", {})
    assert "abcdef123456" not in said(browser)
    assert len(browser.http.cookies["remediator-said"]) < 4000
    assert "\N{GRINNING FACE}" in (await browser.read("/incidents/i-1")).text


async def test_a_verb_by_its_address_or_after_signing_in_again_does_nothing_and_says_so() -> None:
    one = edge(ASKED)
    browser = await signed_in(one)
    answer = await browser.get("/incidents/i-1/vote")
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/i-1")
    assert "Nothing was done; press again." in (await browser.read("/incidents/i-1")).text
    assert one.operations.asked == []


async def test_an_incident_that_there_is_not_is_a_page_that_says_so() -> None:
    browser = await signed_in(edge())
    for path in ("/incidents/none", "/incidents/none/dry-run", "/incidents/none/live"):
        answer = await browser.get(path)
        assert answer.status_code == 404
        assert "There is no incident none." in Reader(answer.text).text


async def test_a_store_that_does_not_answer_is_a_page_that_says_so() -> None:
    one = edge()
    browser = Browser(one)
    one.store.down = True
    answer = await browser.get("/incidents")
    assert answer.status_code == 503
    assert "The store does not answer" in answer.text


async def test_static_files_are_kept_by_their_version_and_no_other_path_is_read() -> None:
    browser = Browser(edge())
    page = await browser.read("/incidents")
    for given in page.named("script") + page.named("link"):
        answer = await browser.get(given.get("src") or given["href"] or "")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    for path in ("/static/app.js?v=old", "/static/app.css"):
        assert (await browser.get(path)).headers["cache-control"] == "no-cache"
    for path in ("/static/../templates/base.html", "/static/..%2fpages/frame.py", "/static/nothing.js"):
        assert (await browser.get(path)).status_code == 404


# --- a proxy that signs people in -------------------------------------------------------------------------------------

PROXY = {
    **FAR,
    "REMEDIATOR_SIGN_IN": "local,proxy",
    "REMEDIATOR_TRUSTED_PROXIES": "10.0.0.0/24,127.0.0.1",
    "REMEDIATOR_PROXY_USER_HEADER": "X-Auth-User",
}
NAMED = People(
    {
        "ann": Person(
            "ann",
            "Ann",
            frozenset({Role.APPROVER}),
            (hash_token("rmd_ann_0123456789"),),
            identities=(Identity("proxy", "ann@example.com"),),
        )
    }
)


def behind(address: str = "10.0.0.7", **environment: str) -> tuple[Edge, Browser]:
    one = edge(ASKED, environment={**PROXY, **environment})
    one.people = NAMED
    return one, Browser(one, OUTSIDE, address)


WHO = {"x-auth-user": "ann@example.com", "x-forwarded-for": "203.0.113.9, 10.0.0.9"}


async def test_whom_a_trusted_proxy_names_acts_as_that_person_from_their_own_address() -> None:
    one, browser = behind()
    page = Reader((await browser.get("/incidents/i-1", **WHO)).text)
    form = page.forms["/incidents/i-1/vote"]
    fields = {**form, "vote": "deny", "reason": "no"}
    answer = await browser.send("/incidents/i-1/vote", fields, **WHO)
    assert answer.status_code == 303
    ((_, how),) = one.operations.asked
    assert how["by"] == Principal("ann", "web", "proxy", "203.0.113.9")
    without = await browser.send("/incidents/i-1/vote", {**fields, "form": "x"}, **WHO)
    assert without.status_code == 403


@pytest.mark.parametrize("address", ["10.0.1.7", "203.0.113.7", "::1"])
async def test_who_is_no_trusted_proxy_names_nobody(address: str) -> None:
    _, browser = behind(address)
    answer = await browser.get("/incidents", **WHO)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin")


async def test_a_trusted_proxy_names_nobody_where_that_is_no_way_to_sign_in() -> None:
    _, browser = behind(REMEDIATOR_SIGN_IN="local")
    assert (await browser.get("/incidents", **WHO)).status_code == 303


@pytest.mark.parametrize("name", ["eve@example.com", "ANN@example.com", "ann"])
async def test_whom_people_yaml_does_not_know_so_is_refused(name: str) -> None:
    _, browser = behind()
    answer = await browser.get("/incidents", **{**WHO, "x-auth-user": name})
    assert answer.status_code == 403
    assert "people.yaml" in answer.text


async def test_two_names_in_one_request_are_refused() -> None:
    _, browser = behind()
    headers = [("x-auth-user", "ann@example.com"), ("x-auth-user", "ann@example.com")]
    assert (await browser.http.get("/incidents", headers=headers)).status_code == 403


async def test_a_trusted_proxy_that_names_nobody_makes_nobody_local() -> None:
    _, browser = behind("127.0.0.1")
    answer = await browser.get("/incidents", host="127.0.0.1:9797")
    assert answer.status_code == 303


def test_templates_are_not_in_memory_before_somebody_looks_at_a_page() -> None:
    told = "import sys, receiver.web.site; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


WISH = {"title": "checkout is slow", "severity": "P2", "service": "checkout"}


async def test_a_declared_incident_is_the_persons_who_signed_in_and_leads_to_its_page() -> None:
    one = edge()
    one.operations.says = Said("done", "declared i-1 as P2", "i-1")
    browser = await signed_in(one, Role.RESPONDER)
    answer = await browser.submit("/declare", "/declare", **WISH)
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/i-1")
    ((what, how),) = one.operations.asked
    assert (what, how["severity"], how["title"], how["service"]) == (
        "declare",
        Severity.P2,
        "checkout is slow",
        "checkout",
    )
    assert how["by"] == Principal("responder", "web", "token", "127.0.0.1")
    assert "Declared i-1 as P2" in (await browser.read("/incidents/i-1")).text


async def test_a_form_that_is_sent_twice_is_one_wish_and_a_changed_or_a_new_one_is_another() -> None:
    one = edge()
    one.operations.says = Said("done", "declared i-1 as P2", "i-1")
    browser = await signed_in(one, Role.RESPONDER)
    form = {**(await browser.read("/declare")).forms["/declare"], **WISH}
    for changed in ({}, {}, {"title": "checkout is down"}):
        await browser.send("/declare", {**form, **changed})
    await browser.submit("/declare", "/declare", **WISH)
    first, again, changed_one, another = [how["once"] for _, how in one.operations.asked]
    assert first == again
    assert len({first, changed_one, another}) == 3


async def test_the_wishes_of_two_people_are_two() -> None:
    one = edge()
    one.operations.says = Said("done", "declared i-1 as P2", "i-1")
    for role in (Role.RESPONDER, Role.APPROVER):
        browser = await signed_in(one, role)
        form = (await browser.read("/declare")).forms["/declare"]
        await browser.send("/declare", {**form, **WISH, "once": "the-same-for-both"})
    mine, theirs = [how["once"] for _, how in one.operations.asked]
    assert mine != theirs


@pytest.mark.parametrize(
    ("says", "given", "beside"),
    [
        (Said("conflict", "say what is wrong in 1 to 100 characters"), {"title": " "}, "title-wrong"),
        (Said("not_found", "there is no service checkout"), {}, "service-wrong"),
        (Said("done", ""), {"severity": "P9"}, "severity-wrong"),
    ],
)
async def test_what_is_wrong_with_a_declaration_is_told_beside_its_field_and_nothing_written_is_lost(
    says: Said, given: dict[str, str], beside: str
) -> None:
    one = edge()
    one.operations.says = says
    browser = await signed_in(one, Role.RESPONDER)
    before = (await browser.read("/declare")).forms["/declare"]
    answer = await browser.send("/declare", {**before, **WISH, **given})
    page = Reader(answer.text)
    assert answer.status_code == 422
    assert [span["id"] for span in page.named("span") if (span.get("id") or "").endswith("-wrong")] == [beside]
    assert page.forms["/declare"]["title"] == {**WISH, **given}["title"]
    assert page.forms["/declare"]["once"] == before["once"]
    assert [one["value"] for one in page.named("option") if "selected" in one and one.get("value")] == (
        ["P2"] if "severity" not in given else []
    )


async def test_who_may_not_declare_is_told_which_role_they_need() -> None:
    one = edge()
    browser = await signed_in(one, Role.VIEWER)
    answer = await browser.get("/declare")
    assert answer.status_code == 403
    assert "needs the role responder" in answer.text
    form = (await browser.read("/incidents")).forms["/signout"]["form"]
    assert (await browser.send("/declare", {"form": form, "once": "12345678", **WISH})).status_code == 403
    assert one.operations.asked == []


@pytest.mark.parametrize("fields", [{"once": ""}, {"once": "x" * 65}, {"form": "wrong"}])
async def test_a_declaration_that_no_page_of_ours_sent_is_refused(fields: dict[str, str]) -> None:
    one = edge()
    browser = await signed_in(one, Role.RESPONDER)
    form = (await browser.read("/declare")).forms["/declare"]
    assert (await browser.send("/declare", {**form, **WISH, **fields})).status_code in {403, 422}
    assert one.operations.asked == []


async def test_a_declaration_from_another_site_is_refused() -> None:
    one = edge()
    browser = await signed_in(one, Role.RESPONDER)
    form = (await browser.read("/declare")).forms["/declare"]
    answer = await browser.send("/declare", {**form, **WISH}, origin="https://evil.example")
    assert answer.status_code == 403
    assert one.operations.asked == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [("/declare", {"once": "12345678", **WISH}), ("/incidents/i-1/close", {"reason": "checkout is slow"})],
)
@pytest.mark.parametrize("headers", [{}, {"hx-request": "true"}])
async def test_who_is_signed_out_while_they_type_gets_their_words_back_and_is_told_that_nothing_was_done(
    path: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    one = edge()
    browser = await signed_in(one, Role.RESPONDER)
    form = (await browser.read("/incidents")).forms["/signout"]["form"]
    browser.http.cookies.clear()
    hostile = {name: text.replace("slow", f"slow {HOSTILE}") for name, text in fields.items()}
    answer = await browser.send(path, {"form": form, **hostile}, **headers)
    page = Reader(answer.text)
    assert answer.status_code == 403
    assert "nothing was done" in page.text
    assert "checkout is slow <script>alert(1)</script>" in page.text
    assert page.named("img") == []
    where = "/declare" if path == "/declare" else "/incidents/i-1"
    assert f"/signin?next={where}" in [given.get("href") for given in page.named("a")]
    assert one.operations.asked == []


async def test_words_that_another_site_sends_stand_on_no_page() -> None:
    answer = await Browser(edge()).send("/incidents/i-1/note", {"text": "trust me"}, origin="https://evil.example")
    assert answer.status_code == 403
    assert "trust me" not in answer.text
