"""Nobody is killed for a note that he could not read, whatever the guard was late, dead, or restarted."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.bus.messages import (
    ModelRequested,
    ModelResponded,
    Record,
    RunCreated,
    RunKilled,
    RunSteered,
    ToolCall,
    ToolReturned,
)
from callboard.bus.ports import Stored
from callboard.guards.loop.guard import LoopGuard
from callboard.guards.sidecar import deeds
from callboard.guards.sidecar.judge import created_in, watched
from tests.guards.loop.evaluation import judge
from tests.guards.loop.trace import KEY, Call, Trace, words

STARE = Call("stare", {}, "nothing has changed")
PATIENCE = 3


def staring(turns: int) -> Trace:
    run = Trace(random.Random(1), {"stare": "read", "delegate": "spawn"})
    for _ in range(turns):
        run.turn(replace(STARE))
    return run


def note(run: Trace) -> None:
    run._write(RunSteered(text="note", guard="loop"), owner="")


def kills(run: Trace):
    judged = judge(run.seen)
    pairs = zip(judged.verdicts, judged.turns, strict=True)
    return [(turn, verdict.unread) for verdict, turn in pairs if verdict.action == "kill"]


def journal_of(run: Trace) -> list[Stored]:
    entries = groupby(run.seen, key=lambda seen: (seen.sequence, seen.record, seen.owner, seen.at))
    return [
        Stored(sequence, Record(id=record, at=at, owner=owner, events=tuple(each.event for each in seen)), at=at)
        for (sequence, record, owner, at), seen in entries
    ]


def new_watch(run: Trace):
    created = created_in(journal_of(run))
    assert isinstance(created, RunCreated)
    return watched("loop", KEY, created, guard=LoopGuard(), mode="enforce")


def act(run: Trace, done: list[deeds.Deed]) -> None:
    """What the sidecar does is in the journal, under the ids of its verdicts."""
    for deed in done:
        if deed.record is not None:
            run._write(*deed.record.events, owner="")
            run.seen[-1] = replace(run.seen[-1], record=deed.record.id)


def test_a_kill_without_the_note_in_the_journal_is_unread():
    assert kills(staring(12)) == [(6, True)]


def test_a_kill_that_was_said_too_early_comes_again_when_the_note_was_read_in_vain():
    run = staring(12)
    note(run)
    assert kills(run) == [(6, True)]
    for _ in range(PATIENCE):
        run.turn(replace(STARE))
    assert kills(run) == [(6, True), (15, False)]
    note(run)
    for _ in range(9):
        run.turn(replace(STARE))
    assert len(kills(run)) == 2, "a note after a kill that was due changes nothing"


def test_an_answer_that_was_asked_for_before_the_note_does_not_count():
    run = staring(3)
    run._write(ModelRequested(call="m4"))
    note(run)
    call = ToolCall(id="m4.0", name="stare", arguments={})
    run._write(ModelResponded(call="m4", tool_calls=(call,)))
    run._write(ToolReturned(call="m4.0", result={"value": STARE.result}))
    run.turns += 1
    for _ in range(PATIENCE):
        run.turn(replace(STARE))
    assert kills(run) == [(7, False)]


def test_the_same_answer_to_everybody_is_killed_only_after_the_note_about_it():
    run = Trace(random.Random(2))
    for times in (24, 12):
        for _ in range(times):
            run.person(words(run.rng, 5)).says("Is there anything else that I can help you with?")
        note(run)
    assert kills(run) == [(24, True), (35, False)]


def test_a_delegation_in_a_circle_is_killed_only_after_the_note_about_it():
    run = Trace(random.Random(1), {"delegate": "spawn"}, agent="a", lineage=("b", "a", "b", "a", "b"))
    run.turn(Call("delegate", {"agent": "b", "task": "you do it"}, "done"))
    note(run)
    run.turn(Call("delegate", {"agent": "b", "task": "now you do it"}, "done too"))
    assert kills(run) == [(1, True), (2, False)]


def test_a_sidecar_that_catches_up_nudges_and_does_not_kill():
    run = staring(20)
    watch = new_watch(run)
    said = [each for entry in journal_of(run) for each in watch.see(entry)]
    assert [each.event.action for each in said if each.event.action != "deny"] == ["nudge", "kill"]
    done = deeds.behind(watch, said, done=set(), mark=0, now=run.at)
    (steered,) = [deed.record for deed in done if deed.record is not None]
    assert isinstance(steered.events[0], RunSteered)
    assert [(deed.event.action, deed.event.acted) for deed in done if deed.event.action == "kill"] == [("kill", False)]
    assert not watch.killed


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(("dead", "restart", "live"))), max_size=8))
@settings(max_examples=60, deadline=None)
def test_whatever_the_batches_and_restarts_a_run_reads_the_note_before_it_is_killed_once(steps):
    run = staring(1)
    watch = new_watch(run)
    told: dict[str, str] = {}
    for turns, life in (*steps, (1, "live"), *[(1, "live")] * (3 + PATIENCE + 1)):
        for _ in range(turns):
            run.turn(replace(STARE))
        if life == "dead":
            continue
        journal = journal_of(run)
        kept = {entry.record.id for entry in journal}
        if life == "restart":
            watch = new_watch(run)
        said = [each for entry in journal for each in watch.see(entry)]
        told |= {each.event.id: each.event.action for each in said}
        act(run, deeds.behind(watch, said, done=kept, mark=0, now=run.at))
        if any(isinstance(each.event, RunKilled) for each in run.seen):
            break
    notes = [n for n, each in enumerate(run.seen) if isinstance(each.event, RunSteered)]
    (killed,) = [n for n, each in enumerate(run.seen) if isinstance(each.event, RunKilled)]
    assert len(notes) == 1
    read = [each for each in run.seen[notes[0] : killed] if isinstance(each.event, ModelRequested)]
    assert len(read) >= PATIENCE
    whole = new_watch(run)
    once = {each.event.id: each.event.action for entry in journal_of(run) for each in whole.see(entry)}
    assert told == once
