"""The storm on a cluster of three servers whose nodes, leaders included, are killed: ``make cluster``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.cluster import cluster
from tests.chaos.storm import IN_CLUSTER, Plan, Storm

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_no_promise_is_broken_in_a_storm_on_a_cluster_whose_leaders_die(tmp_path: Path) -> None:
    plan = Plan(seconds=60, seed=1, **IN_CLUSTER)
    print(f"seed {plan.seed}", *plan.faults, sep="\n")
    async with cluster(tmp_path) as servers:
        outcome = await Storm(plan, servers, tmp_path).run()
    print(outcome)
    assert outcome.ok, str(outcome)
    assert outcome.runs >= 100
    assert outcome.faults["kill server"] >= 2
