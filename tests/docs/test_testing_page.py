"""The page about testing: what it shows is what happens, and its table has every fault."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from callboard.testing.faults import InStream, Other, Refusal
from callboard.testing.script import Stop
from tests.docs.page import blocks
from tests.docs.test_commands import session

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")


def test_what_the_page_about_testing_shows_is_what_happens(tmp_path: Path) -> None:
    with session(tmp_path) as shell:
        for block in blocks(PAGE):
            shell.play(block)


def test_the_page_has_every_fault_and_every_reason_to_stop() -> None:
    table = PAGE.partition("## Faults")[2].partition("\n## ")[0]
    faults = [*get_args(Refusal), *get_args(InStream), *get_args(Other)]
    assert [kind for kind in faults if f"`{kind}`" not in table] == []
    assert [stop for stop in get_args(Stop) if f"`{stop}`" not in PAGE] == []
