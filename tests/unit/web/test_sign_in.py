"""Signing in to the pages with a person's token: sessions begin, are limited, and end when they should."""

import re

import pytest

from receiver.people import People, Person, Role, hash_token
from receiver.web.signin.attempts import FAILURES, WINDOW
from receiver.web.signin.sessions import KEY, MOST
from tests.unit.web.browser import Browser, Reader
from tests.unit.web.fakes import NOW, TOKENS, Edge, everybody

pytestmark = pytest.mark.anyio

OUTSIDE = "https://remediator.example.com"
FAR = {
    "REMEDIATOR_LISTEN": "0.0.0.0:9797",
    "REMEDIATOR_WEBHOOK_TOKENS": "the-webhooks-own-token",
    "REMEDIATOR_EXTERNAL_URL": OUTSIDE,
}
PAGES = ["/", "/incidents", "/approvals", "/incidents/i-1", "/incidents/i-1/dry-run", "/incidents/i-1/live"]
TOKEN = TOKENS[Role.APPROVER]


def edge(**environment: str) -> Edge:
    one = Edge(people=everybody(), environment=environment)
    one.store.add("i-1")
    return one


def far() -> tuple[Edge, Browser]:
    one = edge(**FAR)
    return one, Browser(one, OUTSIDE, "203.0.113.7")


@pytest.mark.parametrize("path", PAGES)
async def test_off_loopback_every_page_leads_to_the_form_to_sign_in(path: str) -> None:
    _, browser = far()
    answer = await browser.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin?next=/")
    assert "i-1" not in answer.text


async def test_who_signed_in_goes_on_to_the_page_that_they_wanted() -> None:
    _, browser = far()
    answer = await browser.submit("/signin?next=/incidents/i-1", "/signin", token=TOKEN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/i-1")
    assert "Approver" in (await browser.read("/incidents/i-1")).text


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb", "", "/é"]
)
async def test_nobody_is_sent_to_another_site_after_signing_in(wanted: str) -> None:
    _, browser = far()
    form = (await browser.read("/signin")).forms["/signin"]
    answer = await browser.send("/signin", {**form, "token": TOKEN, "next": wanted})
    assert answer.headers["location"] == "/incidents"


async def test_over_https_the_session_s_cookie_is_bound_to_host_and_https() -> None:
    _, browser = far()
    cookie = next(one for one in (await browser.sign_in(TOKEN)).headers.get_list("set-cookie") if "session" in one)
    name, _, rest = cookie.partition("=")
    assert name == "__Host-remediator-session"
    attributes = {one.strip().lower() for one in rest.split(";")[1:]}
    assert {"httponly", "path=/", "secure", "samesite=lax"} <= attributes
    assert not any(one.startswith("domain") for one in attributes)


async def test_on_loopback_the_cookie_has_the_plain_name_that_is_documented() -> None:
    cookies = (await Browser(edge()).sign_in(TOKEN)).headers.get_list("set-cookie")
    (cookie,) = [one for one in cookies if "session" in one]
    assert cookie.startswith("remediator-session=")
    assert "secure" not in cookie.lower()
    assert "httponly" in cookie.lower()


async def test_a_wrong_token_is_refused_and_not_repeated() -> None:
    one, browser = far()
    answer = await browser.sign_in("rmd_wrong_wrong_wrong_wrong")
    assert answer.status_code == 403
    assert "nobody's token" in Reader(answer.text).text
    assert "wrong_wrong" not in answer.text
    assert KEY not in one.store.values


async def test_the_store_holds_neither_tokens_nor_what_a_session_could_be_taken_over_with() -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    kept = repr(one.store.values[KEY])
    cookie = browser.http.cookies["__Host-remediator-session"]
    assert "approver" in kept
    assert TOKEN not in kept
    assert cookie not in kept


async def test_a_session_outlives_a_restart_of_the_service() -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    again = edge(**FAR)
    again.store.values = one.store.values
    after = Browser(again, OUTSIDE)
    after.http.cookies = browser.http.cookies
    assert (await after.get("/incidents")).status_code == 200


async def test_a_session_ends_when_it_is_not_used() -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    for _ in range(30):
        one.clock.at += one.settings.session_idle - 1
        if one.clock.at - NOW > one.settings.session_limit - one.settings.session_idle:
            break
        assert (await browser.get("/incidents")).status_code == 200
    one.clock.at += 2 + one.settings.session_idle
    assert (await browser.get("/incidents")).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [{"x-part": "state"}, {"hx-request": "true"}, {"accept": "text/event-stream"}],
    ids=lambda one: next(iter(one)),
)
async def test_what_an_open_page_asks_by_itself_keeps_no_session_alive(headers: dict[str, str]) -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    codes = []
    for _ in range(4):
        one.clock.at += one.settings.session_idle / 3
        codes.append((await browser.get("/incidents", **headers)).status_code)
    assert codes[0] == 200
    assert codes[-1] in {204, 303}


async def test_a_session_ends_after_its_limit_however_much_it_is_used() -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    while one.clock.at + 3600 < NOW + one.settings.session_limit:
        one.clock.at += 3600
        assert (await browser.get("/incidents")).status_code == 200
    one.clock.at = NOW + one.settings.session_limit
    assert (await browser.get("/incidents")).status_code == 303


async def test_a_session_ends_when_its_person_leaves_people_yaml() -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    one.people = People({"viewer": everybody().by_id["viewer"]})
    assert (await browser.get("/incidents")).status_code == 303
    one.people = everybody()
    assert (await browser.get("/incidents")).status_code == 303, "an ended session came back"


