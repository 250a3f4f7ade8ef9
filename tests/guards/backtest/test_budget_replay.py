"""A run's budget over a recorded journal."""

from __future__ import annotations

from typing import Any

from callboard.bus.messages import (
    Amount,
    BudgetRaised,
    Message,
    ModelRequested,
    ModelResponded,
    RunCompleted,
    ToolRequested,
    ToolReturned,
    Usage,
)
from callboard.bus.subjects import RunKey
from callboard.config.guards import BudgetSettings
from callboard.guards.backtest import Trial, judge
from callboard.guards.budget.audit import BudgetGuard
from callboard.guards.hosted import Hosted
from tests.support.journals import at, claimed, journal

KEY = RunKey("acme", "r1")
USED = Usage(input_tokens=100, output_tokens=10, cost_usd_micros=100_000)
HELD = Amount(usd_micros=120_000, input_tokens=200, output_tokens=50, model_calls=1)


def turns(count: int, *before: Message) -> list[Message]:
    """Each costs $0.10, of which $0.12 were reserved, and calls a tool."""
    return [
        *before,
        *(
            event
            for n in range(1, count + 1)
            for event in (
                ModelRequested(call=f"m{n}", reserved=HELD),
                ModelResponded(call=f"m{n}", usage=USED),
                ToolRequested(call=f"t{n}", tool="x"),
                ToolReturned(call=f"t{n}"),
            )
        ),
    ]


def tried(events: list[Message], *, run: dict[str, Any], **settings: Any) -> Trial:
    nothing = {"usd": None, "model_calls": None, "tool_calls": None}
    budget = BudgetSettings.model_validate({"run": {**nothing, **run}, **settings})
    hosted = Hosted("budget", lambda _: (BudgetGuard(budget, role="instead"), "enforce"))
    trial = judge(hosted, KEY, journal(claimed(), *events, RunCompleted()), until=at(1_000))
    assert trial is not None
    return trial


def said(trial: Trial) -> list[tuple[str, str]]:
    """What, at which call or entry."""
    return [(each.event.action, each.event.call or str(each.event.sequence)) for each in trial.said]


def test_a_cap_is_announced_then_denies_and_ends_the_run_after_the_turn_that_wraps_up() -> None:
    trial = tried(turns(12), run={"usd": 1.0})
    # $0.90 are for calls before the turn that wraps up: the eighth fits ($0.70 and $0.12), the ninth does not
    assert said(trial) == [("warn", "18"), ("nudge", "30"), ("deny", "m9"), ("kill", "36")]
    assert trial.said[2].event.reason == "this run has used $0.80 of $1.00, and the next call may take $0.12"
    assert (trial.false_alarm, trial.saved.model_calls, trial.saved.usd_micros) == (True, 3, 300_000)


def test_what_stays_below_its_cap_is_let_through() -> None:
    assert said(tried(turns(12), run={"usd": 10.0})) == []
    assert said(tried(turns(12), run={})) == []
    assert [action for action, _ in said(tried(turns(8), run={"usd": 1.0}))] == ["warn", "nudge"]


def test_a_hard_budget_kills_at_the_call() -> None:
    trial = tried(turns(12), run={"usd": 1.0}, hard=True)
    assert said(trial)[-1] == ("kill", "m10")
    assert not any(action == "deny" for action, _ in said(trial))


def test_calls_and_tokens_are_counted_too() -> None:
    assert ("deny", "m4") in said(tried(turns(6), run={"model_calls": 4}))
    assert ("deny", "t3") in said(tried(turns(6), run={"tool_calls": 2}))
    assert ("deny", "m3") in said(tried(turns(6), run={"input_tokens": 420}))


def test_an_intent_that_was_written_twice_is_counted_once() -> None:
    again = [ModelRequested(call="m1", reserved=HELD)] * 3
    assert said(tried([*again, *turns(1)], run={"usd": 0.5})) == []


def test_who_was_given_more_may_use_more() -> None:
    raised = BudgetRaised(more=Amount(usd_micros=1_000_000))
    assert [action for action, _ in said(tried(turns(12, raised), run={"usd": 1.0}))] == ["warn"]
