"""The real process with a provider to sign in at: over a kill -9, a reload of people.yaml, and the provider away."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest
from starlette.responses import Response

from tests.acceptance.service import Service, alert, group
from tests.acceptance.test_process import policy_file
from tests.oidc_provider import CLIENT, SECRET, OidcProvider, providing, sign_in_there
from tests.unit.web.browser import Browser

pytestmark = [pytest.mark.acceptance, pytest.mark.anyio]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def people(path: Path, *identities: dict[str, str]) -> None:
    """Write people.yaml with ann alone."""
    ann = {"id": "ann", "name": "Ann Archer", "roles": ["admin"], "identities": identities}
    path.write_text(json.dumps({"people": [ann]}))


async def signed_in(browser: Browser, provider: OidcProvider) -> int:
    """Sign in as a person does; returns the status of the last answer."""
    provider.now = time.time()
    where = (await browser.get("/signin/oidc?next=/incidents")).headers["location"]
    back = await sign_in_there(where)
    return (await browser.get(back.removeprefix(browser.origin))).status_code


async def test_who_signed_in_at_the_provider_acts_and_stays_while_it_is_away_and_goes_with_their_identity(
    tmp_path: Path,
) -> None:
    file = tmp_path / "people.yaml"
    async with providing(time.time()) as provider:
        people(file)
        settings = {
            "REMEDIATOR_PEOPLE": str(file),
            "REMEDIATOR_SIGN_IN": "local,oidc",
            "REMEDIATOR_OIDC_ISSUER": provider.url,
            "REMEDIATOR_OIDC_CLIENT_ID": CLIENT,
            "REMEDIATOR_OIDC_CLIENT_SECRET": SECRET,
        }
        provider.instead = {"/.well-known/openid-configuration": Response("down", 503)}
        service = Service(tmp_path, [policy_file(tmp_path)])
        service._settings |= {**settings, "REMEDIATOR_EXTERNAL_URL": service.url}
        with closing(service):
            service.start()
            browser = Browser(None, service.url)
            assert provider.asked == [], "it was asked before anybody signed in"
            assert (await browser.get("/signin/oidc")).status_code == 503
            assert service.get("/readyz")["status"] == "ready"
            provider.instead = {}
            service.kill()
            service.start()

            assert await signed_in(browser, provider) == 403, "people.yaml doesn't know them yet"
            people(file, {"provider": provider.url, "subject": "248289761001"})
            await reloaded(service)
            assert await signed_in(browser, provider) == 303

            service.post(group(alert("Good", "Good")))
            incident = service.incident()["id"]
            answer = await browser.submit(f"/incidents/{incident}", f"/incidents/{incident}/note", text="seen by ann")
            assert answer.status_code == 303
            (note,) = [one for one in service.timeline(incident) if one["kind"] == "noted"]
            told = {name: note["data"][name] for name in ("person", "via", "signed_in", "address")}
            how = {"via": "web", "signed_in": f"oidc {provider.url}", "address": "127.0.0.1"}
            assert told == {"person": "ann", **how}

            provider.instead = {path: Response("down", 503) for path in ("/.well-known/openid-configuration", "/jwks")}
            service.kill()
            service.start()
            assert "Ann Archer" in (await browser.get("/incidents")).text
            figures = service.http.get("/metrics").text
            assert 'remediator_sign_ins_total{how="oidc",outcome="done"} 0.0' in figures

            people(file)
            await reloaded(service)
            assert "Ann Archer" not in (await browser.get("/incidents")).text
        log = service.log.read_text()
        assert "signed in" in log
        for secret in (SECRET, *(trade["code"] for trade in provider.trades), *browser.http.cookies.values()):
            assert secret not in log


async def reloaded(service: Service) -> None:
    """Let the service read people.yaml again; the log says when it has."""
    before = service.log.read_text().count("reloaded")
    service.child.process.send_signal(signal.SIGHUP)
    for _ in range(200):
        if service.log.read_text().count("reloaded") > before:
            return
        await asyncio.sleep(0.05)
    pytest.fail(service.log.read_text()[-2000:])
