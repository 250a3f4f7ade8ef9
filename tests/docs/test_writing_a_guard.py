"""The page about writing a guard: its guard is short and does what the page shows, and its numbers are the code's."""

from __future__ import annotations

from pathlib import Path

from callboard.guards.kit import ACTIONS
from callboard.guards.pulses import CREDIT, CRITICAL_CREDIT, MISSED_AFTER
from tests.docs.page import blocks
from tests.docs.test_commands import session

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guards" / "writing-a-guard.md").read_text(encoding="utf-8")


def test_the_guard_of_the_page_does_what_the_page_shows(tmp_path: Path) -> None:
    with session(tmp_path) as shell:
        for block in blocks(PAGE):
            shell.play(block)


def test_a_guard_takes_at_most_forty_lines() -> None:
    (code,) = (block.text for block in blocks(PAGE) if block.argument == "read_first.py")
    assert len(code.splitlines()) <= 40


def test_the_numbers_and_verdicts_of_the_page_are_those_of_the_code() -> None:
    assert f"not heard the guard for {MISSED_AFTER:g} s" in PAGE
    assert f"judged the last {CREDIT} entries of the run; before a tool whose effect is `critical`, all but" in PAGE
    assert CRITICAL_CREDIT == 1
    table = PAGE.partition("## Verdicts")[2].partition("\n## ")[0]
    assert [action for action in ACTIONS if f"`{action}`" not in table] == []
