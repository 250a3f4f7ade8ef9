"""What was taken out of a model's context is new to the model, and to the loop guard, when it is read again."""

from __future__ import annotations

import random

from callboard.bus.messages import ContextRelieved
from callboard.guards.loop.guard import LoopGuard
from tests.guards.loop.evaluation import judge
from tests.guards.loop.trace import Call, Trace, words


def pages(trace: Trace, count: int) -> None:
    for number in range(count):
        text = words(random.Random(number), 120)
        trace.turn(Call("read_file", {"path": f"page{number}.txt"}, text))


def judged(*, relieved: bool, again: int = 12) -> list[str]:
    trace = Trace(random.Random(1), {"read_file": "read"})
    pages(trace, 12)
    if relieved:
        cleared = tuple(f"m{at}.0" for at in range(1, 13))
        trace._write(ContextRelieved(call="m13", before=9_000, after=4_000, cleared=cleared))
    pages(trace, again)
    return [verdict.action for verdict in judge(trace.seen, LoopGuard()).verdicts]


def test_reading_again_what_was_cleared_is_no_loop() -> None:
    assert "nudge" in judged(relieved=False)
    assert judged(relieved=True) == []


def test_a_loop_is_found_behind_a_relief_as_ever() -> None:
    trace = Trace(random.Random(1), {"read_file": "read"})
    pages(trace, 4)
    trace._write(ContextRelieved(call="m5", before=9_000, after=4_000, cleared=("m1.0",)))
    for _ in range(9):
        trace.turn(Call("read_file", {"path": "page1.txt"}, words(random.Random(1), 120)))
    assert "kill" in [verdict.action for verdict in judge(trace.seen, LoopGuard()).verdicts]
