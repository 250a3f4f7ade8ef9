"""What the dispatcher owes."""

from __future__ import annotations

import pytest
from hypothesis import given

from callboard.actors.claim import Claim, TaskClaim, judge
from callboard.actors.fold import EMPTY, fold, replay
from callboard.actors.state import ready
from callboard.bus.messages import (
    TERMINAL,
    ChildFinished,
    ChildSpawned,
    Content,
    Parent,
    Problem,
    Record,
    RunCompleted,
    RunFailed,
    RunKilled,
    RunReleased,
    RunSteered,
    RunSuspended,
    SignalReceived,
    Wait,
)
from callboard.supervisors.dispatch import KillChild, PublishResume, TellParent, concerns, duties, finished
from tests.support.interpreter import legal_journals
from tests.support.journals import PROBLEM, claimed, few, journal, journals, records

GO = RunSuspended(waits=((Wait(kind="signal", name="go"),),))
CHILDREN = tuple(ChildSpawned(child=child, call=child, agent="b") for child in ("c1", "c2"))


def owed(entries, *, run="r1", parent=""):
    last = entries[-1]
    return duties(run, last.sequence, last.record, replay(entries), parent=parent)


def kinds(record: Record) -> tuple[str, ...]:
    return tuple(event.type for event in record.events)


# ---- properties ---------------------------------------------------------------------------------------------------
@few
@given(journals)
def test_an_entry_that_is_of_no_concern_owes_nothing(entries):
    state = replay(entries)
    for entry in entries:
        if entry.record is not None and not concerns(kinds(entry.record), ""):
            assert duties("r1", entry.sequence, entry.record, state) == ()


@few
@given(journals, records, journals)
def test_what_its_owner_calls_without_family_owes_nothing_to_a_parent_or_children(entries, record, later):
    before = replay(entries)
    record = record.model_copy(update={"owner": before.owner or "o1", "v": 1})
    after = fold(before, before.sequence + 1, record)
    none = after.outcome and not (after.created and after.created.parent) and not after.unfinished
    foreign = before.terminal is not None or any(event.type == "run.killed" for event in record.events)
    if none and after.created and not foreign and not concerns(kinds(record), "none"):
        for state in (after, *(fold(after, after.sequence + 1, entry.record) for entry in later)):
            assert duties("r1", after.sequence, record, state) == ()


@few
@given(legal_journals)
def test_a_suspended_run_whose_waits_have_arrived_gets_a_resume_that_claims(entries):
    end = replay(entries)
    if not end.suspended or end.terminal is not None or not ready(end, end.waits):
        return
    for early in (True, False):  # the dispatcher may fold up to the entry, or further
        resumes = [
            duty.signal
            for n, entry in enumerate(entries, 1)
            for duty in duties("r1", entry.sequence, entry.record, replay(entries[:n]) if early else end)
            if isinstance(duty, PublishResume)
        ]
        assert any(judge(end, TaskClaim(9_999, signal)) == Claim(creates=False) for signal in resumes)


@few
@given(legal_journals)
def test_nothing_is_resumed_before_all_that_it_waits_for_has_arrived(entries):
    for n, entry in enumerate(entries, 1):
        state = replay(entries[:n])
        for duty in duties("r1", entry.sequence, entry.record, state):
            assert not isinstance(duty, PublishResume) or ready(state, state.waits)


@few
@given(journals)
def test_every_end_kills_exactly_the_unfinished_children(entries):
    state = replay(entries)
    for entry in entries:
        if entry.record is not None and set(kinds(entry.record)) & TERMINAL and state.terminal is not None:
            killed = [
                duty.child for duty in duties("r1", entry.sequence, entry.record, state) if isinstance(duty, KillChild)
            ]
            assert tuple(killed) == state.unfinished


# ---- values -------------------------------------------------------------------------------------------------------
def test_a_signal_that_completes_the_waits_owes_a_resume():
    assert owed(journal(claimed(), GO, SignalReceived(name="go"))) == (PublishResume(3),)
    assert owed(journal(claimed(), GO, SignalReceived(name="other"))) == ()
    assert owed(journal(claimed(), GO, RunSteered(text="left"))) == ()


def test_a_release_owes_a_resume():
    assert owed(journal(claimed(), RunReleased())) == (PublishResume(2),)


def test_a_release_of_a_run_that_is_suspended_already_wakes_nobody():
    assert owed(journal(claimed(), GO, RunReleased())) == ()


def test_a_signal_to_a_running_or_finished_run_owes_nothing():
    assert owed(journal(claimed(), SignalReceived(name="go"))) == ()
    assert owed(journal(claimed(), GO, RunKilled(), SignalReceived(name="go"))) == ()
    assert owed(journal(claimed(), RunReleased(), RunKilled(), SignalReceived(name="go"))) == ()


def test_an_entry_that_does_not_validate_owes_nothing():
    assert duties("r1", 1, None, EMPTY) == ()


def test_an_end_tells_the_parent_and_kills_the_unfinished_children():
    entries = journal(
        claimed(parent=Parent(run="p1")), CHILDREN, ChildFinished(child="c1", outcome="completed"), RunCompleted()
    )
    assert owed(entries) == (
        TellParent("p1", ChildFinished(child="r1", outcome="completed")),
        KillChild("c2", RunKilled(reason="its parent r1 is completed", by="dispatcher", parent="r1")),
    )


@pytest.mark.parametrize(
    ("killed", "header", "parent"),
    [(RunKilled(parent="p1"), "p2", "p1"), (RunKilled(), "p2", "p2"), (RunKilled(), "", None)],
)
def test_a_run_killed_before_its_creation_tells_the_parent_that_the_kill_names(killed, header, parent):
    told = [duty.parent for duty in owed(journal(killed), parent=header) if isinstance(duty, TellParent)]
    assert told == ([parent] if parent else [])


def test_the_creation_knows_better_than_a_header_whether_there_is_a_parent():
    assert owed(journal(claimed(), RunKilled(parent="p1")), parent="p1") == ()


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (
            RunCompleted(result=Content(value=1)),
            ChildFinished(child="r1", outcome="completed", result=Content(value=1)),
        ),
        (RunFailed(problem=PROBLEM), ChildFinished(child="r1", outcome="failed", problem=PROBLEM)),
        (
            RunKilled(reason="enough", by="me"),
            ChildFinished(child="r1", outcome="killed", problem=Problem(kind="killed", message="enough", hint="by me")),
        ),
        (
            RunKilled(),
            ChildFinished(
                child="r1", outcome="killed", problem=Problem(kind="killed", message="killed", hint="by unknown")
            ),
        ),
    ],
)
def test_a_parent_is_told_how_its_child_ended(end, told):
    assert finished("r1", replay(journal(claimed(), end))) == told


def test_a_child_of_which_nothing_is_known_counts_as_killed():
    assert finished("r1", EMPTY) == ChildFinished(child="r1", outcome="killed")


def test_only_signals_ends_with_a_family_and_entries_without_a_header_are_of_concern():
    assert concerns(None, "none")
    assert concerns(("run.steered",), "none")
    assert concerns(("tool.returned", "run.completed"), "")
    assert not concerns(("run.completed",), "none")
    assert not concerns(("tool.returned", "run.claimed"), "")
