"""The fold: what holds of every journal."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.fold import fold, replay
from callboard.actors.state import RunState, arrived
from callboard.bus.messages import (
    Record,
    RunKilled,
    RunReleased,
    UnknownEvent,
    Wait,
)
from callboard.bus.ports import Stored
from tests.support.journals import (
    few,
    journals,
    owner_events,
    records,
    signals,
    stored,
)

INFORMATION = {"settled", "late", "notes", "accounts", "sequence", "entries"}
"""What may still change: what a call that was cut off had used is counted, too."""


def meaning(state: RunState, *, without: set[str] = frozenset({"sequence", "entries"})) -> dict:
    return {f.name: getattr(state, f.name) for f in dataclasses.fields(state) if f.name not in without}


@few
@given(journals, st.integers(0, 20))
def test_a_journal_may_be_cut_anywhere(entries, cut):
    assert replay(entries) == replay(entries[cut:], replay(entries[:cut]))


@few
@given(journals, st.integers(0, 20), st.integers(0, 20))
def test_entries_that_come_again_change_nothing(entries, cut, again):
    whole = replay(entries)
    assert replay(entries[:cut][:again], replay(entries[:cut])) == replay(entries[:cut])
    assert replay(entries, whole) == whole


@few
@given(journals, journals)
def test_after_a_terminal_everything_is_information(entries, more):
    end = len(entries) + 1
    state = replay([*entries, Stored(end, Record(id="k", events=(RunKilled(),)))])
    after = replay(stored([entry.record for entry in more], after=end), state)
    assert state.terminal is not None
    assert meaning(after, without=INFORMATION) == meaning(state, without=INFORMATION)


@few
@given(journals)
def test_a_fold_keeps_its_books(entries):
    state = replay(entries)
    assert state.sequence == (entries[-1].sequence if entries else 0)
    assert state.entries == len(entries)
    assert (state.terminal is None) == (state.ended == 0) == (state.outcome is None)
    assert state.attempts <= state.claims
    assert bool(state.owner) == bool(state.claims) == bool(state.claim)
    assert state.created is not None or not state.owner
    assert not (state.settled and state.outcome is None)
    assert set(state.published) <= set(state.children)
    assert state.status in ("queued", "running", "suspended", "completed", "failed", "killed")


@few
@given(journals, owner_events)
def test_an_owner_event_by_anybody_but_the_owner_is_ignored(entries, event):
    state = replay(entries)
    for token in ("", "stranger"):
        if event.type in ("run.created", "run.claimed") and token:
            continue  # that is how a stranger becomes the owner
        after = fold(state, state.sequence + 1, Record(id="i", owner=token, events=(event,)))
        assert meaning(after) == meaning(state)


@few
@given(journals, owner_events)
def test_nothing_of_the_owner_counts_during_a_suspension(entries, event):
    state = replay(entries)
    state = fold(state, state.sequence + 1, Record(id="i", events=(RunReleased(),)))
    after = fold(state, state.sequence + 1, Record(id="i", owner=state.owner, events=(event,)))
    if event.type not in ("run.created", "run.claimed"):
        assert meaning(after) == meaning(state)


@few
@given(journals, signals)
def test_a_signal_seen_twice_counts_once(entries, signal):
    state = replay(entries)
    once = fold(state, state.sequence + 1, Record(id="new", events=(signal,)))
    twice = fold(once, once.sequence + 1, Record(id="new", events=(signal,)))
    assert meaning(once) == meaning(twice)


@few
@given(journals, records.map(lambda record: record.model_copy(update={"v": 9})))
def test_an_entry_of_a_newer_version_only_releases_the_run(entries, newer):
    state = replay(entries)
    after = fold(state, state.sequence + 1, newer)
    assert meaning(after, without={"sequence", "entries", "foreign"}) == meaning(
        state, without={"sequence", "entries", "foreign"}
    )
    assert after.foreign == (state.foreign or (9 if state.terminal is None else 0))


@few
@given(journals)
def test_garbage_and_unknown_events_change_nothing(entries):
    state = replay(entries)
    unknown = Record(id="i", owner="o1", events=(UnknownEvent(type="run.dreamt"),))
    for record in (None, unknown):
        assert meaning(fold(state, state.sequence + 1, record)) == meaning(state)


@few
@given(journals, st.integers(0, 20))
def test_a_result_once_recorded_stays(entries, cut):
    before, after = replay(entries[:cut]), replay(entries)
    for call in before.calls.values():
        if call.status == "done":
            assert after.calls[call.call] == call


@few
@given(journals, st.lists(signals, max_size=5))
def test_what_has_arrived_stays_arrived(entries, more):
    state = replay(entries)
    later = replay(stored([Record(id="i", events=(signal,)) for signal in more], after=state.sequence), state)
    for kind, name in (("child", "c1"), ("timer", "x"), ("signal", "x"), ("resolution", "t1")):
        wait = Wait(kind=kind, name=name)
        assert arrived(later, wait) or not arrived(state, wait)
