"""Receipts of kills."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from callboard.actors.fold import replay
from callboard.actors.receipt import MARGIN, START_WINDOW, Earlier, earlier_kill, receipt
from callboard.actors.state import RunState
from callboard.bus.messages import (
    Problem,
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunKilled,
    RunReleased,
    RunSettled,
    RunSteered,
    RunSuspended,
    ToolRequested,
    ToolReturned,
    Wait,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.errors import Bug

KEY = RunKey("acme", "r1")
T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CLOSED = T0 + timedelta(seconds=START_WINDOW + MARGIN)
BEFORE = CLOSED - timedelta(milliseconds=1)
CLAIMED = (RunCreated(agent="a", at=T0), RunClaimed(task=1, worker="w"))
INTENT = ToolRequested(call="t1", tool="pay")
RETURNED = ToolReturned(call="t1")
SUSPENDED = RunSuspended(waits=((Wait(kind="signal", name="go"),),))
KILLED = RunKilled(by="me", reason="enough")


def folded(*records: tuple) -> RunState:
    signals = (RunKilled, RunReleased, RunSettled)
    return replay(
        Stored(n, Record(id=f"i{n}", owner="" if isinstance(events[0], signals) else "o1", events=events))
        for n, events in enumerate(records, 1)
    )


def at(state: RunState, now: datetime = T0):
    return receipt(state, KEY, accepted_at=T0, now=now)


def test_a_run_that_nobody_claimed_is_settled_when_its_kill_is_accepted():
    got = at(folded((KILLED,)))
    assert (got.settled_by, got.settled_at, got.outcome, got.killed) == ("never_started", T0, "killed", True)
    assert (got.run, got.tenant, got.in_doubt, got.running) == ("r1", "acme", (), ())


def test_a_suspended_run_is_settled_when_its_kill_is_accepted():
    got = at(folded(CLAIMED, (INTENT,), (RETURNED,), (SUSPENDED,), (KILLED,)))
    assert (got.settled_by, got.settled_at) == ("suspended", T0)


def test_an_owned_run_is_not_settled_before_the_window_has_closed():
    state = folded(CLAIMED, (KILLED,))
    assert (at(state, BEFORE).settled_by, at(state, BEFORE).settled_at) == (None, None)


def test_an_owned_run_is_settled_at_the_instant_the_window_closes_and_within_a_second():
    state = folded(CLAIMED, (KILLED,))
    for now in (CLOSED, CLOSED + timedelta(hours=1)):
        assert (at(state, now).settled_by, at(state, now).settled_at) == ("window", CLOSED)
    assert (CLOSED - T0).total_seconds() < 1


def test_a_longer_start_window_settles_later():
    state = folded(CLAIMED, (KILLED,))
    assert receipt(state, KEY, accepted_at=T0, now=CLOSED, window=1.0).settled_at is None


def test_an_owner_that_confirms_settles_before_the_window_has_closed():
    got = at(folded(CLAIMED, (INTENT,), (KILLED,), (RunSettled(running=("t1",)),)), BEFORE)
    assert (got.settled_by, got.settled_at, got.running, got.in_doubt) == ("owner", BEFORE, ("t1",), ("t1",))


def test_a_confirmation_read_late_does_not_move_the_settlement_behind_the_window():
    state = folded(CLAIMED, (KILLED,), (RunSettled(),))
    assert at(state, CLOSED + timedelta(hours=1)).settled_at == CLOSED
    assert at(state, T0 - timedelta(seconds=1)).settled_at == T0


@pytest.mark.parametrize(
    ("end", "outcome"), [(RunCompleted(), "completed"), (RunFailed(problem=Problem(kind="x", message="m")), "failed")]
)
def test_a_kill_that_comes_too_late_says_how_the_run_ended_and_is_settled(end, outcome):
    got = at(folded(CLAIMED, (end,), (KILLED,)))
    assert (got.outcome, got.killed, got.settled_by, got.settled_at) == (outcome, False, "owner", T0)


@pytest.mark.parametrize("loss", [(RunReleased(),), (RunFailed(problem=Problem(kind="x", message="m")),)])
def test_an_open_intent_keeps_the_run_unsettled_until_the_window_has_closed_although_nobody_owns_it(loss):
    state = folded(CLAIMED, (INTENT,), loss, (KILLED,))
    assert at(state, BEFORE).settled_at is None
    assert at(state, CLOSED).settled_by == "window"
    assert at(state).in_doubt == ("t1",)


def test_a_journal_of_a_newer_version_is_never_taken_for_unclaimed():
    newer = Stored(1, Record(v=2, id="n", owner="o9", events=(RunClaimed(task=1),)))
    state = replay([newer, Stored(2, Record(id="k", events=(KILLED,)))])
    assert at(state).settled_at is None
    assert at(state, CLOSED).settled_by == "window"


def test_a_receipt_of_a_run_that_has_not_ended_is_a_bug():
    with pytest.raises(Bug, match=r"acme/r1.*sequence 1.*fold the kill"):
        at(folded(CLAIMED))


def test_a_receipt_as_json_has_every_field():
    assert at(folded((KILLED,))).as_json() == {
        "run": "r1",
        "tenant": "acme",
        "accepted_at": "2026-11-21T12:00:00+00:00",
        "settled_at": "2026-11-21T12:00:00+00:00",
        "settled_by": "never_started",
        "outcome": "killed",
        "killed": True,
        "in_doubt": [],
        "running": [],
        "earlier": None,
    }
    assert at(folded(CLAIMED, (KILLED,))).as_json()["settled_at"] is None
    before = replace(at(folded((KILLED,))), earlier=Earlier(T0, "ada", "enough"))
    assert before.as_json()["earlier"] == {"at": "2026-11-21T12:00:00+00:00", "by": "ada", "reason": "enough"}
    assert replace(before, earlier=Earlier(None, "", "")).as_json()["earlier"] == {"at": None, "by": "", "reason": ""}


def test_a_kill_that_finds_the_run_killed_names_the_kill_that_ended_it():
    def stored(number: int, *events: object) -> Stored:
        return Stored(number, Record(id=f"k{number}", events=events), at=T0 + timedelta(seconds=number))

    broken = Stored(1, None, "broken")
    kills = (broken, stored(2, KILLED), stored(3, RunKilled(by="ada")), stored(4, RunSettled()))
    state = replay(kills)
    assert earlier_kill(kills, state, "k2") is None, "it was this one"
    assert earlier_kill(kills, state, "k3") == Earlier(T0 + timedelta(seconds=2), "me", "enough")
    by_guard = (stored(1, RunKilled(guard="loop", reason="round and round")), stored(2, KILLED))
    assert earlier_kill(by_guard, replay(by_guard), "k2") == Earlier(
        T0 + timedelta(seconds=1), "guard loop", "round and round"
    )
    done = (Stored(1, Record(id="i1", owner="o1", events=(*CLAIMED, RunCompleted()))), stored(2, KILLED))
    assert earlier_kill(done, replay(done), "k2") is None, "no kill ended it"


@pytest.mark.parametrize("last", [(RunSettled(),), (RunSteered(text="x"),)], ids=["confirmed", "nothing open"])
def test_a_run_with_a_second_owner_is_settled_by_the_window_only(last: tuple):
    state = folded(CLAIMED, (RunClaimed(task=1, worker="v"),), (RETURNED,), (KILLED,), last)
    assert at(state, BEFORE).settled_at is None
    assert (at(state, CLOSED).settled_by, at(state, CLOSED).settled_at) == ("window", CLOSED)
