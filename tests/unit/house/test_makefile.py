"""The Makefile and the pages agree about what `make` can do."""

import json
import re
from typing import Final

from ruamel.yaml import YAML

from deploy.demo.stories import STORIES
from tests.unit.house.pages import PAGES, code
from tests.unit.house.sources import ROOT

MAKEFILE: Final = (ROOT / "Makefile").read_text()
TARGETS: Final = frozenset(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
CALL: Final = re.compile(r"\bmake ([a-z][a-z-]*)")


def test_every_target_says_what_it_does() -> None:
    told = frozenset(re.findall(r"^([a-z][a-z-]*):.*## \S", MAKEFILE, re.MULTILINE))
    assert told == TARGETS


def test_no_target_is_taken_for_a_file() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert frozenset(phony.split()) == TARGETS


def test_the_demo_s_help_names_every_story() -> None:
    (told,) = re.findall(r"^demo:.*STORY=(.*)$", MAKEFILE, re.MULTILINE)
    assert re.split(", | or ", told) == list(STORIES)


def test_what_is_simulated_unless_told_otherwise_leads_to_a_playbook() -> None:
    (payload,) = re.findall(r"^PAYLOAD \?= (\S+)$", MAKEFILE, re.MULTILINE)
    (alert,) = json.loads((ROOT / payload).read_text())["alerts"]
    shipped = YAML(typ="safe").load(ROOT / "playbooks.yaml")
    assert f'alertname="{alert["labels"]["alertname"]}"' in [one["match"] for one in shipped["playbooks"]]
    assert alert["labels"]["service"] in shipped["services"]


def named() -> frozenset[str]:
    """Return the targets that the pages name in code."""
    return frozenset(target for page in PAGES for text in code(page) for target in CALL.findall(text))


def test_the_pages_name_no_target_that_is_not_there() -> None:
    assert named() <= TARGETS


def test_every_target_is_named_in_a_page() -> None:
    assert TARGETS - {"help"} <= named()


def test_ci_runs_the_checks_and_ends_with_the_tests() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith(("make", "exec make"))]
    assert [line.rpartition(" ")[2] for line in lines] == ["check", "test"]
