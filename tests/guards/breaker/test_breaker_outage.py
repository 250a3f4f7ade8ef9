"""A provider is dead for 45 minutes of virtual time: the only one, or the first of two."""

from __future__ import annotations

import pytest

from tests.guards.breaker.outage import BACK, CHAIN, DIES, MINUTE, play


@pytest.mark.parametrize(("seed", "runs"), [pytest.param(1, 12, marks=pytest.mark.slow), (2, 1)])
def test_an_outage_of_45_minutes_loses_no_run(seed, runs):
    outage = play(seed, runs=runs)
    print(
        f"45 minutes without the provider, {runs} runs on 4 workers: {outage.completed} completed, "
        f"{outage.dead_calls} calls hit the dead provider, the last run ended {outage.ended - BACK:.0f} s after it was"
        f" back, longest journal {outage.longest_journal} entries"
    )
    assert outage.failed == []
    assert outage.completed == runs
    assert outage.dead_calls <= 4 * 5 + 45 * MINUTE / 30 + 40
    assert outage.ended < BACK + 2 * MINUTE
    assert outage.said[-1][2] in ("ramp", "closed")


@pytest.mark.slow
def test_without_the_breaker_the_same_outage_loses_runs():
    assert len(play(1, runs=12, guarded=False).failed) >= 8


@pytest.mark.parametrize(("seed", "runs"), [pytest.param(3, 60, marks=pytest.mark.slow), (4, 8)])
def test_with_a_second_model_runs_go_on_during_the_outage_and_return_to_the_first_one_after_it(seed, runs):
    outage = play(seed, runs=runs, spec=CHAIN, after=runs // 4)
    during = [(end - begin, by) for begin, end, by in outage.answers if DIES <= begin < BACK]
    print(
        f"45 minutes without the first of two providers, {runs} runs on 4 workers: {outage.completed} completed, "
        f"{outage.dead_calls} calls hit the dead provider, the slowest run of the outage took "
        f"{max(seconds for seconds, _ in during):.1f} s"
    )
    assert (outage.completed, outage.failed) == (runs, [])
    assert {by for _, by in during} == {"second"}
    assert max(seconds for seconds, _ in during) < MINUTE
    assert {by for begin, _, by in outage.answers if begin > BACK} == {"primary"}
