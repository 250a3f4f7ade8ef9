"""The pages about the circuit breaker and rate limits say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from callboard.config.guards import Breaker, RateLimit
from callboard.guards.breaker import circuit
from callboard.guards.rate import gate
from tests.docs.page import blocks
from tests.docs.test_commands import session

GUARDS = Path(__file__).resolve().parents[2] / "docs" / "guards"
BREAKER = (GUARDS / "breaker.md").read_text(encoding="utf-8")
RATE = (GUARDS / "rate-limit.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [BREAKER, RATE], ids=["breaker", "rate"])
def test_what_the_page_shows_is_what_happens(page: str, tmp_path: Path) -> None:
    with session(tmp_path) as shell:
        for block in blocks(page):
            shell.play(block)


def test_every_setting_of_the_breaker_has_its_true_default() -> None:
    shown = dict(re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \| ", BREAKER, re.MULTILINE))
    assert shown == {
        name: value if isinstance(value, str) else f"{value:g}" for name, value in Breaker().model_dump().items()
    }


def test_every_setting_of_a_rate_limit_is_on_its_page() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| ", RATE, re.MULTILINE)) == set(RateLimit.model_fields)


def test_the_figures_of_the_pages_are_those_of_the_code() -> None:
    assert f"another one probes after {circuit.LEASE:g} s" in BREAKER
    assert f"never open for longer than {circuit.LAST_RESORT:g} s" in BREAKER
    assert [end for end, _ in circuit.RAMP] == [2.0, 4.0]
    assert f"waits up to {gate.PATIENCE:g} s" in RATE
    assert f"Calls wait {gate.GONE:g} s for somebody to answer" in RATE
