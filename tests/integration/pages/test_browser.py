"""The pages in a real browser: what a person sees and presses, over a restart of the service too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Page, async_playwright, expect

from receiver.core.incident import Phase
from receiver.core.principal import Principal
from tests.integration.pages.scene import ANN, BOB, Scene, scene

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

PHONE: Final = {"width": 390, "height": 844}
DESKTOP: Final = {"width": 1280, "height": 900}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def looking(size: dict[str, int] = DESKTOP) -> AsyncIterator[Page]:
    """Open a browser with one page; whatever its console says as an error fails the test."""
    async with async_playwright() as tool:
        # Chromium's sandbox doesn't start as root; the pages are our own.
        browser = await tool.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            page = await browser.new_page(viewport={"width": size["width"], "height": size["height"]})
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda one: wrong.append(one.text) if "Content Security Policy" in one.text else None)
            page.set_default_timeout(8000)
            yield page
            assert wrong == []
        finally:
            await browser.close()


async def sign_in(page: Page, one: Scene, token: str, following: str) -> None:
    await page.goto(f"{one.url}/signin?next={following}")
    await page.get_by_label("Your token").fill(token)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"**{following}")


async def asked(one: Scene) -> str:
    await one.world.fire(one.alert())
    return (await one.until_asked()).id


async def test_a_person_approves_on_a_phone_and_sees_the_step_begin(tmp_path: Path) -> None:
    async with scene(tmp_path) as one, looking(PHONE) as page:
        incident = await asked(one)
        await sign_in(page, one, ANN, "/approvals")
        await page.get_by_role("link", name="Look, and decide").click()
        await expect(page.locator("#live-state")).to_have_text("Live")
        # Nothing is wider than the phone, and no button is too small for a thumb.
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        button = page.get_by_role("button", name="Approve rollback")
        box = await button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        await page.get_by_label("Your reason").fill("it was fine before")
        await button.click()
        await expect(page.locator("#said")).to_be_visible()
        await one.world.run(60.0)
        await expect(page.locator("#timeline")).to_contain_text("it was fine before")
        await expect(button).to_have_count(0)
        assert (await one.world.incident()).id == incident
        assert (await one.world.incident()).phase in {Phase.HOLDING, Phase.VERIFYING, Phase.RESOLVED}


async def test_a_denial_needs_a_reason_and_whoever_presses_later_is_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as one, looking() as page:
        path = f"/incidents/{await asked(one)}"
        await sign_in(page, one, ANN, path)
        deny = page.get_by_role("button", name="Deny rollback")
        await deny.click()
        assert (await one.world.incident()).approval is not None, "it was denied without a reason"
        other = await page.context.browser.new_page()  # type: ignore[union-attr] # launched above
        other.set_default_timeout(8000)
        await sign_in(other, one, BOB, path)
        await other.get_by_label("Your reason").fill("go")
        await page.get_by_label("Your reason").fill("wrong version")
        await deny.click()
        await expect(page.locator("#said")).to_be_visible()
        # Who was typing keeps their words, is told that it changed, and that their press is too late.
        await expect(other.locator("#changed")).to_be_visible()
        await other.get_by_role("button", name="Approve rollback").click()
        await expect(other.locator("#said")).to_contain_text("Too late: step rollback was denied")
        assert (await one.world.incident()).approval is None


async def test_the_timeline_goes_on_over_a_restart_of_the_service_without_a_loss(tmp_path: Path) -> None:
    async def note(one: Scene, text: str) -> None:
        assert (await one.world.operations.note(incident, by=Principal("ann", "cli"), text=text)).ok

    async with looking() as page:
        async with scene(tmp_path) as one:
            incident = await asked(one)
            await page.goto(f"{one.url}/incidents/{incident}")
            await expect(page.locator("#live-state")).to_have_text("Live")
            await note(one, "<b>before</b> the restart")
            await expect(page.locator("#timeline > li").first).to_contain_text("<b>before</b> the restart")
            await expect(page.locator("#news[role=status]")).to_have_text("1 new entry in the timeline")
        await expect(page.locator("#live-state")).to_have_text("Connection lost; trying again")
        async with scene(tmp_path, port=one.port) as again:
            for number in range(3):
                await note(again, f"after the restart {number}")
            await expect(page.locator("#timeline > li").first).to_contain_text("after the restart 2")
            await expect(page.locator("#live-state")).to_have_text("Live")
            shown = await page.locator("#timeline > li").evaluate_all("all => all.map(one => Number(one.dataset.seq))")
            events = await again.world.store.events(incident)
            assert shown[0] == events[-1].seq
            assert shown == sorted(set(shown), reverse=True), "an entry is there twice or out of order"
            assert {1, *range(events[-1].seq - 3, events[-1].seq + 1)} <= set(shown)
