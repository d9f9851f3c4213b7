"""Signing in at an OpenID Connect provider that runs on loopback, tells the truth or lies, and is away."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.responses import JSONResponse, RedirectResponse, Response

from receiver.people import Identity, People, Person, Role, hash_token
from receiver.web.oidc.provider import KEPT, KEYS_PAUSE, LARGEST, PAUSE
from receiver.web.signin.attempts import FAILURES
from receiver.web.signin.sessions import KEY
from tests.oidc_provider import CLIENT, SECRET, OidcProvider, providing, rsa_key, sign_in_there
from tests.unit.web.browser import Browser, Reader
from tests.unit.web.fakes import NOW, TOKENS, Edge

pytestmark = pytest.mark.anyio

HERE = "https://remediator.example.com"
SUBJECT = "248289761001"
COOKIE = "__Host-remediator-oidc"
SESSION = "__Host-remediator-session"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Scene:
    """The service with a provider, and alice who is known there."""

    def __init__(self, provider: OidcProvider, **environment: str) -> None:
        self.provider = provider
        self.environment = {
            "REMEDIATOR_LISTEN": "0.0.0.0:9797",
            "REMEDIATOR_WEBHOOK_TOKENS": "the-webhooks-own-token",
            "REMEDIATOR_EXTERNAL_URL": HERE,
            "REMEDIATOR_SIGN_IN": "local,oidc",
            "REMEDIATOR_OIDC_ISSUER": provider.url,
            "REMEDIATOR_OIDC_CLIENT_ID": CLIENT,
            "REMEDIATOR_OIDC_CLIENT_SECRET": SECRET,
            "REMEDIATOR_OIDC_NAME": "Example ID",
            **environment,
        }
        alice = Person(
            "alice",
            "Alice Example",
            frozenset({Role.APPROVER}),
            (hash_token(TOKENS[Role.APPROVER]),),
            identities=(Identity(provider.url, SUBJECT),),
        )
        self.edge = Edge(people=People({"alice": alice}), environment=self.environment)
        self.edge.store.add("i-1")
        self.browser = Browser(self.edge, HERE, "203.0.113.7")

    @property
    def alice(self) -> Person:
        return self.edge.people.by_id["alice"]

    @alice.setter
    def alice(self, person: Person) -> None:
        self.edge.people = People({"alice": person})

    async def leave(self, following: str = "/incidents/i-1") -> str:
        """Press the button, sign in there; returns the path that the browser is sent back to."""
        page = await self.browser.read(f"/signin?next={following}")
        (button,) = [one["href"] for one in page.named("a") if (one.get("href") or "").startswith("/signin/oidc")]
        answer = await self.browser.get(button or "")
        assert answer.status_code == 303, answer.text
        back = await sign_in_there(answer.headers["location"])
        assert back.startswith(f"{HERE}/signin/oidc/callback?")
        return back.removeprefix(HERE)

    async def sign_in(self) -> Any:
        return await self.browser.get(await self.leave())

    def count(self, outcome: str, how: str = "oidc") -> float:
        value = self.edge.metrics.registry.get_sample_value(
            "remediator_sign_ins_total", {"how": how, "outcome": outcome}
        )
        assert value is not None
        return value

    async def refused(self, why: str) -> None:
        """Try, and hold that nobody is let in, and that the page says why beside the other way in."""
        answer = await self.sign_in()
        assert answer.status_code == 403, answer.text
        page = Reader(answer.text)
        assert why in page.text
        assert "/signin" in page.forms
        assert KEY not in self.edge.store.values
        assert self.count("refused") == 1


@asynccontextmanager
async def scene(**environment: str) -> AsyncIterator[Scene]:
    async with providing(NOW) as provider:
        yield Scene(provider, **environment)


async def test_who_signs_in_at_the_provider_goes_on_to_the_page_that_they_wanted() -> None:
    async with scene() as one:
        answer = await one.sign_in()
        assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/i-1")
        assert "Alice Example" in (await one.browser.read("/incidents/i-1")).text
        assert one.count("done") == 1


async def test_the_audit_says_that_it_was_this_provider_and_from_where() -> None:
    async with scene() as one:
        await one.sign_in()
        await one.browser.submit("/incidents/i-1", "/incidents/i-1/note", text="seen")
        (_, how), *_ = one.edge.operations.asked
        by = how["by"]
        assert (by.person, by.via, by.signed_in) == ("alice", "web", f"oidc {one.provider.url}")
        assert by.address == "203.0.113.7"


async def test_the_begun_sign_in_is_kept_in_a_cookie_that_comes_back_from_another_site_and_is_dropped_after() -> None:
    async with scene() as one:
        answer = await one.browser.get("/signin/oidc")
        (cookie,) = [each for each in answer.headers.get_list("set-cookie") if COOKIE in each]
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "secure", "samesite=lax", "path=/", "max-age=600"} <= parts
        await one.sign_in()
        assert COOKIE not in one.browser.http.cookies


async def test_the_client_s_secret_goes_to_the_token_endpoint_only_and_the_verifier_never_through_the_browser() -> None:
    async with scene() as one:
        answer = await one.browser.get("/signin/oidc")
        assert SECRET not in answer.headers["location"]
        await one.sign_in()
        (trade,) = one.provider.trades
        assert trade["authorization"].startswith("Basic ")
        assert trade["redirect_uri"] == f"{HERE}/signin/oidc/callback"
        assert trade["code_verifier"] not in repr(answer.headers)


async def test_the_secret_goes_into_the_body_where_the_provider_takes_it_so_only() -> None:
    async with scene() as one:
        one.provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert (await one.sign_in()).status_code == 303
        (trade,) = one.provider.trades
        assert (trade["client_secret"], trade["authorization"]) == (SECRET, "")


async def test_without_a_secret_it_is_a_public_client() -> None:
    async with scene(REMEDIATOR_OIDC_CLIENT_SECRET="") as one:
        assert (await one.sign_in()).status_code == 303
        (trade,) = one.provider.trades
        assert (trade["client_id"], "client_secret" in trade, trade["authorization"]) == (CLIENT, False, "")


# --- lies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example"}, "`iss`"),
        ({"aud": "another-client"}, "`aud`"),
        ({"aud": None}, "`aud`"),
        ({"aud": [CLIENT, "another"]}, "`azp`"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "`azp`"),
        ({"azp": "another"}, "`azp`"),
        ({"nonce": "of-another-sign-in"}, "`nonce`"),
        ({"nonce": None}, "`nonce`"),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": None}, "`exp`"),
        ({"exp": "never"}, "`exp`"),
        ({"iat": NOW + 61}, "`iat`"),
        ({"iat": None}, "`iat`"),
        ({"nbf": NOW + 61}, "`nbf`"),
        ({"at_hash": "bm90IHRoYXQgb25l"}, "`at_hash`"),
        ({"sub": None}, "`sub`"),
        ({"sub": ""}, "names nobody"),
        ({"sub": 248289761001}, "`sub`"),
    ],
    ids=lambda one: json.dumps(one) if isinstance(one, dict) else "",
)
async def test_a_token_with_a_wrong_claim_lets_nobody_in(claims: dict[str, Any], why: str) -> None:
    async with scene() as one:
        one.provider.claims |= claims
        await one.refused(why)


@pytest.mark.parametrize("claims", [{"exp": NOW - 59}, {"iat": NOW + 59}, {"aud": [CLIENT]}, {"azp": CLIENT}])
async def test_clocks_may_differ_by_a_minute_and_a_list_may_name_us_alone(claims: dict[str, Any]) -> None:
    async with scene() as one:
        one.provider.claims |= claims
        assert (await one.sign_in()).status_code == 303


@pytest.mark.parametrize(
    "sign",
    [
        lambda provider: provider.unsigned,
        lambda provider: provider.by_public_key,
        lambda _: lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, rsa_key("of-somebody-else")),
        lambda provider: lambda claims: provider.token("")[:-8] + "AAAAAAAA" if claims else "",
        lambda _: lambda _claims: "no.token",
        lambda _: lambda _claims: "",
    ],
    ids=["none", "HS256 by the public key", "another key", "a cut signature", "no token", "empty"],
)
async def test_a_token_that_the_provider_s_key_did_not_sign_lets_nobody_in(
    sign: Callable[[OidcProvider], Callable[[dict[str, Any]], str]],
) -> None:
    async with scene() as one:
        forge = sign(one.provider)

        def forged(claims: dict[str, Any]) -> str:
            one.provider.sign = None
            return forge(claims)

        one.provider.sign = forged
        await one.refused("provider's token")


async def test_a_key_that_is_new_is_looked_for_once_and_not_more_often_than_every_half_a_minute() -> None:
    async with scene() as one:
        assert (await one.sign_in()).status_code == 303
        one.provider.key = rsa_key("second")
        one.provider.published = [rsa_key("second")]
        one.browser.http.cookies.clear()
        answer = await one.sign_in()
        assert answer.status_code == 403
        assert "publish" in answer.text
        assert one.provider.asked.count("/jwks") == 1
        one.edge.clock.at += KEYS_PAUSE
        one.provider.now += KEYS_PAUSE
        assert (await one.sign_in()).status_code == 303
        assert one.provider.asked.count("/jwks") == 2


async def test_a_key_that_is_published_nowhere_lets_nobody_in() -> None:
    async with scene() as one:
        one.provider.key = rsa_key("second")
        await one.refused("doesn't publish")


async def test_a_curve_s_signature_is_taken_too() -> None:
    async with scene() as one:
        key = ECKey.generate_key("P-256", {"kid": "curve", "use": "sig"})
        one.provider.key, one.provider.algorithm = key, "ES256"
        one.provider.published = [rsa_key("first"), key]
        assert (await one.sign_in()).status_code == 303


async def test_an_answer_that_is_sent_again_is_worth_nothing_even_with_the_cookie() -> None:
    async with scene() as one:
        back = await one.leave()
        kept = one.browser.http.cookies[COOKIE]
        assert (await one.browser.get(back)).status_code == 303
        again = Browser(one.edge, HERE, "203.0.113.7")
        again.http.cookies.set(COOKIE, kept)
        answer = await again.get(back)
        assert answer.status_code == 403
        assert "Press the button again" in Reader(answer.text).text
        assert len(one.provider.trades) == 1


async def test_an_answer_in_a_browser_that_did_not_begin_is_refused() -> None:
    async with scene() as one:
        back = await one.leave()
        other = Browser(one.edge, HERE, "203.0.113.8")
        assert (await other.get(back)).status_code == 403
        await other.get("/signin/oidc")
        answer = await other.get(back)
        assert answer.status_code == 403
        assert "another sign-in" in answer.text
        assert SESSION not in other.http.cookies
        assert one.provider.trades == []


async def test_a_begun_sign_in_lasts_ten_minutes() -> None:
    async with scene() as one:
        back = await one.leave()
        one.edge.clock.at += 600
        assert (await one.browser.get(back)).status_code == 403


@pytest.mark.parametrize("cookie", ["A" * 80, "not-a-cookie-of-ours-at-all", "x"])
async def test_a_made_up_cookie_is_none(cookie: str) -> None:
    async with scene() as one:
        back = await one.leave()
        one.browser.http.cookies.clear()
        one.browser.http.cookies.set(COOKIE, cookie)
        assert (await one.browser.get(back)).status_code == 403


async def test_a_code_that_was_used_elsewhere_lets_nobody_in() -> None:
    async with scene() as one:
        back = await one.leave()
        one.provider.codes.clear()
        answer = await one.browser.get(back)
        assert answer.status_code == 403
        assert "invalid_grant" in answer.text


@pytest.mark.parametrize("extra", ["&iss=https%3A%2F%2Fevil.example", "&state=again", "&code=again"])
async def test_an_answer_with_another_issuer_or_a_word_twice_is_refused(extra: str) -> None:
    async with scene() as one:
        assert (await one.browser.get(await one.leave() + extra)).status_code == 403
        assert one.provider.trades == []


async def test_the_issuer_must_be_named_where_the_provider_says_that_it_names_itself() -> None:
    async with scene() as one:
        one.provider.discovery = {"authorization_response_iss_parameter_supported": True}
        assert (await one.sign_in()).status_code == 403
        one.provider.at_once = {}
        back = await one.leave()
        assert (await one.browser.get(f"{back}&iss={one.provider.url}")).status_code == 303


async def test_what_the_provider_refuses_is_told_and_escaped() -> None:
    async with scene() as one:
        one.provider.at_once = {"error": "access_denied", "error_description": "<script>alert(1)</script>"}
        answer = await one.sign_in()
        assert answer.status_code == 403
        assert "access_denied" in answer.text
        assert "<script>alert" not in answer.text


# --- who that is ------------------------------------------------------------------------------------------------------


async def test_whom_people_yaml_does_not_know_is_told_what_to_add_there() -> None:
    async with scene() as one:
        one.provider.claims = {"sub": 'x"}: <b>', "email": "carol@example.com", "email_verified": True}
        answer = await one.sign_in()
        assert answer.status_code == 403
        text = Reader(answer.text).text
        assert json.dumps({"provider": one.provider.url}).strip("{}").replace('"provider"', "provider") in text
        assert r'subject: "x\"}: <b>"' in text
        assert "email: carol@example.com" in text
        assert KEY not in one.edge.store.values


async def test_an_address_counts_when_the_provider_verified_it() -> None:
    async with scene() as one:
        one.alice = replace(one.alice, identities=(), email="Alice@example.com")
        one.provider.claims = {"sub": "another", "email": "alice@example.com", "email_verified": True}
        assert (await one.sign_in()).status_code == 303
        assert (await one.browser.get("/incidents")).status_code == 200


@pytest.mark.parametrize("verified", [False, None, "true", 1])
async def test_an_address_that_is_not_verified_is_nobody_s(verified: Any) -> None:
    async with scene() as one:
        one.alice = replace(one.alice, identities=(), email="alice@example.com")
        one.provider.claims = {"sub": "another", "email": "alice@example.com", "email_verified": verified}
        await one.refused("people.yaml doesn't know")


async def test_the_address_of_somebody_with_an_identity_there_is_not_enough() -> None:
    async with scene() as one:
        one.alice = replace(one.alice, email="alice@example.com")
        one.provider.claims = {"sub": "who got the address later", "email": "alice@example.com", "email_verified": True}
        await one.refused("people.yaml doesn't know")


@pytest.mark.parametrize("change", ["identity", "person"])
async def test_a_session_ends_when_its_identity_or_its_person_leaves_people_yaml(change: str) -> None:
    async with scene() as one:
        await one.sign_in()
        assert (await one.browser.get("/incidents")).status_code == 200
        if change == "identity":
            one.alice = replace(one.alice, identities=(Identity("https://id.example.com", SUBJECT),))
        else:
            one.edge.people = People()
        assert (await one.browser.get("/incidents")).status_code == 303


async def test_a_session_ends_when_the_provider_is_no_way_to_sign_in_any_more() -> None:
    async with scene() as one:
        await one.sign_in()
        names = [name for name in one.environment if name.startswith("REMEDIATOR_OIDC")]
        rest = {name: value for name, value in one.environment.items() if name not in names}
        after = Edge(people=one.edge.people, environment={**rest, "REMEDIATOR_SIGN_IN": "local"})
        after.store.values = one.edge.store.values
        browser = Browser(after, HERE)
        browser.http.cookies = one.browser.http.cookies
        assert (await browser.get("/incidents")).status_code == 303


async def test_signing_out_ends_the_session_and_a_restart_does_not() -> None:
    async with scene() as one:
        await one.sign_in()
        after = Edge(people=one.edge.people, environment=one.environment)
        after.store.values = one.edge.store.values
        browser = Browser(after, HERE)
        browser.http.cookies = one.browser.http.cookies
        assert (await browser.get("/incidents")).status_code == 200
        await browser.submit("/incidents", "/signout")
        assert (await browser.get("/incidents")).status_code == 303


async def test_signing_in_gives_a_new_session_and_ends_the_one_before() -> None:
    async with scene() as one:
        back = await one.leave()
        await one.browser.sign_in(TOKENS[Role.APPROVER])
        before = one.browser.http.cookies[SESSION]
        await one.browser.get(back)
        assert one.browser.http.cookies[SESSION] != before
        assert len(one.edge.store.values[KEY]) == 1


async def test_the_store_keeps_neither_subject_nor_token() -> None:
    async with scene() as one:
        await one.sign_in()
        assert SUBJECT not in repr(one.edge.store.values)


# --- where it leads ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/%5Cevil.example", "/signin/oidc"])
async def test_nobody_is_sent_to_another_site_or_back_into_the_door(wanted: str) -> None:
    async with scene() as one:
        answer = await one.browser.get(f"/signin/oidc?next={wanted}")
        back = (await sign_in_there(answer.headers["location"])).removeprefix(HERE)
        assert (await one.browser.get(back)).headers["location"] == "/incidents"


async def test_by_another_address_of_the_service_the_page_leads_to_the_public_one() -> None:
    async with scene() as one:
        inside = Browser(one.edge, "http://127.0.0.1:9797")
        page = await inside.read("/signin")
        assert f"{HERE}/signin?next=/incidents" in [each.get("href") for each in page.named("a")]
        assert (await inside.get("/signin/oidc")).status_code == 403
        assert (await inside.get("/signin/oidc/callback?code=a&state=b")).status_code == 403


async def test_without_the_setting_there_is_no_button_and_no_route() -> None:
    browser = Browser(Edge())
    assert "/signin/oidc" not in (await browser.get("/signin")).text
    assert (await browser.get("/signin/oidc")).status_code == 404


async def test_an_address_whose_sign_ins_keep_failing_waits_and_a_token_is_still_taken_from_it() -> None:
    async with scene() as one:
        for _ in range(FAILURES):
            assert (await one.browser.get("/signin/oidc/callback?code=a&state=b")).status_code == 403
        assert (await one.browser.get(await one.leave())).status_code == 429
        assert (await one.browser.sign_in(TOKENS[Role.APPROVER])).status_code == 303


# --- a provider that is away ------------------------------------------------------------------------------------------

BROKEN: dict[str, Callable[[], Response]] = {
    "500": lambda: Response("down", 500),
    "no JSON": lambda: Response("<html>", 200),
    "a list": lambda: JSONResponse([]),
    "deep": lambda: Response("[" * 100_000, 200),
    "huge": lambda: Response(b'{"a": "' + b"x" * LARGEST + b'"}', 200),
    "compressed": lambda: Response(b"x", 200, {"content-encoding": "gzip"}),
    "elsewhere": lambda: RedirectResponse("http://127.0.0.1:1/", 302),
}


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token"])
@pytest.mark.parametrize("how", BROKEN)
async def test_an_answer_that_can_not_be_used_is_told_beside_the_other_way_in(path: str, how: str) -> None:
    async with scene() as one:
        back = await one.leave() if path != "/.well-known/openid-configuration" else "/signin/oidc"
        one.provider.instead = {path: BROKEN[how]()}
        answer = await one.browser.get(back)
        assert answer.status_code == 503, answer.text
        assert "The provider" in answer.text
        assert KEY not in one.edge.store.values
        assert (await one.browser.sign_in(TOKENS[Role.APPROVER])).status_code == 303


async def test_a_provider_that_is_away_is_asked_again_after_a_pause_and_hinders_nothing_else() -> None:
    async with scene() as one:
        one.provider.instead = {"/.well-known/openid-configuration": Response("down", 502)}
        for _ in range(3):
            answer = await one.browser.get("/signin/oidc")
            assert answer.status_code == 503
        assert len(one.provider.asked) == 1
        assert one.count("unavailable") == 3
        assert (await one.browser.get("/readyz")).status_code == 200
        one.provider.instead = {}
        one.edge.clock.at += PAUSE
        assert (await one.sign_in()).status_code == 303


async def test_nobody_is_followed_to_where_the_provider_did_not_say_before() -> None:
    async with scene() as one:
        one.provider.instead = {"/.well-known/openid-configuration": RedirectResponse("/jwks", 302)}
        assert (await one.browser.get("/signin/oidc")).status_code == 503
        assert "/jwks" not in one.provider.asked


async def test_a_slow_provider_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.web.oidc.provider.TIMEOUT", 0.2)
    async with scene() as one:
        one.provider.slow = 0.4
        answer = await one.browser.get("/signin/oidc")
        assert answer.status_code == 503
        assert "no answer within 0.2 s" in answer.text


async def test_the_service_starts_and_signs_people_in_by_token_when_nobody_listens_where_the_provider_is() -> None:
    async with providing(NOW) as provider:
        pass
    one = Scene(provider)
    answer = await one.browser.get("/signin/oidc")
    assert answer.status_code == 503
    assert "can't be reached" in Reader(answer.text).text
    assert (await one.browser.sign_in(TOKENS[Role.APPROVER])).status_code == 303


async def test_where_nobody_signs_in_by_token_an_outage_leads_to_the_command_line() -> None:
    async with scene(REMEDIATOR_SIGN_IN="oidc") as one:
        one.provider.instead = {"/.well-known/openid-configuration": Response("down", 502)}
        page = Reader((await one.browser.get("/signin/oidc")).text)
        assert "the command line" in page.text
        assert page.forms == {}


@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://169.254.169.254/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://user:password@id.example.com/jwks"},
    ],
    ids=json.dumps,
)
async def test_a_configuration_that_leads_astray_is_not_used(lie: dict[str, Any]) -> None:
    async with scene() as one:
        one.provider.discovery = lie
        answer = await one.browser.get("/signin/oidc")
        assert answer.status_code == 503
        assert "location" not in answer.headers


async def test_configuration_and_keys_are_kept_for_an_hour() -> None:
    async with scene() as one:
        for _ in range(3):
            assert (await one.sign_in()).status_code == 303
            one.browser.http.cookies.clear()
        assert one.provider.asked.count("/.well-known/openid-configuration") == 1
        assert one.provider.asked.count("/jwks") == 1
        one.edge.clock.at += KEPT
        one.provider.now += KEPT
        assert (await one.sign_in()).status_code == 303
        assert one.provider.asked.count("/jwks") == 2
