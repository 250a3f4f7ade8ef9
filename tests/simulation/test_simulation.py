"""The product's own workers, dispatchers and killers in simulated worlds: virtual time, faults drawn from a seed."""

from __future__ import annotations

import time

import pytest

from tests.simulation.runner import failures, replay_command

SEEDS = 8_000
CHUNK = 500
SHOWN = 5


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_world_keeps_the_promises_whatever_goes_wrong(first: int, record_property) -> None:
    begun = time.perf_counter()
    found = failures(range(first, first + CHUNK))
    speed = CHUNK / (time.perf_counter() - begun)
    record_property("seeds_per_second", round(speed))
    print(f"seeds {first} to {first + CHUNK - 1}: {speed:.0f} seeds/s")
    shown = [f"{replay_command(seed)}\n    " + "\n    ".join(lines) for seed, lines in sorted(found.items())[:SHOWN]]
    assert not found, f"{len(found)} of {CHUNK} seeds failed:\n" + "\n".join(shown)
