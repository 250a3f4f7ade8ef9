"""Shell: plays many seeds in a row."""

from __future__ import annotations

import gc

from tests.simulation.verdict import judge
from tests.simulation.world import play

_COLLECT_EVERY = 50


def replay_command(seed: int) -> str:
    """How to see what happened."""
    return f"python -m tests.simulation --seed {seed} --trace"


def failures(seeds: range) -> dict[int, list[str]]:
    """What is wrong with ``seeds``, by seed."""
    found: dict[int, list[str]] = {}
    gc.collect()
    gc.freeze()
    gc.disable()  # a world's garbage goes all at once: the collector would walk living worlds again and again
    try:
        for number, seed in enumerate(seeds):
            wrong = judge(play(seed))
            if wrong:
                found[seed] = wrong
            if number % _COLLECT_EVERY == 0:
                gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    return found
