"""The guard that says which limit ended a run."""

from datetime import UTC, datetime

import pytest

from callboard.bus.messages import Event, Problem, RunCompleted, RunFailed
from callboard.bus.subjects import RunKey
from callboard.guards.kit import Seen
from callboard.guards.limits import ENDS, LimitsGuard

KEY = RunKey("t", "r")


def said(event: Event):
    guard = LimitsGuard()
    return guard.observe(guard.start(KEY), Seen(KEY, 9, datetime(2026, 11, 21, tzinfo=UTC), event))[1]


@pytest.mark.parametrize("kind", sorted(ENDS))
def test_the_end_by_a_limit_is_said_with_what_to_do(kind):
    (verdict,) = said(RunFailed(problem=Problem(kind=kind, message="it was late", hint="raise it")))
    assert (verdict.action, verdict.reason, verdict.evidence) == ("warn", "it was late: raise it", (9,))
    assert verdict.data == {"kind": kind}


def test_a_reason_needs_no_hint():
    assert said(RunFailed(problem=Problem(kind="turns", message="50 turns")))[0].reason == "50 turns"


def test_a_guard_that_says_nothing_else_is_awake_from_the_start():
    assert LimitsGuard().wakes(RunCompleted())


def test_other_ends_are_none_of_its_business():
    assert not said(RunFailed(problem=Problem(kind="budget", message="spent"), guard="budget"))
    assert not said(RunCompleted())
