"""The page about the guard of the prompt cache says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from callboard.config.durations import parse_duration
from callboard.config.guards import CacheSettings
from callboard.guards.cache.guard import Cause

PAGE = (Path(__file__).resolve().parents[2] / "docs/guards/cache.md").read_text(encoding="utf-8")


def test_every_setting_of_the_page_has_its_true_default() -> None:
    shown = dict(re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \| [^|]+\|$", PAGE.partition("## Settings")[2], re.MULTILINE))
    defaults = CacheSettings()
    assert shown.keys() == CacheSettings.model_fields.keys()
    assert (shown["mode"], float(shown["ratio"])) == (defaults.mode, defaults.ratio)
    assert parse_duration(shown["lifetime"]) == defaults.lifetime


def test_the_page_has_every_part_that_may_have_changed_in_the_order_of_its_search() -> None:
    parts = re.findall(r"^\| `(\w+)` \| .* \| `(?:warn|observe)` \|$", PAGE, re.MULTILINE)
    assert sorted(parts) == sorted(get_args(Cause))
    assert parts == ["model", "tools", "output", "system", "relieved", "history", "time", "lost"]
