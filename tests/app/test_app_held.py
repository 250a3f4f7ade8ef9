"""What holds a run back now, from its journal and from what guards said of it."""

from __future__ import annotations

from datetime import datetime

import pytest

from callboard.actors.fold import EMPTY, replay
from callboard.app.held import Hold, holds, is_hold, paused_since, reason_of, waited_for
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import (
    GuardDenied,
    Message,
    ModelRequested,
    Problem,
    RunCompleted,
    RunPaused,
    RunResumed,
    RunSteered,
)
from callboard.guards.pulses import HOLD
from tests.support.journals import at, claimed, journal

NOW = at(1_000)


def hold(number: int, why: str, *, guard: str = "audit", sequence: int = 0) -> GuardEvent:
    action = "pause" if why else "observe"
    return GuardEvent(id=f"h{number}", at=at(number), guard=guard, action=action, acted=True, reason=f"{guard}: {why}",
        run="r1", call="m1", sequence=sequence, data={HOLD: why})  # fmt: skip


OTHER = GuardEvent(id="x", at=at(0), guard="loop", action="pause", reason="look", data={"kind": "x"})


def told(*events: Message, said: tuple[GuardEvent, ...] = (), now: datetime = NOW) -> list[str]:
    entries = journal(claimed(), *events)
    state = replay(entries)
    return [str(each) for each in holds(state, now=now, said=said, paused=paused_since(entries, state))]


def test_a_run_that_has_no_journal_yet_can_wait_for_a_guard() -> None:
    (held,) = holds(EMPTY, now=NOW, said=(OTHER, hold(1, "none of its processes is heard")))
    assert str(held) == "waits for guard audit since 2026-11-21 12:00:01Z before m1: none of its processes is heard"
    assert held.as_json() == {
        "kind": "guard", "by": "guard audit", "guard": "audit", "reason": "none of its processes is heard",
        "call": "m1", "since": at(1).isoformat(), "until": None,
    }  # fmt: skip


def test_a_pause_says_who_since_when_and_for_how_long() -> None:
    paused = RunPaused(name="guard-loop", guard="loop", reason="round and round", until=at(1_300))
    (said,) = told(paused)
    assert said.startswith("paused by guard loop since 2026-11-21 12:")
    assert said.endswith(" until 2026-11-21 12:21:40Z: round and round")
    assert told(paused, RunResumed(name="guard-loop")) == []
    assert told(paused, now=at(1_301)) == []
    assert Hold("pause", "ada", "x", until=at(1)).as_json()["until"] == at(1).isoformat()


def test_everything_that_holds_a_run_is_said() -> None:
    later = GuardDenied(guard="rate", call="m1", problem=Problem(kind="x", message="used up"), retry_at=at(5))
    said = told(RunPaused(name="person"), later, said=(hold(1, "it is behind", sequence=99),))
    assert [each.split(" since ")[0].split(" until ")[0] for each in said] == [
        "paused by somebody", "waits for guard audit", "held by guard rate"]  # fmt: skip
    assert "no reason given" in said[0]


@pytest.mark.parametrize(
    ("said", "guards"),
    [
        ((hold(1, "dead"), hold(2, "")), []),
        ((hold(1, "dead"), hold(2, ""), hold(3, "dead")), ["audit"]),
        ((hold(1, "dead"), hold(2, "dead", guard="taint")), ["audit", "taint"]),
        ((hold(1, ""),), []),
    ],
)
def test_a_guard_is_waited_for_until_it_is_there(said: tuple[GuardEvent, ...], guards: list[str]) -> None:
    assert [event.guard for event in waited_for(EMPTY, said)] == guards


def test_the_wait_is_as_old_as_the_first_call_that_waits() -> None:
    (event,) = waited_for(EMPTY, (hold(1, "dead"), hold(2, "dead")))
    assert event.at == at(1)


def test_a_run_that_started_a_call_behind_it_or_is_over_waits_for_nobody() -> None:
    before = replay(journal(claimed()))
    said = (hold(1, "dead", sequence=before.sequence),)
    assert len(waited_for(before, said)) == 1
    assert len(waited_for(replay(journal(claimed(), RunSteered(text="hi"))), said)) == 1
    assert waited_for(replay(journal(claimed(), ModelRequested(call="m1"))), said) == ()
    over = replay(journal(claimed(), RunCompleted()))
    assert waited_for(over, said) == holds(over, now=NOW, said=said) == ()


def test_only_what_is_said_of_holds_is_about_them() -> None:
    assert is_hold(hold(1, ""))
    assert not is_hold(OTHER)
    silent = OTHER.model_copy(update={"data": None})
    assert (is_hold(silent), reason_of(silent)) == (False, "")
    assert (reason_of(hold(1, "dead")), reason_of(hold(1, ""))) == ("dead", "")
