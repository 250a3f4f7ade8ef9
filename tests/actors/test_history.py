"""The history checker: it finds each broken rule, and nothing in histories that keep them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from callboard.actors.fold import replay
from callboard.actors.history import SKEW, EffectStart, QueuedTask, check
from callboard.actors.receipt import Receipt, receipt
from callboard.bus.messages import (
    ChildFinished,
    ChildSpawned,
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    OutputRejected,
    Parent,
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunKilled,
    RunPaused,
    RunReleased,
    RunResumed,
    RunSettled,
    RunSteered,
    RunSuspended,
    SignalReceived,
    TimerSet,
    ToolInDoubt,
    ToolLateResult,
    ToolRequested,
    ToolResolved,
    ToolReturned,
    UnknownEvent,
    Wait,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from tests.support.interpreter import KEY, Machine, legal_journals, machines
from tests.support.journals import PROBLEM, T0, at, claimed, created, few, journal, journals

INTENT = ToolRequested(call="t1", tool="pay", key="k1")
RETURNED = ToolReturned(call="t1")
LOOK = ToolRequested(call="t1", tool="look", effect="pure", key="k1")
DOUBT = ToolInDoubt(call="t1", policy="ask")
RETRY = ToolResolved(call="t1", decision="retry")
TAKEOVER = ("o2", RunClaimed(task=1))
ANSWERED = ModelRequested(call="m1"), ModelResponded(call="m1")
AGAIN = ModelRequested(call="m2"), ModelResponded(call="m2")
REJECTED, TWICE = OutputRejected(call="m1", round=1), OutputRejected(call="m2", round=2)
THRICE = ModelRequested(call="m3"), ModelResponded(call="m3"), OutputRejected(call="m3", round=3)
GO = RunSuspended(waits=((Wait(kind="signal", name="go"),),))
CAME = SignalReceived(name="go")
CHILD = RunKey("acme", "c1")
SPAWNED = ChildSpawned(child="c1", call="t1", agent="b")


def rules(*entries, **world) -> list[str]:
    """The rules that the journal of ``KEY`` (and the world) breaks."""
    return [violation.rule for violation in check({KEY: journal(*entries)}, **world)]


def start(sequence: float = 2.1, *, call="t1", key="k1") -> EffectStart:
    """A physical start behind the entry at ``sequence`` (entries are a second apart)."""
    return EffectStart(KEY, call, key, at(sequence).timestamp(), pid=7)


# ---- properties ---------------------------------------------------------------------------------------------------
@few
@given(legal_journals)
def test_a_legal_history_has_no_violation(entries):
    assert check({KEY: entries}) == ()


@few
@given(machines())
def test_every_physical_start_more_than_there_were_is_found(machine: Machine):
    machine.run()
    history = {KEY: machine.entries}
    if machine.starts:
        first = machine.starts[0]
        again = [replace(first, at=first.at + n / 1000) for n in range(1, 1 + len(machine.entries))]
        assert "intent" in {violation.rule for violation in check(history, starts=[*machine.starts, *again])}


@few
@given(journals)
def test_a_history_of_nonsense_is_judged_all_the_same(entries):
    violations = check({KEY: entries}, starts=[start()], queued=[QueuedTask(1, KEY)], at_rest=True)
    assert all(violation.run == KEY and violation.message for violation in violations)
    assert check({KEY: [*entries, *entries]}) == check({KEY: entries})


# ---- one journal --------------------------------------------------------------------------------------------------
GOOD = [
    (),
    (claimed(), LOOK, RETURNED, RunCompleted()),
    (claimed(), INTENT, INTENT, RETURNED, RunCompleted()),
    (claimed(), INTENT, TAKEOVER, ("o2", DOUBT), ("o2", DOUBT), RETRY, ("o2", INTENT), ("o2", RETURNED)),
    (claimed(), LOOK, TAKEOVER, ("o2", LOOK), ("o2", RETURNED)),
    (claimed(), ModelRequested(call="m1"), ModelFailed(call="m1", problem=PROBLEM), ModelRequested(call="m1")),
    (
        claimed(),
        ModelRequested(call="m1"),
        TAKEOVER,
        ("o2", ModelRequested(call="m1")),
        ("o2", ModelResponded(call="m1")),
    ),
    (claimed(), ToolReturned(call="t1", problem=PROBLEM)),
    (claimed(), TimerSet(timer="x", at=T0), GO, CAME, ("o2", RunClaimed(task=2)), ("o2", RunCompleted())),
    (RunSteered(text="soon"), claimed(), RunReleased(), ("o2", RunClaimed(task=2))),
    (claimed(), RunKilled(), RunKilled(), RunSettled(), ToolLateResult(call="t1"), CAME, UnknownEvent(type="x")),
    (RunKilled(), CAME),
    (claimed(), RunPaused(name="x"), RunResumed(name="x"), INTENT, RunPaused(name="x"), RETURNED),
    (claimed(), RunPaused(name="x", until=T0), INTENT),
    (claimed(), ANSWERED, RunSteered(text="x"), (REJECTED, AGAIN[0]), AGAIN[1], TWICE, RunFailed(problem=PROBLEM)),
]
BAD = [
    ("created", (claimed(), ("o2", created()))),
    ("created", (RunClaimed(task=1),)),
    ("claim", (claimed(), ("o2", RunClaimed(task=2)))),
    ("claim", (claimed(), GO, TAKEOVER)),
    ("terminal", (claimed(), RunCompleted(), RunFailed(problem=PROBLEM))),
    ("terminal", (claimed(), RunKilled(), RunCompleted())),
    ("terminal", (claimed(), (RunCompleted(), RunCompleted()))),
    ("fenced", (claimed(), RunKilled(), INTENT)),
    ("fenced", (RunKilled(), (RunCreated(agent="a", at=T0),))),
    ("fenced", (claimed(), TAKEOVER, INTENT)),
    ("fenced", (claimed(), ("", INTENT))),
    ("fenced", (INTENT,)),
    ("suspended", (claimed(), GO, INTENT)),
    ("suspended", (claimed(), RunReleased(), RunCompleted())),
    ("intent", (claimed(), RETURNED)),
    ("intent", (claimed(), ModelResponded(call="m1"))),
    ("intent", (claimed(), DOUBT)),
    ("intent", (claimed(), INTENT, DOUBT, RETURNED)),
    ("repeated", (claimed(), LOOK, RETURNED, RETURNED)),
    ("repeated", (claimed(), LOOK, RETURNED, LOOK)),
    ("at_most_once", (claimed(), INTENT, TAKEOVER, ("o2", INTENT))),
    ("at_most_once", (claimed(), INTENT, DOUBT, INTENT)),
    ("paused", (claimed(), RunPaused(name="x"), INTENT)),
    ("output", (claimed(), REJECTED)),
    ("output", (claimed(), ANSWERED, AGAIN, REJECTED)),
    ("output", (claimed(), ANSWERED, REJECTED.model_copy(update={"round": 2}))),
    ("output", (claimed(), ANSWERED, REJECTED, AGAIN, TWICE, THRICE)),
    ("key", (claimed(), LOOK, LOOK.model_copy(update={"key": "k2"}))),
]


@pytest.mark.parametrize("entries", GOOD)
def test_a_history_that_keeps_the_rules_has_no_violation(entries):
    assert rules(*entries) == []


@pytest.mark.parametrize(("rule", "entries"), BAD)
def test_a_broken_rule_is_found_at_the_entry_that_breaks_it(rule, entries):
    (violation,) = check({KEY: journal(*entries)})
    assert (violation.rule, violation.run, violation.sequence) == (rule, KEY, len(entries))


def test_what_a_newer_version_wrote_and_garbage_are_no_violations():
    newer = [Stored(1, Record(v=2, id="n", owner="o9", events=(RunClaimed(task=1),))), Stored(2, None)]
    later = [Stored(3, Record(id="i", owner="o1", events=(INTENT,)))]
    world = {"starts": [start()], "queued": [QueuedTask(1, KEY)], "at_rest": True}
    assert check({KEY: [*newer, *later]}, **world) == ()
    killed = replay([*newer, *later, Stored(4, Record(id="k", events=(RunKilled(),)))])
    taken = receipt(killed, KEY, accepted_at=T0, now=T0)
    assert check({KEY: [*newer, *later]}, receipts=[replace(taken, in_doubt=("t9",))]) == ()


# ---- physical starts ----------------------------------------------------------------------------------------------
def test_a_start_behind_its_intent_is_right():
    assert rules(claimed(), INTENT, RETURNED, starts=[start()]) == []


def test_a_start_needs_an_intent_of_its_own_before_it():
    assert rules(claimed(), INTENT, starts=[start(2 - SKEW)]) == []
    assert rules(claimed(), INTENT, starts=[start(2 - SKEW - 0.01)]) == ["intent"]
    assert rules(claimed(), starts=[start()]) == ["intent"]
    assert [v.rule for v in check({}, starts=[start()])] == ["intent"]
    assert rules(claimed(), LOOK, starts=[start(), start(2.2)]) == ["intent"]
    assert rules(claimed(), LOOK, TAKEOVER, ("o2", LOOK), starts=[start(), start(4.2)]) == []


def test_a_start_of_a_journal_without_times_is_judged_by_its_number():
    entries = [replace(entry, at=None) for entry in journal(claimed(), LOOK)]
    assert check({KEY: entries}, starts=[start(0)]) == ()
    assert [v.rule for v in check({KEY: entries}, starts=[start(0), start(1)])] == ["intent"]


def test_a_call_that_must_not_run_twice_is_started_once():
    assert rules(claimed(), INTENT, INTENT, starts=[start(3.1), start(3.2)]) == ["at_most_once"]


def test_it_is_started_again_if_somebody_said_that_it_did_not_happen():
    entries = (claimed(), INTENT, DOUBT, RETRY, INTENT)
    assert rules(*entries, starts=[start(), start(5.1)]) == []
    assert rules(claimed(), INTENT, RETRY, INTENT, starts=[start(), start(4.1)]) == ["at_most_once"]


def test_a_start_carries_the_key_of_its_intent():
    assert rules(claimed(), INTENT, starts=[start(key="other")]) == ["key"]
    assert rules(claimed(), ModelRequested(call="m1"), starts=[start(call="m1", key="")]) == []


# ---- receipts -----------------------------------------------------------------------------------------------------
KILLED = (claimed(), INTENT, RunKilled(), RunSettled())


def taken(*entries, **fields) -> Receipt:
    state = replay(journal(*entries))
    return replace(receipt(state, KEY, accepted_at=at(3), now=at(3.5)), **fields)


def test_a_true_receipt_agrees_with_the_fold():
    assert rules(*KILLED, receipts=[taken(*KILLED)]) == []
    assert rules(*KILLED, ToolLateResult(call="t1"), receipts=[taken(*KILLED)]) == []
    late = (*KILLED, ToolLateResult(call="t1"))
    assert rules(*late, receipts=[taken(*late)]) == []
    assert rules(*KILLED, ModelLateUsage(call="m1"), receipts=[taken(*KILLED)]) == []
    assert rules(RunKilled(), receipts=[taken(RunKilled())]) == []


@pytest.mark.parametrize(
    "lie",
    [
        {"outcome": "completed"},
        {"in_doubt": ()},
        {"in_doubt": ("t1", "t2")},
        {"settled_by": "never_started"},
        {"settled_by": "suspended"},
    ],
)
def test_a_receipt_that_lies_is_found(lie):
    assert rules(*KILLED, receipts=[taken(*KILLED, **lie)]) == ["receipt"]


def test_a_receipt_of_a_run_without_a_journal_is_found():
    assert "receipt" in [violation.rule for violation in check({}, receipts=[taken(*KILLED)])]


def test_nothing_starts_after_settled():
    settled = taken(*KILLED, settled_at=at(4))
    assert rules(*KILLED, starts=[start(4)], receipts=[settled]) == []
    assert rules(*KILLED, starts=[start(4 + SKEW - 0.01)], receipts=[settled]) == []
    assert rules(*KILLED, starts=[start(4 + SKEW + 0.01)], receipts=[settled]) == ["settled"]
    unsettled = taken(*KILLED, settled_at=None, settled_by=None)
    assert rules(*KILLED, starts=[start(9)], receipts=[unsettled]) == []


# ---- at rest ------------------------------------------------------------------------------------------------------
def rest(*entries, queued=(), **others) -> list[str]:
    history = {KEY: journal(*entries), **{RunKey("acme", run): journal(*each) for run, each in others.items()}}
    return [violation.rule for violation in check(history, queued=queued, at_rest=True)]


def test_at_rest_runs_are_over_or_wait_for_something_open():
    assert rest(claimed(), RunCompleted()) == []
    assert rest(claimed(), GO) == []
    assert rest(RunKilled()) == []
    assert rest(RunSteered(text="to nobody")) == []


def test_what_is_only_true_at_rest_is_not_asked_before():
    assert rules(claimed()) == []
    assert rules(claimed(), GO, CAME) == []


def test_r1_an_open_run_whose_task_is_gone_is_found():
    assert rest(claimed()) == ["R1"]
    assert rest(claimed(), queued=[QueuedTask(2, KEY)]) == ["R1"]
    assert rest(claimed(), queued=[QueuedTask(1, CHILD)]) == ["queue", "R1"]


def test_a_task_that_may_claim_and_that_nobody_took_is_found():
    assert rest(claimed(), queued=[QueuedTask(1, KEY)]) == ["queue"]
    assert rest(queued=[QueuedTask(1, KEY)]) == ["queue"]
    assert rest(claimed(), GO, CAME, queued=[QueuedTask(2, KEY, resume=3)]) == ["queue"]
    assert rest(claimed(), RunCompleted(), queued=[QueuedTask(1, KEY)]) == []


def test_r2_a_suspended_run_that_could_go_on_and_has_no_resume_task_is_found():
    assert rest(claimed(), GO, CAME) == ["R2"]
    assert rest(claimed(), RunReleased()) == ["R2"]
    assert rest(claimed(), CAME, GO, queued=[QueuedTask(2, KEY, resume=2)]) == ["R2"]


def test_the_ends_of_parents_and_children_are_known_to_each_other():
    parent = (claimed(), SPAWNED, RunSuspended(waits=((Wait(kind="child", name="c1"),),)))
    child = (claimed(parent=Parent(run="r1")),)
    told = ChildFinished(child="c1", outcome="completed")
    assert rest(*parent) == ["family"]
    assert rest(*parent, queued=[QueuedTask(9, CHILD)]) == ["queue"]
    assert rest(*parent, c1=(*child, GO)) == []
    assert rest(*parent, c1=(*child, RunCompleted())) == ["family"]
    assert rest(claimed(), SPAWNED, told, RunCompleted(), c1=(*child, RunCompleted())) == []
    assert rest(claimed(), SPAWNED, RunKilled()) == ["family"]
    assert rest(claimed(), SPAWNED, RunKilled(), c1=(*child, GO)) == ["family"]
    assert rest(claimed(), SPAWNED, RunKilled(), c1=(RunKilled(parent="r1"),)) == []


def test_violations_come_in_the_order_of_runs_and_entries():
    bad = journal(claimed(), RETURNED, ModelResponded(call="m1"))
    found = check({RunKey("b", "r"): bad, RunKey("a", "r"): bad})
    assert [(str(each.run), each.sequence) for each in found] == [("a/r", 2), ("a/r", 3), ("b/r", 2), ("b/r", 3)]
