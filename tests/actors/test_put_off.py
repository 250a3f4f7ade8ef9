"""Model calls that are put off: by a provider that names a time, or by a guard."""

from __future__ import annotations

from callboard.actors.fold import replay
from callboard.bus.messages import GuardDenied, ModelFailed, ModelRequested, Problem, RunSuspended
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
