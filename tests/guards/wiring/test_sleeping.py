"""A guard in the worker may sleep until something has happened; then it has seen all of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.gate import Ask, Grant, Refusal
from callboard.actors.passage import answer_of
from callboard.actors.state import RunState
from callboard.bus.messages import Content, Record, RunSteered, ToolReturned
from callboard.bus.subjects import RunKey
from callboard.clock import SystemClock
from callboard.config.spec import AgentSpec, ToolSpec
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard, Verdict
from callboard.guards.loop.guard import LoopGuard
from callboard.guards.reducer_gate import ReducerGates

KEY = RunKey("t", "r")
AT = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = AgentSpec(name="a", tools=(ToolSpec(name="look"),))


class Counting(Guard[tuple[str, ...]]):
    """Denies everything, and says what it has seen."""

    name = "counting"
    gates = True

    def start(self, run: Any) -> tuple[str, ...]:
        return ()

    def observe(self, state: tuple[str, ...], seen: Any) -> tuple[tuple[str, ...], list[Verdict]]:
        state = (*state, seen.event.type)
        return state, [Verdict("deny", " ".join(state))]


class Sleeping(Counting):
    def wakes(self, event: Any) -> bool:
        return isinstance(event, RunSteered)


def records(kinds: list[str]) -> list[Record]:
    events = {
        "returned": ToolReturned(call="t1", result=Content(value=1)),
        "steered": RunSteered(text="x", by="somebody"),
    }
    return [Record(id=f"r{at}", at=AT, events=(events[kind],)) for at, kind in enumerate(kinds)]


def ask() -> Ask:
    return Ask(KEY, SPEC, RunState(), "tool", "t9", 1, "look", arguments={})


async def answers(guard: Guard[Any], before: list[str], after: list[str]) -> list[Grant | Refusal]:
    """What it says of an effect between ``before`` and ``after``, and of one at the end."""
    said: list[Any] = []
    hosted = Hosted(guard.name, lambda _: (guard, "enforce"))
    gates = ReducerGates([hosted], None, lambda *event: said.append(event), SystemClock())  # type: ignore[arg-type]
    run = gates.enter(KEY)
    found: list[Grant | Refusal] = []
    sequence = 0
    for part in (before, after):
        for record in records(part):
            sequence += 1
            run.folded(sequence, record)
        found.append(await answer_of(run, ask()))
    return found


kinds = st.lists(st.sampled_from(["returned", "steered"]), max_size=4)


@given(kinds, kinds)
async def test_once_awake_it_has_seen_what_one_saw_that_never_slept(before: list[str], after: list[str]) -> None:
    slept, always = await answers(Sleeping(), before, after), await answers(Counting(), before, after)
    for at, happened in enumerate((before, [*before, *after])):
        assert isinstance(always[at], Refusal)
        assert slept[at] == (always[at] if "steered" in happened else Grant())


def test_the_loop_guard_wakes_when_it_has_told_the_model() -> None:
    guard = LoopGuard()
    assert guard.wakes(RunSteered(text="x", by="guard:loop", guard="loop"))
    assert not guard.wakes(RunSteered(text="x", by="ada"))
    assert not guard.wakes(ToolReturned(call="t1", result=Content(value=1)))
