"""Each rule of the protocol, switched off, must be noticed within a few seeds: else the simulation proves nothing."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.runner import failures
from tests.simulation.scenarios import SCENARIOS

SEEDS = 2_000
STEP = 20
SCENARIO = {scenario.name: number for number, scenario in enumerate(SCENARIOS)}
ONLY = {"timer_acknowledged_first": SCENARIO["sleeper"]}
"""Where only one scenario can show the mutant, its seeds are enough."""


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_switched_off_is_noticed_within_2000_seeds(name: str) -> None:
    seeds = range(SEEDS) if name not in ONLY else range(ONLY[name], SEEDS * len(SCENARIOS), len(SCENARIOS))
    with MUTANTS[name]():
        caught = next((found for at in range(0, SEEDS, STEP) if (found := failures(seeds[at : at + STEP]))), {})
    assert caught, f"{name} went unnoticed for {SEEDS} seeds"
