"""What the pages point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP = ("README.md", "AGENTS.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = (*(ROOT / name for name in TOP), *sorted((ROOT / "docs").rglob("*.md")))
PATHS = re.compile(r"`((?:callboard|tests|docs|deploy|examples|scripts|bench)/[\w./-]*\w)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = PATHS.findall(page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^|\n)make ([a-z]+)\b", page.read_text(encoding="utf-8")))
        assert named <= targets, page


def test_every_decision_is_listed_on_the_first_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    for record in (ROOT / "docs/decisions").glob("*.md"):
        title = record.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        assert f"[{title}](decisions/{record.name})" in index


def test_every_command_is_named_in_the_pages_for_users() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "callboard/cli").glob("*.py"))
    commands = set(re.findall(r'command\(\w+, "(\w+)"', source))
    text = (ROOT / "docs/getting-started.md").read_text(encoding="utf-8")
    text += (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    assert commands
    assert {
        each for each in commands if not re.search(rf"`(?:callboard )?(?:\w+ )?{each}\b|callboard.* {each} ", text)
    } == set()
