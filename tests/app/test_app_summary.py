"""A run in one line: how it is, why, and what it cost."""

from __future__ import annotations

import pytest

from callboard.actors.fold import replay
from callboard.app.summary import RunSummary, summary
from callboard.bus.messages import (
    Amount,
    Content,
    GuardDenied,
    Message,
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    Problem,
    RunCompleted,
    RunFailed,
    RunKilled,
    RunPaused,
    RunResumed,
    Usage,
)
from callboard.bus.subjects import RunKey
from tests.support.journals import at, claimed, journal

NOW = at(1_000)
OVER = Problem(kind="budget", message="$2.00 are used")
HELD = ModelRequested(call="m1", reserved=Amount(usd_micros=1_000, input_tokens=100))
USED = Usage(input_tokens=10, output_tokens=2, cached_tokens=3, cost_usd_micros=50)


def of(*events: Message) -> RunSummary:
    return summary(RunKey("acme", "r1"), replay(journal(claimed(), *events)), None, now=NOW)


@pytest.mark.parametrize(
    ("events", "guard", "reason"),
    [
        ((RunKilled(reason="a loop", by="guard:loop", guard="loop"),), "loop", "killed by guard loop: a loop"),
        ((RunKilled(by="ada"),), "", "killed by ada: no reason given"),
        ((RunKilled(),), "", "killed by somebody: no reason given"),
        ((RunFailed(problem=OVER, guard="budget", partial=Content(value=1)),), "budget", "budget: $2.00 are used"),
        ((RunPaused(name="audit", by="ada"), RunCompleted()), "", ""),
        ((RunPaused(name="audit", by="ada"),), "", "paused by ada: no reason given"),
        ((RunPaused(name="audit", by="ada"), RunResumed(name="audit")), "", ""),
        ((RunPaused(name="g", guard="taint", reason="look", until=at(999)),), "", ""),
        (
            (RunPaused(name="g", guard="taint", reason="look", until=at(1_001)),),
            "",
            "paused by guard taint until 2026-11-21 12:16:41Z: look",
        ),
        (
            (GuardDenied(guard="breaker", call="m1", problem=OVER, retry_at=at(5)),),
            "",
            "held by guard breaker until 2026-11-21 12:00:05Z: $2.00 are used",
        ),
        ((GuardDenied(guard="budget", call="m1", problem=OVER, wrap_up=True),), "", ""),
    ],
)
def test_a_run_says_what_ended_it_or_holds_it_up(events: tuple[Message, ...], guard: str, reason: str) -> None:
    told = of(*events)
    assert (told.guard, told.why) == (guard, reason)
    assert told.as_json()["guard"] == guard


def test_its_cost_is_what_is_used_and_at_the_end_what_may_have_been() -> None:
    assert (of(HELD).tokens, of(HELD).cost_usd_micros) == (0, 0)
    answered = of(HELD, ModelResponded(call="m1", usage=USED))
    assert (answered.turns, answered.tokens, answered.cost_usd_micros) == (1, 15, 50)
    failed = of(HELD, ModelFailed(call="m1", problem=OVER, usage=USED))
    assert (failed.turns, failed.cost_usd_micros) == (0, 50)
    assert of(HELD, RunKilled()).cost_usd_micros == 1_000
    assert of(HELD, RunKilled(), ModelLateUsage(call="m1", usage=USED)).cost_usd_micros == 50


def test_why_is_empty_for_a_run_that_goes_on() -> None:
    assert (of().why, of().holds) == ("", ())
