"""Real processes, and everything that can happen to them. Longer: ``python -m tests.chaos --seconds 300 --seed 7``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.judgement import STOPPED
from tests.chaos.servers import one_server
from tests.chaos.storm import Plan, Storm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def test_no_promise_is_broken_in_a_storm_and_every_run_is_over_soon_after_it(tmp_path: Path) -> None:
    plan = Plan(seconds=22, seed=1)
    print(f"seed {plan.seed}", *plan.faults, sep="\n")
    async with one_server(tmp_path) as servers:
        outcome = await Storm(plan, servers, tmp_path).run()
    print(outcome)
    assert outcome.ok, str(outcome)
    assert outcome.runs >= 150
    missing = {*STOPPED.values()} - {*outcome.guarded}
    assert not missing, f"no run was ended by {missing}"
    assert outcome.said["breaker warn"] >= 1, "no circuit opened for the dead provider"
