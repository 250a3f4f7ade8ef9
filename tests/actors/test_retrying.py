"""What becomes of a model call whose attempt failed, and how many retries a worker grants itself."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.retry_budget import FLOOR, SHARE, WHILE, RetryBudget, RetryBudgets
from callboard.actors.retrying import BASE, LONGEST, Next, after, chance_of
from callboard.errors import ModelError, ModelErrorKind

KINDS = get_args(ModelErrorKind)
NEVER = ("quota", "auth", "bad_request", "refusal", "context")


def next_of(kind="overload", *, retryable=True, retry_after=None, **fields) -> Next:
    error = ModelError(kind, "x", retryable=retryable, retry_after=retry_after)
    usual = {"tries": 1, "attempts": 4, "seconds_left": 900.0, "wait": 0.0, "chance": 0.5, "others": False}
    return after(error, **{**usual, **fields})


@given(st.integers(1, 19), st.floats(0, 1))
def test_the_pause_is_any_part_of_one_that_doubles_up_to_its_cap(tries, chance):
    pause = next_of(tries=tries, attempts=20, chance=chance).pause
    assert pause == pytest.approx(chance * min(LONGEST, BASE * 2 ** (tries - 1)))


def test_it_is_tried_again_as_often_as_the_limit_says():
    assert next_of(tries=3).pause is not None
    assert next_of(tries=4) == Next(None)


@pytest.mark.parametrize("kind", NEVER)
def test_what_stays_as_it_is_is_never_tried_again(kind):
    assert next_of(kind) == Next(None)


@pytest.mark.parametrize("kind", KINDS)
def test_what_its_adapter_calls_final_is_never_tried_again(kind):
    assert next_of(kind, retryable=False) == Next(None)


def test_a_provider_that_asks_for_quiet_gets_it_and_not_all_come_back_at_once():
    assert next_of("rate", retry_after=20.0, chance=0.0).pause == 20.0
    assert 20.0 < next_of("rate", retry_after=20.0, chance=0.9).pause <= 20.0 + BASE
    assert next_of("rate", retry_after=-5.0, chance=0.0).pause == 0.0
    assert next_of("rate", retry_after=20.0).why == "it asks for 20.0 s of quiet"


def test_quiet_beyond_the_deadline_ends_the_call_at_once_and_says_so():
    assert next_of("rate", retry_after=60.0, seconds_left=60.0) == Next(
        None, why="it asks for 1 min of quiet, and the run's deadline is before that"
    )
    assert next_of("rate", retry_after=59.0, seconds_left=60.0).pause is not None
    assert next_of(seconds_left=0.0).pause is not None, "the deadline itself ends it, under its own name"


def test_one_that_is_too_busy_and_says_until_when_is_asked_as_often_as_it_takes():
    assert next_of("rate", retry_after=5.0, tries=4).pause is not None
    assert next_of("rate", retry_after=5.0, tries=5_000, chance=1.0).pause == 5.0 + LONGEST
    assert next_of("rate", retry_after=5.0, tries=4, others=True).left == "for_now"
    assert next_of("rate", tries=4) == Next(None), "it does not say until when"
    assert next_of("overload", retry_after=5.0, tries=4) == Next(None), "it is not well"


@pytest.mark.parametrize("seed", range(5))
def test_a_crowd_that_is_too_large_for_its_limit_is_served_in_the_end(seed):
    """100 runs with three calls each, at the same time, where 50 calls a minute are allowed."""
    lost, calls = crowd(100, turns=3, limit=50, window=60.0, seed=seed)
    assert lost == 0
    assert calls < 3 * 100 * 2.5


def crowd(runs: int, *, turns: int, limit: int, window: float, seed: int) -> tuple[int, int]:
    """How many calls were lost, and how many were made."""
    due = [(run * 0.01, run, 1, 1) for run in range(runs)]
    used, budget, lost, calls = deque[float](), RetryBudget(), 0, 0
    while due:
        now, run, turn, tries = heapq.heappop(due)
        calls, budget = calls + 1, budget.requested(now) if tries == 1 else budget
        while used and used[0] <= now - window:
            used.popleft()
        if len(used) < limit:
            used.append(now)
            if turn < turns:
                heapq.heappush(due, (now + 1, run, turn + 1, 1))
            continue
        then = next_of("rate", retry_after=used[0] + window - now, tries=tries, seconds_left=900 - now,
            wait=budget.wait(now), chance=chance_of(f"{seed}/{run}", f"m{turn}", tries),
        )  # fmt: skip
        if then.pause is None:
            lost += 1
        else:
            budget = budget.retried(now)
            heapq.heappush(due, (now + then.pause, run, turn, tries + 1))
    return lost, calls


def test_a_used_up_budget_lets_a_call_wait_and_says_so():
    waits = next_of(wait=7.0, chance=0.0)
    assert (waits.pause, waits.why) == (7.0, "this worker's retries of it are used up for 7.0 s")
    assert next_of(wait=7.0, retry_after=9.0, chance=0.0).pause == 9.0
    assert next_of(wait=7.0, seconds_left=5.0).pause is None


def test_another_model_is_asked_at_once_when_this_one_is_of_no_use_now():
    assert next_of(tries=4, others=True) == Next(0.0, "for_now", "it failed 4 times")
    assert next_of("rate", retry_after=LONGEST + 1, others=True).left == "for_now"
    assert next_of("rate", retry_after=5.0, seconds_left=4.0, others=True).left == "for_now"
    assert next_of(wait=0.1, others=True).left == "for_now"
    assert next_of("rate", retry_after=LONGEST, others=True).left == ""
    assert next_of(tries=3, others=True).left == ""


@pytest.mark.parametrize("kind", ["quota", "auth", "context", "bad_request"])
def test_another_model_is_asked_for_good_when_this_one_will_never_answer(kind):
    assert next_of(kind, retryable=False, others=True) == Next(0.0, "for_good")


def test_what_a_model_refuses_to_answer_goes_to_no_other():
    assert next_of("refusal", retryable=False, others=True) == Next(None)


FAILURES = st.fixed_dictionaries({
    "kind": st.sampled_from(KINDS), "retryable": st.booleans(), "retry_after": st.none() | st.floats(-10, 10**6),
    "tries": st.integers(1, 6), "seconds_left": st.floats(0, 1000), "wait": st.floats(0, 100),
    "chance": st.floats(0, 1), "others": st.booleans(),
})  # fmt: skip


@given(FAILURES)
def test_no_pause_is_shorter_than_what_was_asked_for_and_only_another_model_is_asked_without_one(failure):
    then = next_of(**failure)
    if then.left:
        assert failure["others"]
        assert then.pause == 0.0
    elif then.pause is not None:
        assert failure["retryable"]
        assert failure["kind"] not in NEVER
        assert failure["tries"] < 4 or (failure["kind"], failure["retry_after"] is None) == ("rate", False)
        assert then.pause >= max(failure["retry_after"] or 0.0, failure["wait"])


def test_chance_differs_between_attempts_and_is_the_same_when_it_is_asked_again():
    each = [chance_of(f"r{run}", "m1", attempt) for run in range(50) for attempt in (1, 2)]
    assert len(set(each)) == 100
    assert all(0 <= one < 1 for one in each)
    assert 0.35 < sum(each) / 100 < 0.65
    assert chance_of("r1", "m1", 1) == chance_of("r1", "m1", 1)


def test_a_single_run_may_retry_at_once_and_a_storm_of_them_may_not():
    budget = RetryBudget().requested(0.0)
    for _ in range(int(FLOOR)):
        assert budget.wait(0.0) == 0.0
        budget = budget.retried(0.0)
    assert budget.wait(0.0) > 0


@given(st.integers(0, 400), st.integers(0, 400))
def test_retries_are_a_share_of_the_requests_and_a_few_more(requests, retries):
    budget = RetryBudget(float(requests), float(retries))
    assert (budget.wait(0.0) == 0.0) == (retries + 1 <= SHARE * requests + FLOOR)


@given(st.floats(0, 500), st.floats(0, 500))
def test_after_the_wait_there_is_room(requests, retries):
    budget = RetryBudget(requests, retries)
    later = budget.wait(0.0)
    assert math.isclose(budget.wait(later + 1e-6), 0.0, abs_tol=1e-3) or budget.wait(later + WHILE) == 0.0
    assert budget.wait(later / 2) <= later


def test_those_that_wait_come_back_one_after_the_other():
    budget, waits = RetryBudget(), []
    for _ in range(40):
        waits.append(budget.wait(0.0))
        budget = budget.retried(0.0)
    assert waits == sorted(waits)
    assert len(set(waits[int(FLOOR) :])) == 30


def test_in_the_long_run_a_dead_model_is_retried_for_a_fifth_of_the_requests():
    budget, retries = RetryBudget(), 0
    for second in range(3_600):
        for _ in range(10):
            budget = budget.requested(float(second))
        while budget.wait(float(second)) == 0.0:
            budget, retries = budget.retried(float(second)), retries + 1
    assert SHARE * 36_000 * 0.95 <= retries <= SHARE * 36_000 + FLOOR * 3_600 / WHILE * 1.1


def test_a_clock_that_stands_or_goes_back_harms_nothing():
    budget = RetryBudget().retried(100.0)
    assert budget.requested(50.0) == RetryBudget(1.0, 1.0, 100.0)


def test_each_model_has_a_budget_of_its_own():
    budgets = RetryBudgets()
    for _ in range(int(FLOOR)):
        budgets.retried("a", 1.0)
    assert budgets.wait("a", 1.0) > 0
    assert budgets.wait("b", 1.0) == 0
    for _ in range(5):
        budgets.requested("a", 1.0)
    assert budgets.wait("a", 1.0) == 0
