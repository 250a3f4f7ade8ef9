"""Pure: the checker itself."""

from __future__ import annotations

from collections.abc import Iterator

from .explore import STUCK, Step, System, explore

LIMIT = 5


def count(state: int) -> Iterator[Step[int]]:
    """Up by one or by two; from the limit on there is only a fault."""
    if state < LIMIT:
        yield Step("one", state + 1)
        yield Step("two", state + 2)
    else:
        yield Step("fault", 0, fault=True)


def never(state: int) -> str:
    return ""


def test_every_reachable_state_is_visited_once():
    verdict = explore(System(0, count, never))
    assert verdict.proved
    assert verdict.states == LIMIT + 2
    assert verdict.depth == 3


def test_the_trace_to_a_violation_is_a_shortest_one():
    verdict = explore(System(0, count, lambda state: "FIVE is reached" if state == 5 else ""))
    assert verdict.problem == "FIVE is reached"
    assert len(verdict.trace) == 3
    assert sum({"one": 1, "two": 2}[label] for label in verdict.trace) == 5


def test_a_violation_at_the_start_has_an_empty_trace():
    verdict = explore(System(0, count, lambda state: "START is wrong" if state == 0 else ""))
    assert verdict.problem == "START is wrong"
    assert verdict.trace == ()


def test_a_state_that_only_a_fault_leaves_is_stuck():
    verdict = explore(System(0, count, never, goal=lambda state: state == LIMIT))
    assert verdict.problem == STUCK
    assert sum({"one": 1, "two": 2}[label] for label in verdict.trace) == LIMIT + 1


def test_what_is_stuck_from_the_start_is_traced_to_where_it_ends():
    verdict = explore(System(0, count, never, goal=lambda state: state > LIMIT + 1))
    assert verdict.problem == STUCK
    assert sum({"one": 1, "two": 2}[label] for label in verdict.trace) == LIMIT


def test_a_goal_that_every_healthy_path_can_reach_holds():
    assert explore(System(0, count, never, goal=lambda state: state >= LIMIT)).proved


def test_a_search_that_was_cut_short_proves_nothing():
    verdict = explore(System(0, count, never), max_states=3)
    assert not verdict.complete
    assert not verdict.proved
