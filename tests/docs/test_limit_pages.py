"""The pages about limits and stuck runs say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from callboard.config.durations import parse_duration
from callboard.config.guards import StuckSettings
from callboard.config.spec import Limits
from tests.docs.page import blocks
from tests.docs.test_commands import session

GUARDS = Path(__file__).resolve().parents[2] / "docs" / "guards"
LIMITS = (GUARDS / "deadlines-and-limits.md").read_text(encoding="utf-8")
STUCK = (GUARDS / "stuck-runs.md").read_text(encoding="utf-8")


def test_what_the_page_about_limits_shows_is_what_happens(tmp_path: Path) -> None:
    with session(tmp_path) as shell:
        for block in blocks(LIMITS):
            shell.play(block)


def test_every_limit_of_the_page_has_its_true_default() -> None:
    shown = {
        name: parse_duration(value) for name, value in re.findall(r"^\| `(\w+)` \| (\S+) \| ", LIMITS, re.MULTILINE)
    }
    limits = Limits().model_dump()
    assert shown == {name: value for name, value in limits.items() if name != "model_attempts"}


def test_every_setting_of_the_stuck_guard_has_its_true_default() -> None:
    shown = dict(re.findall(r"^\| `(\w+)` \| `?(\w+)`? \| ", STUCK, re.MULTILINE))
    assert shown == {
        name: f"{value:g}" if isinstance(value, float) else value
        for name, value in StuckSettings().model_dump().items()
    }
