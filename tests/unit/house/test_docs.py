"""The pages hold what they promise: their links lead somewhere, and their commands and policies are taken."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from receiver.cli.parser import build_parser
from receiver.playbooks import check_files
from receiver.settings import SETTINGS, variable
from remediations.registry import load_actions
from tests.unit.house.pages import BLOCK, PAGES, blocks, code
from tests.unit.house.sources import ROOT, name

LINK: Final = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


def commands() -> frozenset[str]:
    """Return the names of the command line's commands."""
    (found,) = (action.choices for action in build_parser()._actions if isinstance(action.choices, Mapping))
    return frozenset(found)


def calls() -> Iterator[tuple[Path, list[str]]]:
    """Yield each call of the command line that stands in a page, without its comment; summaries of several aside."""
    for page in PAGES:
        for line in code(page):
            if line.startswith("remediator ") and "|" not in line and "..." not in line:
                yield page, shlex.split(line, comments=True)[1:]


def anchor(heading: str) -> str:
    """Return what a heading is called in a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        if "://" in link:
            continue
        path, _, part = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not part or part in map(anchor, HEADING.findall(target.read_text())), link


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall((ROOT / "README.md").read_text())}
    assert [
        name(page) for page in PAGES if page not in linked and page.name != "README.md" and not _decision(page)
    ] == []


def _decision(page: Path) -> bool:
    return page.parent.name == "decisions"


def test_every_command_is_documented() -> None:
    assert commands() - {arguments[0] for _, arguments in calls() if arguments} == set()


def test_the_pages_call_the_command_line_as_it_is() -> None:
    assert len(list(calls())) > 20
    for page, arguments in calls():
        try:
            build_parser().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{name(page)}: remediator {shlex.join(arguments)}")


def test_the_policies_in_the_pages_are_taken(tmp_path: Path) -> None:
    found = [
        (page, text) for page in PAGES for text in blocks(page, "yaml") if "playbooks:" in text and "engines:" in text
    ]
    assert found
    for page, text in found:
        path = tmp_path / f"{page.stem}.yaml"
        path.write_text(text)
        assert [str(one) for one in check_files(path, load_actions().actions)] == [], name(page)


def test_the_compose_file_and_the_image_set_only_what_is_read() -> None:
    services: dict[str, Any] = YAML(typ="safe").load(ROOT / "deploy" / "compose.yaml")["services"]
    read = {variable(one.name) for one in SETTINGS} | {
        f"{variable(one.name)}_FILE" for one in SETTINGS if one.metadata["secret"]
    }
    image = re.findall(r"\b(REMEDIATOR_\w+)=", (ROOT / "deploy" / "Dockerfile").read_text())
    unit = re.findall(r"\b(REMEDIATOR_\w+)=", (ROOT / "deploy" / "remediator.service").read_text())
    assert {*services["remediator"]["environment"], *image, *unit} <= read


def test_the_image_holds_each_file_that_it_names() -> None:
    recipe = (ROOT / "deploy" / "Dockerfile").read_text()
    named = re.findall(r"REMEDIATOR_(?:PLAYBOOKS|PEOPLE)=(\S+)", recipe)
    made = re.findall(r"^(?:COPY|RUN) .* (/\S+)$", recipe, re.MULTILINE)
    assert len(named) == 2
    assert set(named) <= set(made), "one that is named and isn't there keeps the service from starting"
