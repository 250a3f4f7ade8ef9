"""Lanes: strict priority, and a share for those behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.lanes import PERIOD, Quota, next_pull, taken
from tests.support.journals import few

LANES = ("high", "normal", "low")
frees = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def take(work: dict[str, int], quota: Quota, free: int) -> tuple[Quota, list[str]]:
    """One round of a worker: pulls until the first lane that gives tasks."""
    for lane, batch in next_pull(quota, free):
        assert 1 <= batch <= free
        got = min(batch, work[lane])
        work[lane] -= got
        quota = taken(quota, lane, got)
        if got:
            return quota, [lane] * got
    return quota, []


def run(work: dict[str, int], free: list[int], rounds: int = 60) -> list[str]:
    quota, order = Quota(), []
    for turn in range(rounds):
        quota, got = take(work, quota, free[turn % len(free)])
        order += got
    return order


@few
@given(frees)
def test_any_sixteen_tasks_in_a_row_have_one_of_each_lane_that_always_has_work(free):
    order = run(dict.fromkeys(LANES, 10_000), free)
    assert order
    for start in range(len(order) - PERIOD + 1):
        assert set(order[start : start + PERIOD]) == set(LANES)


@few
@given(frees)
def test_of_saturated_lanes_high_gets_all_but_two_of_sixteen(free):
    order = run(dict.fromkeys(LANES, 10_000), free, rounds=400)
    assert order.count("high") >= (PERIOD - 3) / PERIOD * len(order) - PERIOD


@few
@given(frees, st.lists(st.tuples(st.sampled_from(LANES), st.integers(1, 40)), max_size=40))
def test_a_lane_that_keeps_work_is_served_within_sixteen_tasks_whatever_else_comes_and_goes(free, arrivals):
    work, quota = dict.fromkeys(LANES, 0), Quota()
    passed = dict.fromkeys(LANES, 0)
    for turn, (lane, count) in enumerate(arrivals):
        work[lane] += count
        quota, got = take(work, quota, free[turn % len(free)])
        for each in LANES:
            after_last = len(got) if each not in got else 0
            passed[each] = 0 if not work[each] else passed[each] * (each not in got) + after_last
            assert each == "high" or passed[each] < PERIOD


@few
@given(frees, st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_no_slot_is_wasted_and_nothing_is_left_behind(free, high, normal, low):
    waiting = {"high": high, "normal": normal, "low": low}
    quota, turn, left = Quota(), 0, dict(waiting)
    while any(left.values()):
        before = sum(left.values())
        quota, got = take(left, quota, free[turn % len(free)])
        assert got, "a round that takes nothing although a task waits"
        assert before - sum(left.values()) == len(got)
        turn += 1


@few
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 64))
def test_every_lane_is_tried_once_and_only_a_lane_that_is_due_comes_before_a_higher_one(since_normal, since_low, free):
    order = [lane for lane, _ in next_pull(Quota(since_normal, since_low), free)]
    assert sorted(order) == sorted(LANES)
    if since_low < PERIOD - 1:
        assert order[-1] == "low"
    if since_normal < PERIOD - 2:
        assert order.index("high") < order.index("normal")


def test_without_a_debt_the_order_is_strict():
    assert next_pull(Quota(), 8) == (("high", 8), ("normal", 8), ("low", 8))


def test_a_worker_without_a_free_slot_pulls_nothing():
    assert next_pull(Quota(), 0) == ()


def test_a_batch_ends_where_the_next_lane_is_due():
    assert next_pull(Quota(since_normal=10, since_low=13), 64)[0] == ("high", 2)
    assert next_pull(Quota(since_normal=14, since_low=3), 64)[0] == ("normal", 1)
    assert next_pull(Quota(since_normal=14, since_low=15), 64) == (("low", 1), ("normal", 1), ("high", 14))


def test_a_due_lane_without_work_is_owed_nothing_any_more():
    quota = taken(Quota(since_normal=3, since_low=15), "low", 0)
    assert next_pull(quota, 4)[0] == ("high", 4)
