"""The pages on the real server, store and engine: what people press is done, and what happens is shown live."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from receiver.core.incident import Phase
from receiver.core.principal import Principal
from receiver.core.severity import Severity
from receiver.ports import IncidentFilter
from tests.integration.pages.scene import ANN, BOB, EVE, Scene, ladder, scene
from tests.unit.web.browser import Browser, Reader

pytestmark = pytest.mark.anyio


async def signed_in(one: Scene, token: str) -> Browser:
    browser = Browser(None, one.url)
    assert (await browser.sign_in(token)).status_code == 303
    return browser


async def asked(one: Scene) -> str:
    await one.world.fire(one.alert())
    return (await one.until_asked()).id


async def entries(browser: Browser, path: str, number: int, **headers: str) -> list[tuple[str, Reader]]:
    """Return so many entries of the live timeline, each with its id."""

    async def frames(answer: httpx.Response) -> AsyncGenerator[dict[str, str]]:
        block: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if not line:
                yield block
                block = {}
            else:
                name, _, value = line.partition(": ")
                block[name] = block.get(name, "") + value

    found: list[tuple[str, Reader]] = []
    async with browser.http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        async with aclosing(frames(answer)) as blocks:
            async for block in blocks:
                if block.get("event") == "entry":
                    found.append((block["id"], Reader(block["data"])))
                if len(found) == number:
                    break
    return found


async def test_an_approval_on_the_page_lets_the_step_run_with_who_gave_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as one:
        incident = await asked(one)
        ann = await signed_in(one, ANN)
        inbox = await ann.read("/approvals")
        assert "step rollback" in inbox.text
        page = f"/incidents/{incident}"
        answer = await ann.submit(page, f"{page}/vote", vote="approve", reason="it was fine before")
        assert answer.status_code == 303
        await one.world.run(120.0)
        assert (await one.world.incident()).phase in {Phase.HOLDING, Phase.VERIFYING, Phase.RESOLVED}
        kinds = await one.world.kinds()
        assert "StepStarted" in kinds[kinds.index("Voted") :]
        after = await ann.read(page)
        assert "approved by ann" in after.text
        assert "it was fine before" in after.text
        assert "Nothing waits for an approval" in (await ann.read("/approvals")).text


async def test_of_two_who_press_the_second_is_told_what_the_first_decided(tmp_path: Path) -> None:
    async with scene(tmp_path) as one:
        incident = await asked(one)
        page = f"/incidents/{incident}"
        ann, bob = await signed_in(one, ANN), await signed_in(one, BOB)
        form = (await bob.read(page)).forms[f"{page}/vote"]
        await ann.submit(page, f"{page}/vote", vote="deny", reason="wrong version")
        await bob.send(f"{page}/vote", {**form, "vote": "approve", "reason": "go"})
        told = (await bob.read(page)).text
        assert "Too late: step rollback was denied at " in told
        assert "Your press changed nothing." in told
        assert "rollback" not in [done.step for done in (await one.world.incident()).done if done.result == "passed"]


async def test_a_denial_without_a_reason_changes_nothing_and_says_so(tmp_path: Path) -> None:
    async with scene(tmp_path, ladder(reason=False)) as one:
        incident = await asked(one)
        page = f"/incidents/{incident}"
        ann = await signed_in(one, ANN)
        await ann.submit(page, f"{page}/vote", vote="deny")
        assert "Not done: " in (await ann.read(page)).text
        assert (await one.world.incident()).approval is not None


async def test_automation_is_paused_let_go_on_and_the_severity_judged_on_the_page(tmp_path: Path) -> None:
    async with scene(tmp_path) as one:
        incident = await asked(one)
        page = f"/incidents/{incident}"
        ann = await signed_in(one, ANN)
        await ann.submit(page, f"{page}/severity", severity="P1", reason="all customers")
        await ann.submit(page, f"{page}/pause", reason="a look first")
        paused = await ann.read(page)
        assert "Automation paused by ann" in paused.text
        assert f"{page}/pause" not in paused.forms
        await ann.submit(page, f"{page}/resume")
        going = await one.world.incident()
        assert (going.paused_by, going.severity.value) == (None, "P1")
        assert f"{page}/resume" not in (await ann.read(page)).forms


async def test_the_live_timeline_goes_on_over_a_restart_without_a_loss(tmp_path: Path) -> None:
    note = "<b>seen</b> before"
    async with scene(tmp_path) as one:
        incident = await asked(one)
        eve = await signed_in(one, EVE)
        page = await eve.read(f"/incidents/{incident}")
        (live,) = [given for given in page.named("p") if given.get("id") == "live"]
        assert live["data-live"] == f"/incidents/{incident}/live"
        shown = [given["data-seq"] for given in page.named("li") if "data-seq" in given]
        streamed = await entries(eve, f"/incidents/{incident}/live", int(shown[0] or 0))
        assert streamed[-1][0] == shown[0] == live["data-after"]
    async with scene(tmp_path) as one:
        assert (await one.world.operations.note(incident, by=Principal("ann", "cli"), text=note)).ok
        after = Browser(None, one.url)
        # The session outlives the restart; cookies don't look at ports.
        after.http.cookies = eve.http.cookies
        ((number, entry),) = await entries(
            after, f"/incidents/{incident}/live", 1, **{"last-event-id": streamed[-1][0]}
        )
        assert int(number) == int(streamed[-1][0]) + 1
        assert note in entry.text
        assert entry.named("b") == []


async def test_a_dry_run_of_an_incident_shows_every_step_and_changes_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as one:
        incident = await asked(one)
        before = await one.world.kinds()
        page = await (await signed_in(one, EVE)).read(f"/incidents/{incident}/dry-run")
        assert "1. restart" in page.text
        assert "2. rollback" in page.text
        assert "Nothing is changed" in page.text
        assert await one.world.kinds() == before


async def test_observing_the_page_says_so_and_shows_what_it_would_have_done(tmp_path: Path) -> None:
    async with scene(tmp_path, mode="observe") as one:
        await one.world.fire(one.alert())
        await one.world.run(60.0)
        incident = await one.world.incident()
        page = await (await signed_in(one, EVE)).read(f"/incidents/{incident.id}")
        assert "Observing." in page.text
        assert "Dry run: what it would have done" in page.text


async def test_a_declared_incident_is_one_however_often_its_form_is_sent_and_its_severity_can_be_changed(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as one:
        ann = await signed_in(one, ANN)
        form = (await ann.read("/declare")).forms["/declare"]
        written = {**form, "title": "checkout is slow", "severity": "P2", "service": "api"}
        wrong = await ann.send("/declare", {**written, "title": "x" * 101})
        assert (wrong.status_code, "in 1 to 100 characters" in wrong.text) == (422, True)
        first, again = [await ann.send("/declare", written) for _ in range(2)]
        assert first.headers["location"] == again.headers["location"]
        found = await one.world.store.incidents(IncidentFilter())
        assert [(each.alert, each.severity, each.started_by) for each in found.items] == [
            ("checkout is slow", Severity.P2, "ann")
        ]
        page = first.headers["location"]
        await ann.submit(page, f"{page}/severity", severity="P1", reason="everybody is hit")
        shown = (await ann.read(page)).text
        assert "P1" in shown
        assert "everybody is hit" in shown


async def test_open_incidents_are_listed_the_worst_first_and_no_old_p1_is_on_page_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.web.pages.incidents.LISTED", 2)
    by = Principal("ann", "cli")
    async with scene(tmp_path) as one:
        for severity, title in (("P1", "old"), ("P3", "low"), ("P2", "middle"), ("P1", "new"), ("P4", "lowest")):
            await one.world.operations.declare(by=by, severity=Severity(severity), title=title)
            await one.world.run(1.0)
        ann = await signed_in(one, ANN)
        text = (await ann.read("/incidents")).text
        places = [text.index(f"{title} ·") for title in ("new", "old", "middle", "lowest")]
        assert places == sorted(places)
        every = (await ann.read("/incidents?all=true")).text
        assert every.index("lowest ·") < every.index("new ·")
        assert "old ·" not in every


async def test_the_deadlines_of_a_p1_are_shown_with_who_met_them(tmp_path: Path) -> None:
    async with scene(tmp_path) as one:
        ann = await signed_in(one, ANN)
        answer = await ann.submit("/declare", "/declare", title="checkout is down", severity="P1", service="api")
        page = answer.headers["location"]
        before = (await ann.read(page)).text
        assert "Assessed : due" in before
        assert "30 min left" in before
        await ann.submit(page, f"{page}/note", text="the disk is full", phase="assessed")
        text = (await ann.read(page)).text
        assert "by ann, by a note" in text
        assert "Mitigated : due" in text
        await one.world.run(3700.0)
        assert "Mitigated : late" in (await ann.read(page)).text
