"""Draw the pictures of the documents: `python -m tests.integration.pages.pictures` writes docs/images/page-*.png."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from tests.integration.pages.scene import ANN, scene
from tests.integration.pages.test_browser import DESKTOP, PHONE, asked, looking, sign_in

IMAGES: Final = Path(__file__).parents[3] / "docs" / "images"


async def main() -> None:
    """Draw an incident that waits for a decision, wide and on a phone."""
    with tempfile.TemporaryDirectory() as directory:
        async with scene(Path(directory)) as one:
            path = f"/incidents/{await asked(one)}"
            for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
                async with looking(size) as page:
                    # The scene has its own time; times of the reader's day are shown without a date.
                    await page.clock.set_fixed_time(one.world.clock.now())
                    await sign_in(page, one, ANN, path)
                    await page.wait_for_selector("#live-state[data-state=live]")
                    await page.screenshot(path=IMAGES / f"page-{name}.png")


if __name__ == "__main__":
    asyncio.run(main())
