"""Each rule of the protocol, switched off, must be noticed within a few seeds: else the simulation proves nothing."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.runner import failures

SEEDS = 2_000
STEP = 20


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_switched_off_is_noticed_within_2000_seeds(name: str) -> None:
    with MUTANTS[name]():
        caught = next((found for first in range(0, SEEDS, STEP) if (found := failures(first, STEP))), {})
    assert caught, f"{name} went unnoticed for {SEEDS} seeds"
