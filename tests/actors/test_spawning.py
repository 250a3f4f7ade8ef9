"""How many children a run may spawn, how fast, how deep, and how often the same agent may come again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.commands import CallModel, Write
from callboard.actors.decide import decide
from callboard.actors.fold import replay
from callboard.actors.identity import child_id
from callboard.actors.spawning import child_of, free_at, lineage, refused, too_fast
from callboard.bus.messages import (
    ChildFinished,
    ChildSpawned,
    Content,
    ModelRequested,
    ModelResponded,
    RunFailed,
    Task,
    ToolCall,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.config.spec import Limits
from tests.support.interpreter import Machine, machines, spec
from tests.support.journals import T0, claimed, created, few, journal

RUN = RunKey("default", "r1")
WORK = {"agent": "b", "task": "go"}


def spawned(*ats: float | None):
    """A run that spawned a child at each of these seconds."""
    children = [
        ChildSpawned(child=f"c{n}", call=f"t{n}", agent="b", at=None if at is None else T0 + timedelta(seconds=at))
        for n, at in enumerate(ats)
    ]
    return replay(journal(claimed(), *children))


def below(*agents: str):
    """A run of the last agent, below the others."""
    *above, agent = agents
    return replay(journal([created(agent=agent, lineage=tuple(above), depth=len(above)), claimed()[1]]))


def kind(problem) -> str | None:
    return None if problem is None else problem.kind


def asking(count: int, *, at: float = 0, **limits):
    """What is decided of a turn that delegates ``count`` times."""
    asked = tuple(ToolCall(id=f"t{n}", name="delegate", arguments=WORK) for n in range(count))
    entries = journal(claimed(), ModelRequested(call="m1"), ModelResponded(call="m1", tool_calls=asked))
    command = decide(replay(entries), spec(limits=Limits(**limits)), T0 + timedelta(seconds=at), run=RUN)
    assert isinstance(command, Write)
    return command.events


# ---- how many -----------------------------------------------------------------------------------------------------
def test_a_run_spawns_all_the_children_it_may_and_not_one_more():
    state, limits = spawned(0, 0, 0), Limits(children=4)
    assert refused(state, limits, "b") is None
    assert kind(refused(state, limits, "b", beside=1)) == "too_many_children"
    assert kind(refused(spawned(0, 0, 0, 0), limits, "b")) == "too_many_children"


def test_children_that_have_finished_count_too():
    state = replay(journal(claimed(), ChildSpawned(child="c", call="t", agent="b")))
    over = replay(
        journal(claimed(), ChildSpawned(child="c", call="t", agent="b"), ChildFinished(child="c", outcome="completed"))
    )
    for each in (state, over):
        assert kind(refused(each, Limits(children=1), "b")) == "too_many_children"


def test_of_the_delegations_of_one_turn_those_within_the_limit_are_spawned_and_the_others_told_why():
    events = asking(5, children=3)
    assert [type(event) for event in events] == [ChildSpawned] * 3 + [ToolReturned] * 2
    assert [event.problem.kind for event in events[3:]] == ["too_many_children"] * 2
    assert events[3].problem.message == "this run has spawned 3 children, 3 are allowed (limits.children)"
    assert events[3].problem.hint == "do the work yourself"


def test_a_refused_delegation_is_a_result_that_the_model_reads():
    asked = (ToolCall(id="t0", name="delegate", arguments=WORK),)
    turn = (ModelRequested(call="m1"), ModelResponded(call="m1", tool_calls=asked))
    agent = spec(limits=Limits(children=0))
    command = decide(replay(journal(claimed(), turn)), agent, T0, run=RUN)
    assert decide(replay(journal(claimed(), turn, command.events)), agent, T0, run=RUN) == CallModel("m2", 1)


def test_the_child_of_a_function_takes_the_lane_that_is_given_else_its_parents():
    state = replay(journal([created(lane="high"), claimed()[1]]))
    for asked, lane in ((None, "high"), ("low", "low")):
        child = child_of(state, spec(), ("c1", "t1"), agent="b", given=Content(value=1), lane=asked, at=T0)
        assert (child.child, child.call, child.agent, child.lane, child.at) == ("c1", "t1", "b", lane, T0)


# ---- how fast -----------------------------------------------------------------------------------------------------
def test_a_run_spawns_as_many_as_it_may_within_a_minute_and_again_a_minute_after_the_first_of_them():
    limits, now = Limits(spawn_rate=3), T0 + timedelta(seconds=30)
    assert free_at(spawned(0, 10), limits, now) is None
    assert free_at(spawned(0, 10, 20), limits, now) == T0 + timedelta(seconds=60)
    assert free_at(spawned(0, 10, 20, 25), limits, now) == T0 + timedelta(seconds=70)
    assert free_at(spawned(0, 10, 20), limits, T0 + timedelta(seconds=60)) is None


def test_children_of_the_same_turn_count_and_those_without_an_instant_do_not():
    limits = Limits(spawn_rate=3)
    assert free_at(spawned(0), limits, T0, beside=1) is None
    assert free_at(spawned(0), limits, T0 + timedelta(seconds=1), beside=2) == T0 + timedelta(seconds=60)
    assert free_at(spawned(), limits, T0, beside=3) == T0 + timedelta(seconds=60)
    assert free_at(spawned(None, None, None), limits, T0) is None


def test_the_model_is_told_when_it_may_delegate_again():
    events = asking(3, spawn_rate=2)
    assert [type(event) for event in events] == [ChildSpawned, ChildSpawned, ToolReturned]
    assert {event.at for event in events[:2]} == {T0}
    assert events[2].problem.kind == "spawn_rate"
    assert events[2].problem.hint == "do the work yourself, or delegate again in 60 s"
    assert too_fast(spawned(0), Limits(spawn_rate=2), T0) is None


@given(st.lists(st.floats(0, 300), max_size=60), st.integers(1, 8))
def test_whoever_waits_as_long_as_it_is_told_never_spawns_more_than_the_rate_in_any_minute(wishes, rate):
    ats: list[float] = []
    for wish in sorted(wishes):
        at = max(wish, ats[-1] if ats else 0.0)
        free = free_at(spawned(*ats), Limits(spawn_rate=rate), T0 + timedelta(seconds=at))
        ats.append(at if free is None else (free - T0).total_seconds())
        assert free_at(spawned(*ats[:-1]), Limits(spawn_rate=rate), T0 + timedelta(seconds=ats[-1])) is None
    for first, last in zip(ats, ats[rate:], strict=False):
        assert last - first >= 60 - 1e-5


# ---- how deep, and in circles -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("chain", "agent", "cycles", "allowed"),
    [
        (("a",), "b", 0, True),
        (("a",), "a", 0, False),
        (("a", "b"), "a", 0, False),
        (("a", "b"), "a", 1, True),
        (("a", "b", "a"), "b", 1, True),
        (("a", "b", "a"), "a", 1, False),
        (("a", "b", "a", "b"), "a", 1, False),
        (("a", "b", "a"), "a", 2, True),
    ],
)
def test_an_agent_comes_again_below_itself_as_often_as_it_may(chain, agent, cycles, allowed):
    problem = refused(below(*chain), Limits(cycles=cycles), agent)
    assert kind(problem) == (None if allowed else "delegation_cycle")
    if problem is not None:
        assert " -> ".join((*chain, agent)) in problem.message


def test_the_deepest_child_is_allowed_and_the_one_below_it_is_not():
    limits = Limits(depth=2)
    assert refused(below("a", "b"), limits, "c") is None
    assert kind(refused(below("a", "b", "c"), limits, "d")) == "too_deep"


def test_a_lineage_always_fits_into_a_task():
    assert lineage(None) == ()
    assert lineage(created(agent="b", lineage=("a",))) == ("a", "b")
    longest = tuple(f"a{n}" for n in range(64))
    assert Task(input=1, lineage=lineage(created(agent="b", lineage=longest))).lineage[-1] == "b"


# ---- properties ---------------------------------------------------------------------------------------------------
@few
@given(machines(), st.integers(0, 4), st.integers(1, 4))
def test_no_run_spawns_beyond_its_limits_and_every_run_ends(machine: Machine, children, rate):
    machine.agent = spec(limits=Limits(turns=6, depth=2, children=children, spawn_rate=rate))
    state = machine.run()
    assert len(state.children) <= children
    ats = sorted(child.at for child in state.children.values())
    assert all(last - first >= timedelta(seconds=60) for first, last in zip(ats, ats[rate:], strict=False))
    assert state.outcome in ("completed", "failed")
    if isinstance(state.terminal, RunFailed):
        assert state.terminal.problem.kind not in ("too_many_children", "spawn_rate")


@few
@given(machines())
def test_a_run_within_its_limits_is_refused_no_good_delegation(machine: Machine):
    state = machine.run()
    for turn in state.turns:
        for asked in turn.tool_calls if isinstance(turn, ModelResponded) else ():
            if asked.name == "delegate" and asked.arguments == WORK:
                call = state.calls.get(asked.id)
                assert call is None or call.problem is None or child_id("r1", asked.id) in state.children
