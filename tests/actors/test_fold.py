"""The fold: what journals mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callboard.actors.fold import EMPTY, replay, terminal_of
from callboard.actors.state import RunState, arrived, ready
from callboard.bus.messages import (
    TERMINAL,
    ChildFinished,
    ChildSpawned,
    Content,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Record,
    RunClaimed,
    RunCompleted,
    RunFailed,
    RunKilled,
    RunReleased,
    RunSettled,
    RunSteered,
    RunSuspended,
    SignalReceived,
    TimerFired,
    TimerSet,
    ToolInDoubt,
    ToolLateResult,
    ToolRequested,
    ToolResolved,
    ToolReturned,
    Usage,
    Wait,
)
from callboard.bus.ports import Stored
from tests.support.journals import (
    PROBLEM,
    T0,
    claimed,
    extend,
    journal,
)

INTENT = ToolRequested(call="t1", tool="pay", key="k", in_doubt="ask")


def state_of(*entries) -> RunState:
    return replay(journal(*entries))


def test_an_empty_journal_is_a_queued_run():
    assert (EMPTY.status, EMPTY.outcome, EMPTY.unfinished, EMPTY.in_doubt) == ("queued", None, (), ())


def test_the_first_record_creates_and_claims():
    state = state_of(claimed(task=7))
    assert (state.owner, state.claim, state.task, state.worker, state.status) == ("o1", 1, 7, "w1", "running")
    assert state.created is not None
    assert (state.attempts, state.claims) == (1, 1)


def test_a_claim_of_a_run_that_was_never_created_means_nothing():
    assert state_of(RunClaimed(task=1), RunSuspended()).status == "queued"


def test_attempts_are_the_claims_since_the_last_suspension():
    state = state_of(claimed(), ("o2", RunClaimed(task=1)), ("o2", RunSuspended()), ("o3", RunClaimed(task=2)))
    assert (state.attempts, state.claims, state.owner) == (1, 3, "o3")


def test_the_first_creation_is_the_one_that_holds():
    first = state_of(claimed())
    assert replay(extend(journal(claimed()), claimed(agent="b"))).created == first.created


@pytest.mark.parametrize(
    ("end", "outcome"),
    [(RunCompleted(), "completed"), (RunFailed(problem=PROBLEM), "failed"), (RunKilled(), "killed")],
)
def test_the_first_terminal_is_the_outcome(end, outcome):
    state = state_of(claimed(), end, RunKilled(), RunCompleted(), RunFailed(problem=PROBLEM))
    assert (state.outcome, state.status, state.ended, state.terminal) == (outcome, outcome, 2, end)


def test_a_run_can_be_killed_before_it_exists():
    state = state_of(RunKilled(), claimed())
    assert (state.status, state.owner, state.created) == ("killed", "", None)


def test_events_behind_a_terminal_in_the_same_record_do_not_count():
    assert state_of(claimed(), (RunCompleted(), TimerSet(timer="x", at=T0))).timers == {}


def test_after_the_end_a_confirmation_and_late_results_are_kept():
    state = state_of(
        claimed(), INTENT, RunKilled(), RunSettled(running=("t1",)), RunSettled(), ToolLateResult(call="t1")
    )
    assert state.settled == RunSettled(running=("t1",))
    assert state.late == {"t1"}
    assert state.in_doubt == ()


def test_a_confirmation_before_the_end_means_nothing():
    assert state_of(claimed(), RunSettled()).settled is None


def test_a_suspension_names_what_it_waits_for_and_a_claim_ends_it():
    waits = ((Wait(kind="signal", name="go"),),)
    state = state_of(claimed(), ChildSpawned(child="c1", call="t1", agent="b"), RunSuspended(waits=waits))
    assert (state.suspended, state.waits, state.status, state.attempts) == (3, waits, "suspended", 0)
    assert state.published == {"c1"}
    again = replay(extend(journal(claimed(), RunSuspended(waits=waits)), ("o2", RunClaimed(task=2))))
    assert (again.suspended, again.waits, again.status) == (0, (), "running")


def test_a_release_is_a_suspension_that_publishes_no_children():
    state = state_of(claimed(), ChildSpawned(child="c1", call="t1", agent="b"), RunReleased())
    assert (state.suspended, state.waits, state.published) == (3, (), frozenset())


def test_a_release_of_a_run_that_nobody_owns_means_nothing():
    assert state_of(RunReleased()).suspended == 0
    assert state_of(claimed(), RunSuspended(), RunReleased()).suspended == 2


def test_a_model_call_adds_a_turn_and_its_usage():
    usage = Usage(input_tokens=1, output_tokens=2, cached_tokens=3, cost_usd_micros=4, written_tokens=5)
    turn = ModelResponded(call="m1", text=Content(value="hi"), usage=usage)
    state = state_of(
        claimed(), ModelRequested(call="m1"), turn, ModelRequested(call="m2"), turn.model_copy(update={"call": "m2"})
    )
    assert state.calls["m1"].result == Content(value="hi")
    assert len(state.turns) == 2
    assert state.usage == Usage(input_tokens=2, output_tokens=4, cached_tokens=6, cost_usd_micros=8, written_tokens=10)


def test_a_model_call_that_is_no_turn_is_charged_and_says_nothing():
    usage = Usage(input_tokens=1)
    intent = ModelRequested(call="s1", purpose="summary")
    state = state_of(claimed(), intent, ModelResponded(call="s1", usage=usage, purpose="summary"))
    assert (state.turns, state.usage, state.calls["s1"].status) == ((), usage, "done")


def test_a_model_call_that_failed_keeps_why_and_when_to_retry():
    call = state_of(claimed(), ModelRequested(call="m1"), ModelFailed(call="m1", problem=PROBLEM, retry_at=T0)).calls[
        "m1"
    ]
    assert (call.status, call.problem, call.retry_at, call.repeatable) == ("failed", PROBLEM, T0, True)


@pytest.mark.parametrize(
    "result", [ModelResponded(call="m1"), ModelFailed(call="m1", problem=PROBLEM), ToolInDoubt(call="m1", policy="ask")]
)
def test_a_result_without_an_intent_means_nothing(result):
    assert state_of(claimed(), result).calls == {}


def test_a_tool_refused_before_an_intent_is_done():
    call = state_of(claimed(), ToolReturned(call="t1", problem=PROBLEM)).calls["t1"]
    assert (call.status, call.problem) == ("done", PROBLEM)


def test_a_second_result_and_a_second_intent_after_it_mean_nothing():
    first = ToolReturned(call="t1", result=Content(value=1))
    state = state_of(claimed(), INTENT, first, ToolReturned(call="t1", result=Content(value=2)), INTENT)
    assert (state.calls["t1"].status, state.calls["t1"].result) == ("done", Content(value=1))


def test_an_intent_again_is_a_new_attempt_of_the_last_owner():
    state = state_of(claimed(), INTENT, ("o2", RunClaimed(task=1)), ("o2", INTENT.model_copy(update={"attempt": 2})))
    assert (state.calls["t1"].owner, state.calls["t1"].attempt, state.calls["t1"].sequence) == ("o2", 2, 4)


def test_an_open_call_that_must_not_run_twice_is_in_doubt_and_others_are_not():
    state = state_of(claimed(), INTENT, ToolRequested(call="t2", tool="get", effect="pure"), ModelRequested(call="m1"))
    assert state.in_doubt == ("t1",)
    assert not state.calls["t1"].repeatable
    assert state.calls["t2"].repeatable


DOUBT = (claimed(), INTENT, ToolInDoubt(call="t1", policy="ask"))


def test_a_call_in_doubt_may_change_its_policy_and_cannot_be_requested():
    state = state_of(*DOUBT, ToolInDoubt(call="t1", policy="continue"), INTENT)
    assert (state.calls["t1"].status, state.calls["t1"].policy, state.in_doubt) == ("doubt", "continue", ("t1",))


@pytest.mark.parametrize(
    ("resolved", "status", "result"),
    [
        (ToolResolved(call="t1", decision="done", value=3), "done", Content(value=3)),
        (ToolResolved(call="t1", decision="retry"), "retry", Content()),
        (ToolResolved(call="t1", decision="fail", value="no"), "done", Content()),
    ],
)
def test_a_call_in_doubt_becomes_what_somebody_says_of_it(resolved, status, result):
    call = state_of(*DOUBT, resolved).calls["t1"]
    assert (call.status, call.result) == (status, result)
    assert (call.problem is not None) == (resolved.decision == "fail")


def test_a_call_that_was_to_be_made_again_and_is_refused_then_has_its_outcome():
    state = state_of(*DOUBT, ToolResolved(call="t1", decision="retry"), ToolReturned(call="t1", problem=PROBLEM))
    assert (state.calls["t1"].status, state.calls["t1"].problem) == ("done", PROBLEM)


@pytest.mark.parametrize(("by", "who"), [("ann", "ann"), ("", "somebody")])
def test_a_failed_resolution_says_who_said_so(by, who):
    problem = state_of(*DOUBT, ToolResolved(call="t1", decision="fail", by=by)).calls["t1"].problem
    assert problem is not None
    assert problem.message.startswith(f"{who} said")


def test_a_resolution_of_a_call_that_is_not_in_doubt_means_nothing():
    resolved = ToolResolved(call="t1", decision="retry")
    assert state_of(claimed(), resolved).calls == {}
    assert state_of(claimed(), INTENT, resolved).calls["t1"].status == "open"


def test_a_timer_is_set_once_and_fires_only_if_it_was_set():
    state = state_of(
        claimed(), TimerFired(timer="x"), TimerSet(timer="x", at=T0), TimerSet(timer="x", at=T0.replace(year=2027))
    )
    assert (state.timers["x"].at, state.timers["x"].fired) == (T0, False)


def test_the_first_value_of_a_signal_wins():
    state = state_of(claimed(), SignalReceived(name="x", value=1), SignalReceived(name="x", value=2))
    assert state.signals["x"].value == 1


def test_every_note_is_a_turn_of_its_own_and_one_that_comes_twice_is_one():
    notes = RunSteered(text="left"), RunSteered(text="right")
    entries = journal(claimed(), notes, notes[0])
    assert replay(entries).turns == (*notes, notes[0])
    again = replace(entries[1], sequence=4)
    assert replay([*entries, again]).turns == (*notes, notes[0])


def test_a_note_that_comes_twice_does_not_hide_what_came_with_it():
    note = Record(id="n", events=(RunSteered(text="left"),))
    more = Record(id="n", events=(RunSteered(text="left"), RunKilled()))
    state = replay([Stored(1, note), Stored(2, more)])
    assert (len(state.turns), state.outcome) == (1, "killed")


def test_children_are_unfinished_until_they_finish():
    spawned = [ChildSpawned(child=child, call=child, agent="b") for child in ("c1", "c2", "c1")]
    state = state_of(claimed(), spawned, ChildFinished(child="c1", outcome="completed"))
    assert state.unfinished == ("c2",)
    assert list(state.children) == ["c1", "c2"]


def test_a_wait_has_arrived_when_its_signal_is_in_the_journal():
    wait = {
        kind: Wait(kind=kind, name=name)
        for kind, name in (("child", "c1"), ("timer", "x"), ("signal", "s"), ("resolution", "t1"))
    }
    before = state_of(*DOUBT, TimerSet(timer="x", at=T0))
    after = replay(
        extend(
            journal(*DOUBT, TimerSet(timer="x", at=T0)),
            ChildFinished(child="c1", outcome="killed"),
            TimerFired(timer="x"),
            SignalReceived(name="s"),
            ToolResolved(call="t1", decision="retry"),
        )
    )
    for each in wait.values():
        assert not arrived(before, each)
        assert not arrived(EMPTY, each)
        assert arrived(after, each)


def test_a_suspension_is_ready_when_all_of_one_group_has_arrived():
    one, two = Wait(kind="signal", name="x"), Wait(kind="signal", name="y")
    state = state_of(claimed(), SignalReceived(name="x"))
    assert ready(state, ())
    assert ready(state, ((two,), (one,)))
    assert not ready(state, ((one, two),))


def test_a_terminal_record_is_one_with_a_terminal_event():
    assert terminal_of(Record(id="i", events=(RunReleased(), RunKilled())))
    assert not terminal_of(Record(id="i", events=(RunReleased(),)))
    assert {"run.completed", "run.failed", "run.killed"} == TERMINAL
