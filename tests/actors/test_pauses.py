"""What a paused run does, as values."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.commands import Backoff, CallModel, CallTools, End, Suspend, Verify, Write
from callboard.actors.fold import replay
from callboard.actors.pauses import alarm, announced, hold, in_force, waits, with_alarms
from callboard.actors.state import arrived, ready
from callboard.bus.messages import (
    ChildSpawned,
    ModelRequested,
    RunCompleted,
    RunPaused,
    RunResumed,
    TimerFired,
    TimerSet,
    ToolInDoubt,
    ToolRequested,
    Wait,
)
from tests.support.journals import T0, at, claimed, few, journal

CALL = CallModel("m1", 1)
EFFECTS = [CALL, CallTools(()), Verify(()), Backoff(at(99)), Write((ChildSpawned(child="c", call="t", agent="b"),))]
OTHERS = [End(RunCompleted()), Suspend(()), Write((ToolInDoubt(call="t", policy="ask"),))]


def paused(*events):
    return replay(journal(claimed(), *events))


@pytest.mark.parametrize("command", EFFECTS)
def test_a_paused_run_starts_nothing_and_waits_for_the_end_of_its_pause(command):
    assert hold(command, paused(RunPaused(name="x")), T0) == Suspend(((Wait(kind="go", name="x"),),))


@pytest.mark.parametrize("command", OTHERS)
def test_what_is_no_effect_goes_on_in_a_paused_run(command):
    assert hold(command, paused(RunPaused(name="x")), T0) == command


@pytest.mark.parametrize("command", [*EFFECTS, *OTHERS])
def test_a_run_that_was_resumed_goes_on(command):
    assert hold(command, paused(RunPaused(name="x"), RunResumed(name="x")), T0) == command


def test_a_run_that_is_paused_twice_waits_for_both():
    state = paused(RunPaused(name="x"), RunPaused(name="y"))
    (group,) = hold(CALL, state, T0).waits
    assert {wait.name for wait in group} == {"x", "y"}


def test_a_short_pause_is_waited_out_on_the_worker():
    state = paused(RunPaused(name="x", until=at(5)))
    assert hold(CALL, state, at(3)) == Backoff(at(5))
    assert hold(CALL, state, at(5)) == CALL


def test_a_longer_pause_with_an_end_sets_a_durable_timer_and_holds_no_worker():
    pause = RunPaused(name="x", until=at(60))
    (timer,) = hold(CALL, paused(pause), T0).events
    assert timer.at == at(60)
    suspended = hold(CALL, paused(pause, timer), T0)
    assert suspended.waits == ((Wait(kind="go", name="x"),), (Wait(kind="timer", name=timer.timer),))
    woken = paused(pause, timer, TimerFired(timer=timer.timer))
    assert ready(woken, suspended.waits)
    assert hold(CALL, woken, at(59)) == CALL, "the server's clock said that it is over"
    early = paused(pause, timer, RunResumed(name="x"))
    assert ready(early, suspended.waits)
    assert hold(CALL, early, T0) == CALL


def test_a_pause_without_an_end_outlasts_one_with_an_end():
    state = paused(RunPaused(name="x", until=at(60)), RunPaused(name="y"))
    assert hold(CALL, state, T0) == Suspend(((Wait(kind="go", name="y"),),))


def test_the_longer_pause_of_a_name_holds_in_whatever_order_they_come():
    short, long, ever = (RunPaused(name="x", until=end) for end in (at(5), at(9), None))
    for order in ((short, long), (long, short), (long, long)):
        assert paused(*order).pauses["x"] == long
    for order in ((ever, long), (long, ever)):
        assert paused(*order).pauses["x"] == ever


def test_a_run_with_an_intent_out_that_must_not_run_twice_keeps_its_worker():
    intent = ToolRequested(call="t", tool="pay", effect="at_most_once")
    state = paused(intent, RunPaused(name="x"))
    assert announced(state)
    assert isinstance(hold(CALL, state, T0), Backoff)
    assert not announced(paused(intent.model_copy(update={"effect": "idempotent"})))
    assert not announced(paused(ModelRequested(call="m1")))


def test_a_function_that_waits_for_the_end_of_a_pause_gets_its_timer():
    pause = RunPaused(name="x", until=at(60))
    groups = ((Wait(kind="go", name="x"),),)
    assert with_alarms(paused(pause), groups) == waits((pause,))
    assert with_alarms(paused(RunPaused(name="x")), groups) == groups
    assert with_alarms(paused(pause), ((Wait(kind="signal", name="x"),),)) == ((Wait(kind="signal", name="x"),),)


@few
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.none() | st.integers(0, 9)), min_size=1), st.integers(0, 9))
def test_a_pause_holds_exactly_as_long_as_it_is_in_force(made, now):
    state = paused(*(RunPaused(name=name, until=None if end is None else at(end)) for name, end in made))
    pauses = in_force(state, at(now))
    assert bool(pauses) == any(end is None or end > now for _, end in made)
    assert (hold(CALL, state, at(now)) == CALL) == (not pauses)
    timer = alarm(pauses)
    if pauses and timer is not None:
        assert hold(CALL, state, timer.at) == CALL
        assert all(pause.until <= timer.at for pause in pauses)
    for pause in pauses:
        assert not arrived(state, Wait(kind="go", name=pause.name))


def test_the_timers_of_two_ends_have_two_names():
    first, second = (alarm((RunPaused(name="x", until=T0 + timedelta(seconds=n)),)) for n in (60, 61))
    assert isinstance(first, TimerSet)
    assert first.timer != second.timer
    assert alarm(()) is None
