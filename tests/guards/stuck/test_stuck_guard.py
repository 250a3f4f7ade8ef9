"""Runs in which nothing happens: warned of, then killed; and those that only wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.fold import EMPTY, fold
from callboard.bus.messages import (
    ChildSpawned,
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    RunClaimed,
    RunCompleted,
    RunKilled,
    RunPaused,
    RunReleased,
    RunResumed,
    RunSteered,
    RunSuspended,
    TimerSet,
    ToolInDoubt,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.config.guards import StuckSettings
from callboard.config.spec import AgentSpec, Limits, ToolSpec
from callboard.guards.kit import Seen
from callboard.guards.stuck import StuckGuard
from tests.support.interpreter import legal_journals
from tests.support.journals import PROBLEM, T0, claimed, few

RUN = RunKey("default", "r1")
SPEC = AgentSpec(
    name="a",
    tools=(ToolSpec(name="quick"), ToolSpec(name="slow", timeout=100)),
    limits=Limits(tool_timeout=10, model_timeout=50),
)
GUARD = StuckGuard(StuckSettings(), SPEC)
MODEL = ModelRequested(call="m1")


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def seen(sequence: int, at: float, event, *, owner: str | None = None) -> Seen:
    signal = event.type in ("run.steered", "run.paused", "run.resumed", "run.released", "run.killed")
    return Seen(RUN, sequence, after(at), event, "" if signal else "o1" if owner is None else owner)


def story(*moments, guard=GUARD):
    """The state after ``(at, event)``, and what was said on the way: one tick every second in between."""
    state, said, now = guard.start(RUN), [], 0
    for sequence, (at, *events) in enumerate(moments, 1):
        while now < at:
            now += 1
            state, verdicts = guard.tick(state, after(now))
            said += [(now, verdict.action) for verdict in verdicts]
        for event in events:
            state, verdicts = guard.observe(state, seen(sequence, at, event))
            assert verdicts == ()
    return state, said


def said_in(*moments, guard=GUARD):
    return story(*moments, guard=guard)[1]


# ---- what is stuck ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("intent", "allowed"),
    [
        (ModelRequested(call="m1"), 100),
        (ToolRequested(call="t1", tool="quick"), 20),
        (ToolRequested(call="t1", tool="slow"), 200),
        (ToolRequested(call="step#1", tool="a step"), 20),
        (ToolRequested(call="step#1", tool="a step", timeout=30), 60),
        (ChildSpawned(child="c1", call="t1", agent="b"), 100),
    ],
)
def test_silence_is_warned_of_after_twice_the_steps_timeout_and_killed_after_as_long_again(intent, allowed):
    assert said_in((0, *claimed(), intent), (3 * allowed,)) == [(allowed, "warn"), (2 * allowed, "kill")]


def test_the_verdict_says_what_is_open_for_how_long_and_where_it_stands():
    state, _ = story(
        (0, *claimed()), (1, ToolRequested(call="t1", tool="quick"), ToolRequested(call="t2", tool="slow"))
    )
    (warning,) = GUARD.tick(state, after(201))[1]
    assert warning.reason == (
        "nothing has happened for 3 min 20 s, 3 min 20 s are allowed; open: 'quick' (t1), 'slow' (t2)"
    )
    assert (warning.evidence, warning.value, warning.threshold) == ((2,), 200.0, 200.0)


def test_the_longest_of_the_open_steps_counts_and_only_while_it_is_open():
    both = (ToolRequested(call="t1", tool="quick"), ToolRequested(call="t2", tool="slow"))
    assert said_in((0, *claimed(), *both), (199,)) == []
    assert said_in((0, *claimed(), *both), (5, ToolReturned(call="t2")), (30,)) == [(25, "warn")]


@pytest.mark.parametrize(
    "event",
    [
        ToolReturned(call="t1"),
        ToolInDoubt(call="t1", policy="ask"),
        ToolRequested(call="t2", tool="quick"),
        ModelResponded(call="m1"),
        TimerSet(timer="t", at=T0),
        RunClaimed(task=2),
        RunResumed(name="p"),
    ],
)
def test_every_sign_of_life_begins_the_silence_anew_also_behind_a_warning(event):
    open_tool = (RunPaused(name="p", until=after(1)), ToolRequested(call="t1", tool="quick"))
    said = said_in((1, *claimed(), *open_tool), (35, event), (36, ToolRequested(call="t9", tool="quick")), (75,))
    assert said == [(21, "warn"), (56, "warn")]


@pytest.mark.parametrize(
    "event",
    [RunSteered(text="hello?"), RunResumed(name="unheard-of"), ToolReturned(call="t1")],
    ids=["note", "go", "stranger"],
)
def test_what_others_write_is_no_sign_of_life(event):
    state, _ = story((0, *claimed(), ToolRequested(call="t1", tool="quick")), (15,))
    state, _ = GUARD.observe(state, seen(2, 15, event, owner="o2"))
    assert [verdict.action for verdict in GUARD.tick(state, after(20))[1]] == ["warn"]


def test_a_kill_is_said_once_and_a_run_that_is_over_is_left_alone():
    state, said = story((0, *claimed(), MODEL), (500,))
    assert said == [(100, "warn"), (200, "kill")]
    state, _ = GUARD.observe(state, seen(3, 500, RunKilled(guard="stuck")))
    assert GUARD.tick(state, after(10_000)) == (state, ())
    assert GUARD.observe(state, seen(4, 501, RunClaimed(task=3)))[0] is state


# ---- what only waits ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "events",
    [
        (),
        (*claimed(), RunSuspended()),
        (*claimed(), MODEL, RunReleased()),
        (*claimed(), RunCompleted()),
        (*claimed(), MODEL, RunPaused(name="p")),
        (*claimed(), MODEL, RunPaused(name="p", until=after(10_000))),
    ],
    ids=["queued", "suspended", "released", "over", "paused", "paused until"],
)
def test_a_run_that_nobody_has_to_move_is_never_stuck(events):
    assert said_in((0, *events), (3_000,)) == []


@pytest.mark.parametrize(
    "event",
    [
        ModelFailed(call="m1", problem=PROBLEM, retry_at=after(500)),
        GuardDenied(guard="rate", call="m1", problem=PROBLEM, retry_at=after(500)),
    ],
)
def test_a_back_off_is_waited_for(event):
    assert said_in((0, *claimed(), MODEL, event), (900,)) == [(600, "warn"), (700, "kill")]


def test_a_failure_without_a_retry_is_followed_by_something():
    event = ModelFailed(call="m1", problem=PROBLEM)
    assert said_in((0, *claimed(), MODEL, event), (300,)) == [(100, "warn"), (200, "kill")]


def test_the_time_of_a_pause_does_not_count_and_a_warning_before_it_is_given_again():
    paused = RunPaused(name="p", until=after(1_000))
    assert said_in((0, *claimed(), MODEL), (150, paused), (1_500,)) == [(100, "warn"), (1_100, "warn"), (1_200, "kill")]
    forever = (RunPaused(name="p"), RunPaused(name="q"))
    assert said_in((0, *claimed(), MODEL), (50, *forever), (60, RunResumed(name="p")), (900,)) == []


def test_old_news_of_a_pause_from_above_that_is_over_hold_no_watch():
    over, late = RunResumed(name="above-1", parent="r0"), RunPaused(name="above-1", parent="r0")
    said = said_in((0, *claimed(), MODEL), (50, over), (51, late), (3_000,))
    assert said == [(100, "warn"), (200, "kill")]
    assert said_in((0, *claimed(), MODEL), (51, late), (3_000,)) == []


# ---- properties ---------------------------------------------------------------------------------------------------
gaps = st.lists(st.integers(1, 19), min_size=1, max_size=30)
events = st.sampled_from(
    [
        ModelRequested(call="m1"),
        ModelResponded(call="m1"),
        ToolRequested(call="t1", tool="quick"),
        ToolReturned(call="t1"),
        ToolRequested(call="t2", tool="slow"),
        ToolReturned(call="t2"),
        RunSteered(text="x"),
        TimerSet(timer="t", at=T0),
    ]
)


@few
@given(st.lists(st.tuples(st.integers(1, 19), events), max_size=40))
def test_a_run_that_moves_within_every_steps_timeout_is_never_accused(moves):
    at, moments = 0, [(0, *claimed())]
    for gap, event in moves:
        at += gap
        moments.append((at, event, TimerSet(timer="t", at=T0)))
    assert said_in(*moments) == []


@few
@given(st.lists(st.tuples(st.integers(1, 19), events), max_size=20))
def test_a_run_that_falls_silent_is_warned_of_and_then_killed_in_time(moves):
    at, moments = 0, [(0, *claimed())]
    for gap, event in moves:
        at += gap
        moments.append((at, event, TimerSet(timer="t", at=T0)))
    longest = 2 * 100
    said = said_in(*moments, (at + 2 * longest + 1,))
    assert [action for _, action in said] == ["warn", "kill"]
    (warned, _), (killed, _) = said
    assert warned - at in (20, 100, 200)
    assert killed - at == 2 * (warned - at)


@few
@given(legal_journals)
def test_it_sees_who_holds_a_run_what_is_open_and_what_pauses_it_as_the_fold_does(entries):
    guard, folded = GUARD, EMPTY
    state = guard.start(RUN)
    for entry in entries:
        folded = fold(folded, entry.sequence, entry.record)
        for event in entry.record.events:
            state, _ = guard.observe(state, Seen(RUN, entry.sequence, T0, event, entry.record.owner))
        assert state.over == (folded.terminal is not None)
        if folded.terminal is None:
            assert bool(state.owner) == (folded.owner != "" and not folded.suspended)
            assert set(state.pauses) == set(folded.pauses)
            assert set(state.steps) >= {call.call for call in folded.calls.values() if call.status == "open"}


@few
@given(legal_journals, st.lists(st.integers(0, 4_000), max_size=24))
def test_what_it_knows_is_in_the_journal_and_it_kills_nobody_whom_it_did_not_warn_itself(entries, ticks):
    all_seen = [
        Seen(RUN, entry.sequence, after(entry.sequence), event, entry.record.owner)
        for entry in entries
        for event in entry.record.events
    ]
    watching = rebuilt = GUARD.start(RUN)
    for number, each in enumerate(all_seen):
        watching, _ = GUARD.observe(watching, each)
        rebuilt, _ = GUARD.observe(rebuilt, each)
        if number < len(ticks):
            watching, _ = GUARD.tick(watching, after(ticks[number]))
    assert replace(watching, warned=None, killed=False) == rebuilt
    said, state = [], rebuilt
    for now in range(5_000, 11_000, 100):
        state, verdicts = GUARD.tick(state, after(now))
        said += [verdict.action for verdict in verdicts]
    assert said in ([], ["warn", "kill"])


def test_the_factor_is_how_many_timeouts():
    guard = StuckGuard(StuckSettings(factor=5), SPEC)
    assert said_in((0, *claimed(), MODEL), (600,), guard=guard) == [(250, "warn"), (500, "kill")]


def test_a_record_of_an_owner_that_was_fenced_moves_nothing():
    state, _ = story((0, *claimed(), MODEL))
    held = replace(state, owner="o9")
    assert GUARD.observe(held, seen(5, 50, ModelResponded(call="m1")))[0] == held
