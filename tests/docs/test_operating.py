"""The numbers of the operating page are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from callboard.actors.code import SPEC_BYTES
from callboard.actors.contents import INLINE_BYTES
from callboard.actors.decide import MAX_ENTRIES
from callboard.actors.owner import LONG
from callboard.actors.receipt import MARGIN, START_WINDOW
from callboard.actors.worker import DRAIN_SECONDS
from callboard.app.node import SLOTS
from callboard.bus.storage import PATIENCE
from callboard.bus.topology import ENTRIES_PER_RUN, QueueLimits
from callboard.cli import shared
from callboard.config.durations import parse_duration
from callboard.config.spec import Limits

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "operating.md").read_text(encoding="utf-8")


def test_every_exit_code_is_listed() -> None:
    codes = {shared.DONE, shared.FAILED, shared.USAGE, shared.NO_BUS, shared.KILLED, shared.FULL}
    shown = re.findall(r"^\| (\d+) \| ", PAGE.partition("## Exit codes")[2].partition("\n## ")[0], re.MULTILINE)
    assert set(map(int, shown)) == codes | {shared.BUG, shared.INTERRUPTED}


def test_every_limit_is_listed_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| ", PAGE, re.MULTILINE)
    shown = {name: parse_duration(value) for name, value in rows}
    assert shown == Limits().model_dump()


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"{QueueLimits().max_msgs:,} tasks or {QueueLimits().max_bytes // 2**30} GiB" in PAGE
    assert f"| {MAX_ENTRIES:,} | `run.failed: journal_full`; {ENTRIES_PER_RUN - MAX_ENTRIES} more" in PAGE
    assert f"The log warns at {LONG:,}" in PAGE
    assert f"| {SPEC_BYTES // 1024} KiB of JSON |" in PAGE
    assert f"{INLINE_BYTES // 1024} KiB; a tool may" in PAGE
    assert f"`--slots` ({SLOTS})" in PAGE
    assert f"`--drain` seconds ({DRAIN_SECONDS})" in PAGE
    assert f"keeps trying for {PATIENCE:g} s" in PAGE


def test_the_window_of_a_kill_is_the_one_that_is_promised() -> None:
    page = (DOCS / "guarantees.md").read_text(encoding="utf-8")
    assert f"{START_WINDOW + MARGIN:g} s have passed: the start window of {START_WINDOW:g} s, and {MARGIN:g} s" in page