async def test_a_session_ends_when_its_token_is_replaced() -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    person = Person("approver", "Approver", frozenset({Role.APPROVER}), (hash_token("rmd_another_token_of_theirs"),))
    one.people = People({"approver": person})
    assert (await browser.get("/incidents")).status_code == 303


async def test_a_session_has_the_roles_that_its_person_has_today() -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    person = Person("approver", "Approver", frozenset({Role.VIEWER}), (hash_token(TOKEN),))
    one.people = People({"approver": person})
    answer = await browser.get("/incidents/i-1")
    assert answer.status_code == 200
    assert "/incidents/i-1/note" not in answer.text


async def test_signing_out_ends_the_session_for_good() -> None:
    _, browser = far()
    await browser.sign_in(TOKEN)
    stolen = dict(browser.http.cookies)
    answer = await browser.submit("/incidents", "/signout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin")
    browser.http.cookies.clear()
    browser.http.cookies.update(stolen)
    assert (await browser.get("/incidents")).status_code == 303


async def test_signing_in_again_begins_a_new_session_and_ends_the_old_one() -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    first = browser.http.cookies["__Host-remediator-session"]
    form = (await browser.read("/incidents")).forms["/signout"]["form"]
    await browser.send("/signin", {"form": form, "token": TOKENS[Role.ADMIN]})
    assert browser.http.cookies["__Host-remediator-session"] != first
    assert [kept["person"] for kept in one.store.values[KEY].values()] == ["admin"]


async def test_an_address_that_keeps_failing_is_told_to_wait_and_others_are_not() -> None:
    one, browser = far()
    for _ in range(FAILURES):
        assert (await browser.sign_in("rmd_wrong")).status_code == 403
    answer = await browser.sign_in(TOKEN)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= WINDOW
    assert (await Browser(one, OUTSIDE, "203.0.113.8").sign_in(TOKEN)).status_code == 303
    one.clock.at += WINDOW
    assert (await browser.sign_in(TOKEN)).status_code == 303


async def test_addresses_of_one_ipv6_network_share_their_failures() -> None:
    one = edge(**FAR)
    for number in range(FAILURES):
        await Browser(one, OUTSIDE, f"2001:db8::{number:x}").sign_in("rmd_wrong")
    assert (await Browser(one, OUTSIDE, "2001:db8::ffff:1").sign_in(TOKEN)).status_code == 429
    assert (await Browser(one, OUTSIDE, "2001:db8:0:1::1").sign_in(TOKEN)).status_code == 303


async def test_sessions_are_bounded_and_the_one_not_used_for_longest_makes_room() -> None:
    one, browser = far()
    await browser.sign_in(TOKEN)
    kept = one.store.values[KEY]
    (first,) = kept.values()
    one.store.values[KEY] = {f"{number:064x}": {**first, "used": NOW + number} for number in range(MOST)}
    fresh = edge(**FAR)
    fresh.store.values = one.store.values
    fresh.clock.at = NOW + MOST
    await Browser(fresh, OUTSIDE).sign_in(TOKEN)
    assert len(fresh.store.values[KEY]) == MOST
    assert f"{0:064x}" not in fresh.store.values[KEY]


async def test_over_plain_http_beyond_this_machine_no_token_is_asked_for() -> None:
    one = edge(**{**FAR, "REMEDIATOR_EXTERNAL_URL": "http://10.0.0.5:9797"})
    browser = Browser(one, "http://10.0.0.5:9797", "10.0.0.9")
    page = await browser.read("/signin")
    assert "/signin" not in page.forms
    assert "not https" in page.text
    assert (await browser.send("/signin", {"token": TOKEN})).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "10.0.0.5:9797", "127.0.0.1.evil.example", ""])
async def test_a_host_that_is_not_ours_gets_no_page(host: str) -> None:
    one = edge()
    answer = await Browser(one).get("/incidents", host=host)
    assert answer.status_code == 403
    assert "REMEDIATOR_EXTERNAL_URL" in answer.text


async def test_what_a_proxy_passed_on_is_not_this_machine_s_own() -> None:
    one = edge(REMEDIATOR_EXTERNAL_URL=OUTSIDE)
    answer = await Browser(one).get("/incidents", **{"x-forwarded-for": "203.0.113.7"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin")


async def test_on_loopback_reading_needs_no_sign_in_and_acting_does() -> None:
    browser = Browser(edge())
    page = await browser.read("/incidents/i-1")
    assert "Sign in" in page.text
    assert not [action for action in page.forms if action.startswith("/incidents/")]
    form = (await browser.read("/signin")).forms["/signin"]["form"]
    answer = await browser.send("/incidents/i-1/ack", {"form": form})
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=/incidents/i-1")


async def test_without_people_this_machine_may_act_but_not_approve() -> None:
    one = Edge()
    one.store.add("i-1")
    browser = Browser(one)
    assert (await browser.submit("/incidents/i-1", "/incidents/i-1/ack")).status_code == 303
    assert [what for what, _ in one.operations.asked] == ["acknowledge"]
    form = (await browser.read("/incidents/i-1")).forms["/incidents/i-1/ack"]["form"]
    answer = await browser.send("/incidents/i-1/vote", {"form": form, "vote": "approve", "approval": "p-1"})
    assert re.match("/signin", answer.headers["location"])
    assert len(one.operations.asked) == 1


async def test_a_bearer_token_is_not_a_session_and_a_session_opens_no_api() -> None:
    _, browser = far()
    assert (await browser.get("/incidents", authorization=f"Bearer {TOKEN}")).status_code == 303
    await browser.sign_in(TOKEN)
    assert (await browser.get("/api/v1/incidents")).status_code == 401
