"""The page about budgets: what it shows is what happens, and its defaults are those of the code."""

from __future__ import annotations

from pathlib import Path

from callboard.config.guards import BudgetSettings
from tests.docs.page import blocks
from tests.docs.test_commands import session

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guards" / "budget.md").read_text(encoding="utf-8")


def test_what_the_page_shows_is_what_happens(tmp_path: Path) -> None:
    with session(tmp_path) as shell:
        for block in blocks(PAGE):
            shell.play(block)


def test_the_defaults_of_the_page_are_true() -> None:
    settings = BudgetSettings()
    run = settings.run
    assert f"| `run` | ${run.usd:g}, {run.model_calls} model calls, {run.tool_calls} tool calls |" in PAGE
    assert f"| `warn_at` | {', '.join(map(str, settings.warn_at))} |" in PAGE
    assert f"| `steer_at` | {settings.steer_at} |" in PAGE
    assert f"| `wrap_up` | {settings.wrap_up} |" in PAGE
