"""Model calls that are put off: by a provider that names a time, or by a guard."""

from __future__ import annotations

from datetime import timedelta

from callboard.actors.commands import Backoff, CallModel
from callboard.actors.decide import decide
from callboard.actors.fold import replay
from callboard.bus.messages import (
    Content,
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
    RunFailed,
    RunSuspended,
    ToolCall,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec
from tests.support.fleet import fleet, scripted
from tests.support.journals import T0, claimed, journal

PROBLEM = Problem(kind="x", message="x")


def forgiven(*entries) -> int:
    return replay(journal(claimed(), *entries)).calls["m1"].forgiven


def test_the_attempts_before_a_guard_put_the_call_off_do_not_count():
    first, second, third = (ModelRequested(call="m1", attempt=number) for number in (1, 2, 3))
    failed = ModelFailed(call="m1", problem=PROBLEM, retry_at=T0)
    off = GuardDenied(guard="g", call="m1", problem=PROBLEM, retry_at=T0)
    assert forgiven(first, failed, second) == 0
    assert forgiven(first, failed, off, second) == 1
    assert forgiven(first, failed, off, second, failed, third) == 1
    assert forgiven(off, first) == 0
    denied = GuardDenied(guard="g", call="m1", problem=PROBLEM, wrap_up=True)
    assert forgiven(first, failed, denied, second) == 0, "that is no putting off"


def test_a_last_turn_that_is_put_off_stays_the_last_one():
    said = ModelResponded(call="m1", text=Content(value="so far"), tool_calls=(ToolCall(id="t1", name="look"),))
    answered = (ModelRequested(call="m1"), said, ToolReturned(call="t1", problem=PROBLEM))
    last = GuardDenied(guard="budget", call="m2", problem=PROBLEM, wrap_up=True)
    off = GuardDenied(guard="rate", call="m2", problem=PROBLEM, retry_at=T0)
    entries = [claimed(), *answered, last, off]

    def after(*more, now=T0):
        return decide(replay(journal(*entries, *more)), AgentSpec(name="a"), now, run=RunKey("t1", "r1"))

    assert after(now=T0 - timedelta(seconds=1)) == Backoff(T0)
    assert after() == CallModel("m2", 1, wrap_up=True)
    asked = ModelRequested(call="m2", wrap_up=True)
    ended = after(asked, ModelResponded(call="m2", text=Content(value="in short")))
    assert isinstance(ended.event, RunFailed)
    assert (ended.event.guard, ended.event.partial.value) == ("budget", "in short")
    failed = ModelFailed(call="m2", problem=PROBLEM, retry_at=T0)
    assert replay(journal(*entries, asked, failed)).denied == last
    assert after(asked, failed, off) == CallModel("m2", 2, wrap_up=True)


async def test_a_call_that_is_retried_after_a_while_holds_no_worker_meanwhile():
    code = scripted("a", {"text": "done", "fail": {"kind": "rate", "times": 1, "retry_after": 2.5}})
    async with fleet(code, workers=2) as board:
        key = await board.submit("a", "x")
        await board.until(key, lambda state: state.suspended)
        await board.drain(board.workers[0])
        state = await board.over(key)
        assert (state.outcome, state.claims, state.calls["m1"].attempt) == ("completed", 2, 2)
        events = [event for entry in await board.bus.journals.read(key) for event in entry.record.events]
        assert sum(isinstance(event, RunSuspended) for event in events) == 1
