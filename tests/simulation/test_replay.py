"""A failing seed is worth something only if it fails again, in the same way, wherever it is replayed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import loop
from tests.simulation.loop import Process, SimLoop, SimulationStuck, simulate
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.world import play

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(33))
def test_the_same_seed_plays_the_same_world(seed: int) -> None:
    assert play(seed).digest == play(seed).digest


def test_a_seed_is_replayed_exactly_in_another_process_with_other_hashes() -> None:
    seeds = range(100, 100 + len(SCENARIOS))
    program = f"from tests.simulation.world import play\nfor seed in {seeds!r}: print(play(seed).digest)"
    here = [play(seed).digest for seed in seeds]
    for hashes in ("1", "77"):
        there = subprocess.run(  # the interpreter of these tests
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.split() == here


def test_the_command_that_a_failure_names_shows_schedule_and_journals() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seed", "6", "--trace"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "delivered" in shown
    assert "run.created" in shown
    assert "fine" in shown.splitlines()[-1]


def test_the_dead_never_run_again_and_the_frozen_go_on_where_they_were() -> None:
    said: list[str] = []
    processes: list[Process] = []

    async def live(name: str, process: Process) -> None:
        try:
            for _ in range(3):
                await tick(process.loop)
                said.append(name)
        finally:
            said.append(f"{name} cleaned up")

    async def tick(here: SimLoop) -> None:
        done = here.create_future()
        here.call_later(1.0, done.set_result, None)
        await done

    async def main(here: SimLoop) -> None:
        for name in ("dead", "frozen"):
            processes.append(Process(here, name))
            processes[-1].run(live(name, processes[-1]))
        here.call_later(1.5, processes[0].kill)
        here.call_later(1.5, processes[1].freeze)
        here.call_later(10.0, processes[1].thaw)
        for _ in range(9):
            await tick(here)
        assert sorted(said) == ["dead", "frozen"]
        for _ in range(5):
            await tick(here)
        assert said.count("frozen") == 3
        assert "dead cleaned up" not in said

    simulate(1, main, processes)


def test_a_world_in_which_nothing_can_happen_any_more_is_an_error() -> None:
    async def main(here: SimLoop) -> None:
        await here.create_future()

    with pytest.raises(SimulationStuck):
        simulate(1, main, [])


def test_cancel_scopes_are_anyios_own_again_after_a_simulation() -> None:
    play(0)
    assert loop._asyncio.CancelScope is not loop.SimScope
