"""Signing in at a provider in a real browser: over two sites and back, under the pages' own policy."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from deploy.parts.ports import free_port
from receiver.people import Identity, People, Person, Role
from tests.integration.pages.scene import scene
from tests.integration.pages.test_browser import looking
from tests.oidc_provider import CLIENT, SECRET, providing

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_person_signs_in_at_the_provider_and_out_again(tmp_path: Path) -> None:
    async with providing(0.0) as provider, looking() as page:
        port = free_port()
        # Another name than the provider's: the browser takes them for two sites, as they are in life.
        here = f"http://localhost:{port}"
        environment = {
            "REMEDIATOR_EXTERNAL_URL": here,
            "REMEDIATOR_SIGN_IN": "local,oidc",
            "REMEDIATOR_OIDC_ISSUER": provider.url,
            "REMEDIATOR_OIDC_CLIENT_ID": CLIENT,
            "REMEDIATOR_OIDC_CLIENT_SECRET": SECRET,
            "REMEDIATOR_OIDC_NAME": "Example ID",
        }
        ann = Person("ann", "Ann Archer", frozenset({Role.APPROVER}), identities=(Identity(provider.url, "ann's own"),))
        async with scene(tmp_path, people=People({"ann": ann}), environment=environment, port=port) as one:
            provider.now = one.world.clock.now()
            await page.goto(f"{here}/signin?next=/approvals")
            await page.get_by_role("link", name="Sign in with Example ID").click()
            await expect(page.get_by_role("alert")).to_contain_text("people.yaml doesn't know")
            await expect(page.locator("pre")).to_contain_text(f'provider: "{provider.url}", subject: "248289761001"')
            provider.claims = {"sub": "ann's own"}
            await page.goto(f"{here}/signin?next=/approvals")
            await page.get_by_role("link", name="Sign in with Example ID").click()
            await page.wait_for_url(f"{here}/approvals")
            await expect(page.locator(".who")).to_contain_text("Ann Archer")
            assert [each["name"] for each in await page.context.cookies() if "oidc" in each["name"]] == []
            await page.get_by_role("button", name="Sign out").click()
            await page.wait_for_url(f"{here}/signin")
