"""The page about guards: what it shows is what happens, and its defaults are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from callboard.config.file_format import ConfigFile
from callboard.config.guards import Breaker, RunBudget
from callboard.config.spec import Limits
from tests.docs.page import blocks
from tests.docs.test_commands import session

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guards" / "index.md").read_text(encoding="utf-8")


def test_what_the_page_shows_is_what_happens(tmp_path: Path) -> None:
    with session(tmp_path) as shell:
        for block in blocks(PAGE):
            shell.play(block)


def test_the_defaults_of_the_page_are_true() -> None:
    run, breaker, limits = RunBudget(), Breaker(), Limits()
    assert f"${run.usd:g}, {run.model_calls} model calls and {run.tool_calls} tool calls a run" in PAGE
    opens = f"{breaker.consecutive} hard failures in a row, or half of {breaker.calls} calls in {breaker.window:g} s"
    assert (opens in PAGE, breaker.failures) == (True, 0.5)
    times = f"{limits.deadline / 60:g} minutes, {limits.turns} turns, depth {limits.depth}, {limits.children} children"
    assert times in PAGE


def test_what_stands_at_the_top_only_are_keys_of_the_file() -> None:
    keys = re.findall(r"^\| `(\w+)` \| ", PAGE.split("stand at the top only")[1].split("##")[0], re.MULTILINE)
    assert keys
    assert set(keys) <= set(ConfigFile.model_fields)
