"""What an agent's run does next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from callboard.actors.commands import Backoff, CallModel, CallTools, End, Suspend, Verify, Write
from callboard.actors.decide import DEADLINE, MAX_ENTRIES, decide, doubts, limit_reached
from callboard.actors.fold import EMPTY, replay
from callboard.actors.identity import child_id, idempotency_key
from callboard.bus.messages import (
    ChildFinished,
    ChildSpawned,
    Content,
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    RunClaimed,
    RunCompleted,
    RunFailed,
    RunSteered,
    TimerFired,
    TimerSet,
    ToolCall,
    ToolInDoubt,
    ToolRequested,
    ToolResolved,
    ToolReturned,
    Wait,
)
from callboard.bus.subjects import RunKey
from callboard.config.spec import Limits
from tests.support.interpreter import spec
from tests.support.journals import PROBLEM, T0, claimed, journal

SPEC = spec()
TAKEOVER = ("o2", RunClaimed(task=1))


RUN = RunKey("default", "r1")


def next_of(*entries, agent=SPEC, now=T0):
    return decide(replay(journal(*entries)), agent, now, run=RUN)


def turn(*asked: ToolCall, call="m1", text="fine"):
    return (ModelRequested(call=call), ModelResponded(call=call, text=Content(value=text), tool_calls=asked))


def asks(*names: str, arguments=None):
    return tuple(ToolCall(id=f"t{n}", name=name, arguments=arguments) for n, name in enumerate(names, 1))


def intent(name: str, call="t1", **fields) -> ToolRequested:
    tool = SPEC.tool(name)
    assert tool is not None
    return ToolRequested(
        call=call, tool=name, effect=tool.effect, in_doubt=tool.in_doubt, key=idempotency_key(RUN, call), **fields
    )


def failure(command) -> str:
    assert isinstance(command, End)
    assert isinstance(command.event, RunFailed)
    return command.event.problem.kind


# ---- the loop -----------------------------------------------------------------------------------------------------
def test_a_run_begins_with_a_model_call_and_ends_with_its_text():
    assert next_of(claimed()) == CallModel("m1", 1)
    assert next_of(claimed(), turn(text="done")) == End(RunCompleted(result=Content(value="done")))


def test_a_note_that_came_after_the_last_turn_is_read_before_the_end():
    assert next_of(claimed(), turn(), RunSteered(text="more")) == CallModel("m2", 1)


def test_the_tools_of_one_turn_are_one_command_and_their_results_are_read():
    command = next_of(claimed(), turn(*asks("look", "put")))
    assert isinstance(command, CallTools)
    assert [(asked.id, request.tool, request.attempt) for asked, request in command.calls] == [
        ("t1", "look", 1),
        ("t2", "put", 1),
    ]
    done = (ToolReturned(call="t1"), ToolReturned(call="t2"))
    assert next_of(claimed(), turn(*asks("look", "put")), (intent("look"), intent("put", "t2")), done) == CallModel(
        "m2", 1
    )


def test_only_the_calls_without_a_result_are_made():
    command = next_of(
        claimed(), turn(*asks("look", "put")), (intent("look"), intent("put", "t2")), ToolReturned(call="t2")
    )
    assert isinstance(command, CallTools)
    assert [asked.id for asked, _ in command.calls] == ["t1"]


def test_an_unknown_tool_is_a_problem_that_names_the_known_ones():
    command = next_of(claimed(), turn(*asks("dreamt")))
    assert isinstance(command, Write)
    (refused,) = command.events
    assert isinstance(refused, ToolReturned)
    assert refused.problem is not None
    assert (refused.problem.kind, "look" in refused.problem.hint) == ("unknown_tool", True)
    assert next_of(claimed(), turn(*asks("dreamt")), command.events) == CallModel("m2", 1)


def test_a_long_refusal_is_cut():
    command = next_of(claimed(), turn(*asks("delegate", arguments={"agent": "x" * 5_000, "task": "t"})))
    assert isinstance(command, Write)
    assert len(command.events[0].problem.message) == 2_000


# ---- model calls --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("entries", "attempt"),
    [((), 1), ((ModelRequested(call="m1"),), 1), ((ModelRequested(call="m1"), TAKEOVER), 2)],
)
def test_an_open_model_call_is_armed_again_by_its_owner_and_attempted_again_by_the_next(entries, attempt):
    assert next_of(claimed(), *entries) == CallModel("m1", attempt)


def test_a_failed_model_call_is_retried_when_its_time_has_come():
    failed = ModelFailed(call="m1", problem=PROBLEM, retry_at=T0)
    entries = (claimed(), ModelRequested(call="m1"), failed)
    assert next_of(*entries, now=T0 - timedelta(microseconds=1)) == Backoff(T0)
    assert next_of(*entries, now=T0) == CallModel("m1", 2)


def test_a_long_back_off_holds_no_worker_and_ends_with_its_timer():
    failed = ModelFailed(call="m1", problem=PROBLEM, retry_at=T0)
    denied = GuardDenied(guard="g", call="m1", problem=PROBLEM, retry_at=T0)
    before = T0 - timedelta(seconds=2.001)
    timer = TimerSet(timer=f"retry-{round(T0.timestamp() * 1000)}", at=T0)
    wait = Wait(kind="timer", name=timer.timer)
    for entries, then in (
        ((claimed(), ModelRequested(call="m1"), failed), CallModel("m1", 2)),
        ((claimed(), denied), CallModel("m1", 1)),
    ):
        assert next_of(*entries, now=before) == Write((timer,))
        assert next_of(*entries, timer, now=before) == Suspend(((wait,),))
        assert next_of(*entries, timer, TimerFired(timer=timer.timer), now=before) == then, "its server's word counts"
        assert next_of(*entries, timer, now=T0) == then
        assert next_of(*entries, now=T0 - timedelta(seconds=2)) == Backoff(T0)


def test_a_model_call_that_failed_for_good_ends_the_run_with_its_problem():
    entries = (claimed(), ModelRequested(call="m1"), ModelFailed(call="m1", problem=PROBLEM))
    assert next_of(*entries) == End(RunFailed(problem=PROBLEM))


# ---- limits -------------------------------------------------------------------------------------------------------
def test_the_last_turn_is_used_and_the_one_after_it_is_refused():
    agent = spec(limits=Limits(turns=2))
    first, second = turn(*asks("dreamt")), turn(ToolCall(id="t9", name="dreamt"), call="m2")
    refused = ToolReturned(call="t1", problem=PROBLEM)
    assert next_of(claimed(), first, refused, agent=agent) == CallModel("m2", 1)
    late = (claimed(), first, refused, second, refused.model_copy(update={"call": "t9"}))
    assert failure(next_of(*late, agent=agent)) == "turns"


def test_a_run_that_fails_keeps_what_its_model_said_last():
    agent, said = spec(limits=Limits(turns=2)), Content(value="it is the disk")
    first = turn(*asks("dreamt"), text="it is the disk")
    silent = turn(ToolCall(id="t9", name="dreamt"), call="m2", text="")
    refused = ToolReturned(call="t1", problem=PROBLEM)
    ends = (
        next_of(claimed(), first, refused, silent, refused.model_copy(update={"call": "t9"}), agent=agent),
        next_of(claimed(deadline=T0), first, now=T0),
        next_of(claimed(), first, refused, ModelRequested(call="m2"), ModelFailed(call="m2", problem=PROBLEM)),
    )
    assert [(failure(end), end.event.partial) for end in ends] == [
        ("turns", said), ("deadline", said), (PROBLEM.kind, said),
    ]  # fmt: skip
    assert next_of(claimed(deadline=T0), turn(text=""), now=T0).event.partial is None, "it has said nothing"


def test_the_deadline_is_the_first_instant_that_is_too_late():
    assert next_of(claimed(deadline=T0), now=T0 - timedelta(microseconds=1)) == CallModel("m1", 1)
    late = next_of(claimed(deadline=T0), now=T0)
    assert failure(late) == "deadline"
    assert "the deadline was 2026-11-21 12:00:00Z" in str(late)


def test_the_deadlines_timer_is_believed_whatever_the_clock_says():
    early = T0 - timedelta(seconds=9)
    entries = (claimed(deadline=T0), TimerSet(timer=DEADLINE, at=T0))
    assert next_of(*entries, now=early) == CallModel("m1", 1)
    assert failure(next_of(*entries, TimerFired(timer=DEADLINE), now=early)) == "deadline"


def test_a_full_journal_ends_the_run():
    state = replay(journal(claimed()))
    assert limit_reached(replace(state, entries=MAX_ENTRIES - 1), T0) is None
    assert failure(limit_reached(replace(state, entries=MAX_ENTRIES), T0)) == "journal_full"
    assert limit_reached(EMPTY, T0) is None


# ---- takeover -----------------------------------------------------------------------------------------------------
def test_a_repeatable_call_of_a_lost_owner_is_made_again_with_the_same_key():
    command = next_of(claimed(), turn(*asks("put")), intent("put"), TAKEOVER)
    assert isinstance(command, CallTools)
    (_, again) = command.calls[0]
    assert (again.key, again.attempt) == (idempotency_key(RUN, "t1"), 2)


def test_an_own_open_intent_is_armed_again_whatever_its_effect():
    command = next_of(claimed(), turn(*asks("pay_ask")), intent("pay_ask"))
    assert isinstance(command, CallTools)
    assert command.calls[0][1].attempt == 1


LOST = (claimed(), turn(*asks("pay_ask")), intent("pay_ask"), TAKEOVER)


def lost(name: str):
    known = ToolInDoubt(call="t1", policy=SPEC.tool(name).in_doubt)
    return (claimed(), turn(*asks(name)), intent(name), TAKEOVER, ("o2", known))


def test_a_call_of_a_lost_owner_that_must_not_run_twice_is_in_doubt():
    assert next_of(*LOST) == Write((ToolInDoubt(call="t1", policy="ask"),))
    assert doubts(replay(journal(*LOST[:3]))) == ()


def test_the_policies_of_doubt():
    assert next_of(*lost("pay_ask")) == Suspend(((Wait(kind="resolution", name="t1"),),))
    assert next_of(*lost("pay_go_on")) == CallModel("m2", 1)
    assert failure(next_of(*lost("pay_fail"))) == "in_doubt"
    verify = next_of(*lost("pay_verify"))
    assert isinstance(verify, Verify)
    assert [call.call for call in verify.calls] == ["t1"]


def test_a_call_that_did_not_happen_is_made_again_and_one_that_did_is_not():
    again = next_of(*lost("pay_ask"), ToolResolved(call="t1", decision="retry"))
    assert isinstance(again, CallTools)
    assert again.calls[0][1].attempt == 2
    assert next_of(*lost("pay_ask"), ToolResolved(call="t1", decision="done")) == CallModel("m2", 1)


# ---- delegation ---------------------------------------------------------------------------------------------------
WORK = {"agent": "b", "task": "work"}


def test_delegations_of_one_turn_are_spawned_together_and_joined_as_a_set():
    asked = asks("delegate", "delegate", arguments=WORK)
    spawn = next_of(claimed(lane="high"), turn(*asked))
    ids = child_id("r1", "t1"), child_id("r1", "t2")
    assert isinstance(spawn, Write)
    assert [(each.child, each.agent, each.lane, each.input.value) for each in spawn.events] == [
        (child, "b", "high", "work") for child in ids
    ]
    entries = (claimed(), turn(*asked), spawn.events)
    assert next_of(*entries) == Suspend((tuple(Wait(kind="child", name=child) for child in ids),))
    first = ChildFinished(child=ids[0], outcome="completed")
    assert next_of(*entries, first) == Suspend(((Wait(kind="child", name=ids[1]),),))
    assert next_of(*entries, first, ChildFinished(child=ids[1], outcome="killed")) == CallModel("m2", 1)


BAD = [None, [], {}, {"agent": "b"}, {"agent": "b", "task": ""}, {"agent": "x", "task": "t"}, {"agent": 1, "task": "t"}]


@pytest.mark.parametrize("arguments", BAD)
@pytest.mark.parametrize(("team", "named"), [(("b",), "one of b"), ((), "nobody")])
def test_a_bad_delegation_is_a_problem_that_names_the_team(arguments, team, named):
    command = next_of(claimed(), turn(*asks("delegate", arguments=arguments)), agent=spec(team=team))
    assert isinstance(command, Write)
    problem = command.events[0].problem
    assert (problem.kind, named in problem.hint) == ("bad_arguments", True)
    assert next_of(claimed(), turn(*asks("delegate", arguments=arguments)), command.events) == CallModel("m2", 1)


def test_the_deepest_delegation_is_allowed_and_the_one_below_it_is_not():
    asked = turn(*asks("delegate", arguments=WORK))
    allowed, refused = next_of(claimed(depth=1), asked), next_of(claimed(depth=2), asked)
    assert isinstance(allowed, Write)
    assert isinstance(allowed.events[0], ChildSpawned)
    assert isinstance(refused, Write)
    assert refused.events[0].problem.kind == "too_deep"


def test_ids_of_children_and_keys_differ_for_every_call_of_every_run():
    pairs = [("r1", "t1"), ("r1", "t2"), ("r2", "t1"), ("r1/t1", "")]
    keys = {idempotency_key(RunKey(tenant, run), call) for tenant in ("acme", "zeta") for run, call in pairs}
    assert len({child_id(*pair) for pair in pairs} | keys) == 12
    assert child_id("r1", "t1") == child_id("r1", "t1")
