"""The page about models says what the code does."""

from __future__ import annotations

import re
from math import ceil
from pathlib import Path
from typing import get_args

import pytest

from callboard.config.file_format import ProviderEntry
from callboard.config.settings import ALLOWED
from callboard.config.spec import PROVIDERS, ModelChoice
from callboard.models.port import Stop
from callboard.models.tokens import BYTES
from callboard.models.vocabulary import counter_of, encoding_of
from tests.docs.page import blocks
from tests.docs.test_commands import session
from tests.models.token_samples import SAMPLES
from tests.support.ports import free_ports

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
PORT = "18086"
"""What the page has; here it may be taken."""
pytestmark = pytest.mark.timeout(180)


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    below = PAGE[PAGE.index(heading) :]
    table = re.search(r"^\|[^\n]*\n\|---[^\n]*\n((?:\|[^\n]*\n)+)", below, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_what_the_page_shows_is_what_happens(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    assert PORT in PAGE
    with session(tmp_path) as shell:
        for block in blocks(PAGE.replace(PORT, str(port))):
            shell.play(block)


def test_every_provider_every_setting_and_every_stop_is_on_the_page() -> None:
    assert {name for row in rows("| provider | what it is") for name in names(row[0])} == set(PROVIDERS)
    assert {name for row in rows("## Keys and servers") for name in names(row[0])} == set(ProviderEntry.model_fields)
    settings = {next(iter(names(row[0]))): names(row[1]) for row in rows("## Settings of a model")}
    assert settings == {kind: set(allowed) for kind, allowed in ALLOWED.items()}
    assert {name for row in rows("## How an answer ends") for name in names(row[0])} == set(get_args(Stop))


def test_what_is_reckoned_for_a_text_is_what_the_page_says() -> None:
    gpt, claude = (counter_of(ModelChoice(provider="openai-chat", name=name)) for name in ("gpt-5", "claude-opus-5"))
    around = gpt.text("")
    shown = {row[0]: [int(cell.strip("*")) for cell in row[1:]] for row in rows("What is reckoned for 100 tokens")}
    found = {}
    for sample in SAMPLES:
        by_bytes = ceil(BYTES.most * BYTES.text(sample.text))
        counted = [by_bytes / sample.newer, (gpt.text(sample.text) - around) / sample.newer]
        guessed = [by_bytes / sample.claude_48, (claude.text(sample.text) - around) / sample.claude_48]
        found[sample.kind] = [round(100 * each) for each in (*counted, *guessed)]
    assert shown == found
    for row in rows("## Counting tokens")[:3]:
        for name in names(row[0]):
            assert names(row[2]) == {encoding_of(ModelChoice(provider="openai-chat", name=name))}, name


def test_the_defaults_on_the_page_are_true() -> None:
    assert ModelChoice(provider="openai").max_output == 4096
    assert "4096 if you say nothing" in PAGE
    assert ProviderEntry().stall_timeout == 60
