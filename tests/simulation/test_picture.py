"""The README's incident is what the machine does and says today."""

from pathlib import Path

import pytest

from tests.simulation.picture import README, picture, placed, story

pytestmark = pytest.mark.anyio


async def test_the_incident_in_the_readme_is_told_as_the_machine_tells_it(tmp_path: Path) -> None:
    page = README.read_text()
    assert page == placed(page, picture(await story(tmp_path))), "`make docs` writes it again"


async def test_that_incident_shows_a_step_that_failed_one_taken_back_and_one_that_helped(tmp_path: Path) -> None:
    told = picture(await story(tmp_path))
    for part in ("restart did not help", "Done undo of scale", "rollback helped", "Resolved"):
        assert part in told
