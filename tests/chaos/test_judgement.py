"""The judge of the storm sees who was stopped wrongly, twice, or not at all, and who ran on under a closed guard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callboard.actors.fold import replay
from callboard.bus.messages import (
    ChildSpawned,
    Content,
    Message,
    ModelRequested,
    ModelResponded,
    Problem,
    RunCompleted,
    RunFailed,
    RunKilled,
    RunSteered,
    ToolCall,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.guards.loop.guard import LoopGuard
from callboard.guards.sidecar.judge import watched
from tests.chaos.judgement import MOST_TURNS, SETTINGS, STOPPED, misjudged
from tests.support.journals import claimed, extend, journal

KEY = RunKey("default", "r1")
KILL = RunKilled(reason="enough", guard="loop")


def wrong(entries: tuple[Stored, ...]) -> str:
    return "; ".join(misjudged(KEY, replay(entries), entries))


def of(agent: str, *events: Message) -> str:
    return wrong(journal(claimed(agent=agent), *events))


def looper(turns: int, *, deaf: bool = False, effects: int = 0) -> tuple[Stored, ...]:
    """A looper that makes ``turns`` turns, begins ``effects`` more calls, and is killed then.

    What its guard has to do is done at once, or with ``deaf`` never.
    """
    entries = journal(claimed(agent="looper"))
    guard = watched("loop", KEY, entries[0].record.events[0], guard=LoopGuard(SETTINGS), mode="enforce")
    for n in range(1, turns + 1):
        asked = ModelResponded(call=f"m{n}", tool_calls=(ToolCall(id=f"m{n}.0", name="stare"),))
        begun = ToolRequested(call=f"m{n}.0", tool="stare", effect="pure")
        result = ToolReturned(call=f"m{n}.0", result=Content(value="seen"))
        for event in (ModelRequested(call=f"m{n}"), (asked, begun), result):
            entries = extend(entries, event)
        said = [each.event for entry in entries for each in guard.see(entry) if each.event.action == "nudge"]
        if said and not deaf:
            entries = extend(entries, RunSteered(text="stop it", guard="loop"))
            last = entries[-1]
            entries = (*entries[:-1], replace(last, record=last.record.model_copy(update={"id": said[0].id})))
    for n in range(1, effects + 1):
        entries = extend(entries, ModelRequested(call=f"m{turns + n}"))
    return extend(entries, KILL)


@pytest.mark.parametrize(
    ("agent", "guard"), [(agent, guard) for agent, guard in STOPPED.items() if guard != "deadline"]
)
def test_whom_a_guard_has_to_stop_must_be_stopped_by_that_one_and_once(agent: str, guard: str) -> None:
    kill = RunKilled(reason="enough", guard=guard)
    assert not of(agent, kill)
    assert "was killed 2 times" in of(agent, kill, kill)
    assert "completed" in of(agent, RunCompleted())
    assert "was ended by other" in of(agent, RunKilled(reason="enough", guard="other"))
    assert not of(agent, RunKilled(reason="a person"))


def test_nobody_else_is_stopped_but_by_people() -> None:
    assert "was ended by loop" in of("clerk", KILL)
    assert "was ended by turns" in of("clerk", RunFailed(problem=Problem(kind="turns", message="too many")))
    assert not of("clerk", RunKilled(reason="a person"))
    assert not of("ping", KILL)
    assert not of("ping", RunCompleted())


def test_a_breeder_has_no_more_children_than_it_may() -> None:
    children = [ChildSpawned(child=f"c{n}", call=f"t{n}", agent="imp") for n in range(3)]
    assert not of("breeder", *children[:2], RunCompleted())
    assert "has 3 children" in of("breeder", *children, RunCompleted())


def test_a_looper_may_begin_as_much_behind_what_its_guard_has_to_do_as_that_gives_it_credit() -> None:
    turns = next(n for n in range(3, 20) if "kill" in wrong(looper(n, effects=9)))
    assert turns == SETTINGS.repeats + SETTINGS.patience
    assert not wrong(looper(turns, effects=8))
    assert "began an effect 9 entries behind a kill" in wrong(looper(turns, effects=9))
    assert "entries behind a nudge" in wrong(looper(turns + 1, deaf=True))


def test_a_looper_makes_no_more_turns_than_its_ladder_and_two_credits_need() -> None:
    assert "turns" not in wrong(looper(MOST_TURNS))
    assert f"made {MOST_TURNS + 1} turns" in wrong(looper(MOST_TURNS + 1))
