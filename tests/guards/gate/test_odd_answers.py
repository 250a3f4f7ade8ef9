"""Whatever a guard of somebody's own answers: it ends no worker and no guard process, and it is said what was wrong."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from typing import Any

import pytest

from callboard.actors.fold import EMPTY
from callboard.actors.gate import GRANT, Ask
from callboard.bus.messages import Record, ToolRequested
from callboard.bus.subjects import RunKey
from callboard.clock import SystemClock
from callboard.config.spec import AgentSpec
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard, Verdict, answer_of
from callboard.guards.reducer_gate import ReducerGates
from callboard.guards.sidecar.judge import watched
from callboard.testing import verdicts
from tests.support.journals import T0, claimed, created, journal

KEY = RunKey("t1", "r1")
SPEC = AgentSpec(name="a")
WANTED = ToolRequested(call="t1", tool="book", effect="pure")
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
ODD: dict[str, Any] = {
    "nothing": lambda _: None,
    "a text": lambda _: "kill",
    "the state alone": lambda state: (state,),
    "no list": lambda state: (state, Verdict("deny", "no")),
    "verdicts that are texts": lambda state: (state, ["kill"]),
    "a generator that raises": lambda state: (state, (1 / 0 for _ in range(1))),
    "an unknown action": lambda state: (state, [Verdict("explode", "now")]),  # type: ignore[arg-type]
    "a reason that is no text": lambda state: (state, [Verdict("deny", 5)]),  # type: ignore[arg-type]
    "a call that is no text": lambda state: (state, [Verdict("deny", "no", call=None)]),  # type: ignore[arg-type]
    "seconds in words": lambda state: (state, [Verdict("throttle", "wait", seconds="5")]),  # type: ignore[arg-type]
    "seconds before now": lambda state: (state, [Verdict("throttle", "wait", seconds=-3)]),
    "seconds for ever": lambda state: (state, [Verdict("pause", "wait", seconds=math.inf)]),
    "no number of seconds": lambda state: (state, [Verdict("pause", "wait", seconds=math.nan)]),
    "evidence in words": lambda state: (state, [Verdict("kill", "no", evidence=("here",))]),  # type: ignore[arg-type]
    "data that is no JSON": lambda state: (state, [Verdict("deny", "no", data={1, 2})]),  # type: ignore[arg-type]
    "data with numbers for keys": lambda state: (state, [Verdict("deny", "no", data={1: 2})]),  # type: ignore[dict-item]
    "data without an end": lambda state: (state, [Verdict("deny", "no", data=ENDLESS)]),
    "data that no message holds": lambda state: (state, [Verdict("deny", "no", data="x" * 70_000)]),
    "a value that is no number": lambda state: (state, [Verdict("deny", "no", value=math.nan)]),
}


class Odd(Guard[int]):
    """Answers what a case says, to each intent."""

    name = "odd"
    gates = True

    def __init__(self, case: str) -> None:
        self.answer = ODD[case]

    def start(self, run):
        return 0

    def observe(self, state, seen):
        return self.answer(state) if isinstance(seen.event, ToolRequested) else (state, ())


class Unsure(Odd):
    """Cannot say either whether it is to be asked."""

    def wakes(self, event):
        raise LookupError("unsure")


def entered(guard: Guard[Any], missing: Any = "open") -> tuple[Any, list[Any]]:
    heard: list[Any] = []
    hosted = Hosted(guard.name, lambda _: (guard, "enforce"), missing)
    gates = ReducerGates([hosted], None, lambda _, event: heard.append(event), SystemClock())  # type: ignore[arg-type]
    return gates.enter(KEY), heard


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("kind", [Odd, Unsure])
async def test_a_guard_that_answers_nonsense_ends_no_worker_and_is_said_once(case, kind):
    run, heard = entered(kind(case))
    for call in ("t1", "t2"):
        answer = run.admit(Ask(KEY, SPEC, EMPTY, "tool", call, 1, "book"))
        assert (await answer if isinstance(answer, Awaitable) else answer) is GRANT
        run.folded(2, Record(id=f"e-{call}", owner="o1", at=T0, events=(WANTED,)))
    assert [(event.guard, event.action) for event in heard] == [("odd", "warn")]


@pytest.mark.parametrize("case", ODD)
def test_a_guard_that_answers_nonsense_says_so_beside_the_bus(case):
    run = watched("odd", KEY, created(), guard=Odd(case), mode="enforce")
    found = [each.event for entry in journal(claimed(), WANTED) for each in run.see(entry)]
    assert [event.action for event in found] == ["warn"]
    assert "the guard 'odd' raised" in found[0].reason


def test_it_is_told_what_it_may_answer():
    with pytest.raises(TypeError, match="Odd answered None: it is the next state and a list of verdicts"):
        verdicts(Odd("nothing"), WANTED)
    with pytest.raises(ValueError, match="a verdict with the action 'explode': it is one of observe, warn, nudge"):
        verdicts(Odd("an unknown action"), WANTED)
    with pytest.raises(ValueError, match="a verdict with '5' seconds: it is a number from 0 to 1000000000, or None"):
        verdicts(Odd("seconds in words"), WANTED)
    with pytest.raises(ValueError, match="a verdict with data that is no JSON"):
        verdicts(Odd("data with numbers for keys"), WANTED)


def test_a_list_is_as_good_as_a_tuple():
    verdict = Verdict("kill", "enough", evidence=[3, 4])  # type: ignore[arg-type]
    assert verdict.evidence == (3, 4)
    assert answer_of(Odd("nothing"), [1, [verdict]]) == (1, (verdict,))


def test_a_reason_can_always_be_said():
    assert Verdict("kill", "half a \ud800 sign").reason == "half a ? sign"
    assert len(Verdict("kill", "x" * 3_000).reason) == 2_000


@pytest.mark.parametrize("data", [None, 0, "text", [1, 2.5, None], {"a": [True]}])
def test_what_can_be_said_is_said(data):
    verdict = Verdict("throttle", "wait", seconds=0.5, threshold=data, value=data, data=data)
    assert (verdict.threshold, verdict.value, verdict.data) == (data, data, data)
