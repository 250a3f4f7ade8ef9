"""An agent's run, command by command, to its end: what holds of every one."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.commands import Backoff, CallModel, CallTools, End, Suspend, Verify, Write
from callboard.actors.decide import decide
from callboard.actors.fold import replay
from callboard.actors.history import check
from callboard.bus.messages import (
    ModelRequested,
    ModelResponded,
    RunFailed,
    RunKilled,
    ToolRequested,
    ToolResolved,
)
from callboard.bus.subjects import RunKey
from callboard.config.spec import Limits
from tests.support.interpreter import KEY, Machine, legal_journals, machines, spec
from tests.support.journals import T0, few, journal

SPEC = spec()


@few
@given(machines())
def test_every_run_ends_and_its_history_has_no_violation(machine: Machine):
    state = machine.run()
    assert state.outcome in ("completed", "failed")
    cascade = {RunKey(KEY.tenant, child): journal(RunKilled()) for child in state.unfinished}  # the dispatcher's duty
    assert check({KEY: machine.entries, **cascade}, starts=machine.starts, at_rest=True) == ()


@few
@given(machines(crashes=6))
def test_what_must_not_run_twice_is_started_once_unless_somebody_said_that_it_did_not_happen(machine: Machine):
    machine.run()
    retried = Counter(
        event.call
        for entry in machine.entries
        for event in entry.record.events
        if isinstance(event, ToolResolved) and event.decision == "retry"
    )
    started = Counter(start.call for start in machine.starts)
    for call, times in started.items():
        assert machine.state.calls[call].repeatable or times <= 1 + retried[call]


@few
@given(machines(crashes=0))
def test_without_crashes_every_tool_is_started_once_and_nothing_is_in_doubt(machine: Machine):
    state = machine.run()
    assert set(Counter(start.call for start in machine.starts).values()) <= {1}
    assert state.in_doubt == ()
    assert machine.commands["Verify"] == 0


@few
@given(machines(), st.integers(1, 6))
def test_a_run_uses_all_its_turns_and_not_one_more(machine: Machine, turns):
    machine.agent = spec(limits=Limits(turns=turns, depth=2))
    state = machine.run()
    used = sum(1 for each in state.turns if isinstance(each, ModelResponded))
    assert used <= turns
    if isinstance(state.terminal, RunFailed) and state.terminal.problem.kind == "turns":
        assert used == turns


@few
@given(machines(deadline=T0 + timedelta(milliseconds=200)))
def test_a_run_past_its_deadline_ends_with_its_next_decision(machine: Machine):
    state = machine.run()
    late = [e for e in machine.entries if machine.deadline and e.at > machine.deadline and e.record.events]
    intents = [
        event for e in late[1:] for event in e.record.events if isinstance(event, ModelRequested | ToolRequested)
    ]
    assert state.terminal is not None
    assert not intents


@few
@given(legal_journals)
def test_a_decision_is_made_for_every_state_that_an_owner_can_have(entries):
    state = replay(entries)
    if state.owner and state.owns(state.owner):
        command = decide(state, SPEC, T0, run=RunKey("default", "r1"))
        assert isinstance(command, CallModel | CallTools | Write | Verify | Suspend | Backoff | End)
