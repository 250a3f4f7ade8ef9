"""The harness is strong enough: processes with one rule of the protocol switched off are found out by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.servers import one_server
from tests.chaos.storm import Plan, Storm
from tests.chaos.zygote import zygote
from tests.crash.matrix import matrix
from tests.kill.stage import killed_on_its_intent, stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.mark.parametrize(
    ("mutant", "place", "rule"),
    [
        ("rerun_in_doubt", ("etl", "worker", "during:3"), "at_most_once"),
        ("early_acknowledgement", ("etl", "worker", "before:3"), "R1"),
        ("forgetful_dispatcher", ("lead", "dispatcher", "before:1"), "family"),
    ],
)
async def test_one_death_finds_a_mutant(mutant: str, place: tuple[str, str, str], rule: str, tmp_path: Path) -> None:
    agent, victim, fault = place
    with matrix(agent, tmp_path) as board:
        ending = await board.cell(fault, victim=victim, mutant=mutant, within=6)
    assert rule in {violation.rule for violation in ending.evidence.violations()}


async def test_a_freeze_finds_a_worker_without_a_start_window(tmp_path: Path) -> None:
    with zygote() as forks, pytest.raises(AssertionError, match=r"after (it was )?settled"):
        async with stage(forks, tmp_path, worker=False) as board:
            await killed_on_its_intent(board, 3, mutant="no_window")


async def test_a_storm_finds_a_worker_that_ignores_that_it_was_fenced(tmp_path: Path) -> None:
    plan = Plan(seconds=6, seed=11, calm=2.5, rate=12, mutant="no_fence")
    async with one_server(tmp_path) as servers:
        outcome = await Storm(plan, servers, tmp_path).run()
    assert {"fenced", "claim", "terminal", "repeated"} & {violation.rule for violation in outcome.violations}
