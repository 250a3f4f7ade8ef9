"""The budget beside the bus: silent about what the gate handled right, and not about anything else."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.accounts import tally
from callboard.actors.allowance import caps_of, overdraft
from callboard.actors.fold import EMPTY, fold
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import (
    Amount,
    BudgetRaised,
    Caps,
    ChildFinished,
    ChildSpawned,
    Event,
    Message,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    RunSteered,
    ToolRequested,
    ToolReturned,
    Usage,
)
from callboard.bus.ports import Stored
from callboard.config.guards import BudgetSettings
from callboard.guards.budget.audit import BudgetGuard
from callboard.guards.catalogue import BUILTIN
from callboard.guards.sidecar.judge import watched
from callboard.tools.tool import tool
from tests.guards.budget.asks import KEY, spec_of
from tests.guards.budget.handled import PROBLEM, Handled
from tests.guards.budget.house import house, spender, uses
from tests.guards.sidecar.watchers import journalist, sidecar
from tests.support.fleet import fleet
from tests.support.journals import claimed, created, extend, few, journal, journals

HELD = Amount(usd_micros=120_000, input_tokens=20, output_tokens=5, model_calls=1)
USED = Usage(input_tokens=10, output_tokens=1, cost_usd_micros=100_000)


def settings_of(run: dict[str, Any], **more: Any) -> BudgetSettings:
    return spec_of(run=run, **{"burn_within": (), **more}).guards.budget


def audited(settings: BudgetSettings, entries: Sequence[Stored], *, again_at: int = 0) -> list[GuardEvent]:
    """What it says. ``again_at``: as one that begins there, and knows the entries before it from the journal."""
    run = watched("budget", KEY, created(), guard=BudgetGuard(settings), mode=settings.mode)
    for entry in entries[:again_at]:
        run.see(entry)
    return [said.event for entry in entries[again_at:] for said in run.see(entry)]


def said(settings: BudgetSettings, *events: Message | Sequence[Message]) -> list[tuple[str, int]]:
    return [(each.action, each.sequence) for each in audited(settings, journal(claimed(), *events))]


def call(n: int, *, held: Amount = HELD, usage: Usage = USED, **more: Any) -> tuple[Message, Message]:
    """Entries of one model call."""
    return ModelRequested(call=f"m{n}", reserved=held, **more), ModelResponded(call=f"m{n}", usage=usage)


def calls(count: int, **more: Any) -> list[Message]:
    return [event for n in range(1, count + 1) for event in call(n, **more)]


# ---- silent about runs that the gate handled right ----------------------------------------------------------------
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "usd": st.integers(1, 600).map(lambda n: n / 1e6),
        "input_tokens": st.integers(10, 400),
        "output_tokens": st.integers(10, 300),
        "model_calls": st.integers(1, 12),
        "tool_calls": st.integers(1, 12),
    },
)


@few
@given(LIMITS, st.integers(), st.booleans())
def test_a_run_whose_calls_the_gate_let_start_is_never_accused(run: dict[str, Any], seed: int, hard: bool) -> None:  # noqa: FBT001 - hypothesis hands it over
    spec = spec_of(run=run, hard=hard, burn_within=())
    entries = Handled(spec, Random(seed)).live(40)
    assert audited(spec.guards.budget, entries) == []


@few
@given(LIMITS.filter(bool), st.integers())
def test_a_run_that_asks_nobody_is_accused_at_its_first_call_too_many_and_killed_if_it_goes_on(
    run: dict[str, Any], seed: int
) -> None:
    spec = spec_of(run=run, burn_within=())
    entries = Handled(spec, Random(seed), gated=False).live(60)
    found = [each for each in audited(spec.guards.budget, entries) if each.action in ("deny", "kill")]
    assert [each.action for each in found] in ([], ["deny"], ["deny", "kill"])
    over = first_over(spec.guards.budget, entries)
    assert bool(found) >= bool(over), f"it was over at {over}"
    assert not over or found[0].sequence <= over
    behind = [event for entry in entries if found and entry.sequence > found[0].sequence for event in events(entry)]
    kinds = [event.type for event in behind]
    went_on = "model.responded" in kinds and {"model.requested", "tool.requested"}.intersection(
        kinds[kinds.index("model.responded") :]
    )
    assert len(found) == 2 or not went_on


def events(entry: Stored) -> Sequence[Event]:
    assert entry.record is not None
    return entry.record.events


def first_over(settings: BudgetSettings, entries: Sequence[Stored]) -> int:
    """Where the run is over a cap of model calls by what its own calls have used; 0: nowhere."""
    state = EMPTY
    for entry in entries:
        for event in events(entry):
            if isinstance(event, ModelRequested) and event.call not in state.calls:
                wanted = tally(event.reserved)
                if overdraft(state.accounts.own, wanted, caps_of(state, settings), settings) is not None:
                    return entry.sequence
        assert entry.record is not None
        state = fold(state, entry.sequence, entry.record)
    return 0


@few
@given(journals, st.integers(0, 24), st.sampled_from(["beside", "instead"]))
def test_whatever_lies_in_a_journal_the_same_is_said_from_every_point_of_it(entries, cut, role):
    settings = settings_of({"usd": 0.000_02, "model_calls": 2, "tool_calls": 2}, burn_within=(600.0, 120.0))
    guard = BudgetGuard(settings, role=role)

    def judged() -> list[GuardEvent]:
        run = watched("budget", KEY, created(), guard=guard, mode="enforce")
        return [each.event for entry in entries for each in run.see(entry)]

    whole = judged()
    assert judged() == whole
    assert not [each for each in whole if "raised" in each.reason]
    assert sum(each.action == "kill" for each in whole) <= 1
    if role == "beside":
        last = 0 if cut >= len(entries) else entries[cut].sequence - 1
        if last:
            assert audited(settings, entries, again_at=cut) == [each for each in whole if each.sequence > last]


# ---- not silent about others --------------------------------------------------------------------------------------
def test_a_call_that_the_gate_would_refuse_is_said_and_the_run_killed_when_it_goes_on() -> None:
    settings = settings_of({"usd": 1.0})
    assert said(settings, *calls(8)) == []
    found = audited(settings, journal(claimed(), *calls(10)))
    assert [(each.action, each.sequence) for each in found] == [("deny", 18), ("kill", 20)]
    assert found[0].reason == (
        "this run has used $0.80 of $1.00, and the next call may take $0.12: m9 has started all the same"
    )
    assert found[1].evidence == (18, 20)
    assert said(settings_of({"usd": 1.0}, hard=True), *calls(10)) == [("kill", 20)]


def test_tools_count_by_themselves_and_a_batch_is_one_accusation() -> None:
    settings = settings_of({"tool_calls": 2})
    batch = [ToolRequested(call=f"t{n}", tool="x") for n in range(5)]
    back = [ToolReturned(call=f"t{n}") for n in range(5)]
    assert said(settings, batch, back) == [("deny", 2), ("warn", 2)]
    assert said(settings, batch, back, ToolRequested(call="u", tool="x")) == [("deny", 2), ("warn", 2), ("kill", 4)]
    assert said(settings, batch, back, *call(1)) == [("deny", 2), ("warn", 2)]
    assert said(settings, batch, back, *call(1), *call(2)) == [("deny", 2), ("warn", 2), ("kill", 6)]


def test_what_may_go_on_is_not_killed() -> None:
    settings = settings_of({"usd": 1.0})
    raised = BudgetRaised(more=Amount(usd_micros=1_000_000))
    assert said(settings, *calls(9), raised, *call(10)) == [("deny", 18)]
    last = ModelRequested(call="m9", reserved=HELD, wrap_up=True)
    assert said(settings, *calls(8), last) == []
    assert said(settings_of({"usd": 1.0}, mode="warn"), *calls(9)) == []
    assert said(settings_of({"usd": None}), *calls(30)) == []


def test_an_intent_that_was_written_twice_is_judged_once() -> None:
    settings = settings_of({"usd": 0.2})
    assert said(settings, *[call(1)[0]] * 3) == []
    both = [BudgetRaised(more=Amount(usd_micros=30_000))] * 2
    assert said(settings, both, *calls(2)) == []


def test_a_worker_that_does_not_ask_is_said_once() -> None:
    settings = settings_of({"usd": 1.0})
    assert said(settings, *calls(3, held=Amount())) == [("warn", 2)]
    assert said(settings_of({"tool_calls": 3}), *calls(3, held=Amount())) == []


def test_a_call_that_used_more_than_was_reserved_is_said_once_with_both_entries() -> None:
    settings = settings_of({"usd": 1.0})
    more = Usage(cost_usd_micros=130_000)
    failed = ModelFailed(call="m2", problem=PROBLEM, usage=more)
    (found,) = audited(settings, journal(claimed(), *call(1), call(2)[0], failed, *call(3, usage=more)))
    assert (found.action, found.evidence, found.call) == ("observe", (4, 5), "m2")
    assert found.reason == "m2 used $0.13, and $0.12 was reserved for it"
    assert said(settings_of({"model_calls": 9}), *call(1, usage=more)) == []


def test_charges_above_the_cap_are_said_once_for_each_cap() -> None:
    settings = settings_of({"usd": 0.2})
    dear = Usage(cost_usd_micros=250_000)
    raised = BudgetRaised(more=Amount(usd_micros=100_000))
    assert said(settings, *call(1, usage=dear)) == [("observe", 3), ("warn", 3)]
    again = audited(settings, journal(claimed(), *call(1, usage=dear), raised, *call(2, held=Amount(), usage=dear)))
    assert again[1].reason == "it has used $0.25, and its cap is $0.20"
    assert [each.threshold for each in again if "cap is" in each.reason] == [200_000, 300_000]


def test_what_a_child_used_beyond_its_slice_is_charged_and_nobody_is_accused_of_it() -> None:
    settings = settings_of({"usd": 1.0})
    child = ChildSpawned(child="c", call="t", agent="b", budget=Caps(usd_micros=300_000))
    told = ChildFinished(child="c", outcome="completed", spent=Amount(usd_micros=2_000_000))
    found = audited(settings, journal(claimed(), child, told, *calls(2)))
    assert [(each.action, each.sequence) for each in found] == [("warn", 3)]
    assert said(settings, child, *calls(9)) == [("deny", 13), ("kill", 15)]
    assert said(settings, told, child, *calls(2)) == [("warn", 2)]


# ---- how fast -----------------------------------------------------------------------------------------------------
def spent_over(seconds: Sequence[int], *, usd: float = 1.0, micros: int = 50_000) -> list[tuple[int, float]]:
    """Warnings, by the second and the level, of a run whose calls end at these seconds."""
    entries = list(journal(claimed()))
    begun = entries[0].at
    assert begun is not None
    for n, second in enumerate(seconds, 1):
        usage = Usage(cost_usd_micros=micros)
        held = Amount(usd_micros=micros, model_calls=1)
        step = second - entries[-1].sequence + 1
        entries = list(extend(entries, call(n, held=held, usage=usage), step=step))
    found = audited(settings_of({"usd": usd}, burn_within=(600.0, 120.0)), entries)
    return [(each.sequence - 1, each.threshold) for each in found if "rate" in each.reason]


def test_a_run_that_will_soon_have_used_its_dollars_is_said_once_for_each_level() -> None:
    assert spent_over(range(25, 600, 50), usd=1.0) == [(375, 600.0)]
    assert spent_over(range(5, 95, 5), usd=1.0) == [(60, 120.0)]


def test_a_short_burst_a_slow_run_and_one_that_has_stopped_spending_are_left_alone() -> None:
    assert spent_over(range(1, 18)) == []
    assert spent_over(range(60, 1200, 120), usd=5.0) == []
    assert spent_over([*range(5, 50, 5), 400, 800], usd=1.0) == []


def test_the_warning_says_when() -> None:
    entries = list(journal(claimed()))
    for n in range(1, 14):
        held, usage = Amount(usd_micros=50_000, model_calls=1), Usage(cost_usd_micros=50_000)
        entries = list(extend(entries, call(n, held=held, usage=usage), step=5))
    (found,) = audited(settings_of({"usd": 1.0}, burn_within=(120.0,)), entries)
    assert found.reason == "at its present rate its $1.00 will be used up in 40.0 s"
    assert (found.action, found.threshold, found.value) == ("warn", 120.0, 40.0)


@pytest.mark.parametrize("more", [{"burn_within": ()}, {"run": {"usd": None}}])
def test_without_a_cap_or_a_level_nothing_burns(more: dict[str, Any]) -> None:
    settings = settings_of({"usd": 100.0, **more.pop("run", {})}, **more)
    entries = list(journal(claimed()))
    for n in range(1, 200):
        entries = list(extend(entries, call(n), step=5))
    assert not [each for each in audited(settings, entries) if "rate" in each.reason]


def test_steering_says_nothing_by_itself() -> None:
    assert said(settings_of({"usd": 1.0}), RunSteered(text="x", guard="budget")) == []


# ---- live ---------------------------------------------------------------------------------------------------------
BUDGET = tuple(hosted for hosted in BUILTIN if hosted.name == "budget")


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


async def test_a_run_whose_worker_asks_nobody_is_ended_from_outside() -> None:
    agent = spender("runaway", uses("look"), loop=True, tools=(look,), budget={"run": {"usd": 0.005}})
    async with fleet(agent) as board, sidecar(board.subjects, *BUDGET), journalist(board.subjects) as here:
        state = await board.over(await board.submit("runaway", "go"))
        assert (state.outcome, state.terminal.guard) == ("killed", "budget")
        assert state.accounts.own.usd_micros <= 8_000
        with anyio.fail_after(20):
            while (found := [(each.action, each.acted) for each in await here.said("budget")])[-1:] != [("kill", True)]:
                await board.bus.connection.barrier()
        assert found[:2] == [("warn", False), ("deny", False)]


async def test_a_run_that_its_own_worker_ends_is_not_accused() -> None:
    agent = spender("spender", uses("look"), loop=True, tools=(look,), budget={"run": {"usd": 0.02}}, output=200)
    async with house(agent) as board, sidecar(board.subjects, *BUDGET):
        key = await board.submit("spender", "go")
        state = await board.over(key)
        assert (state.outcome, state.terminal.guard) == ("failed", "budget")
        entries = await board.bus.journals.read(key)
        assert audited(agent.spec.guards.budget, entries) == []
        assert not [each for each in await board.said(3) if "all the same" in each.reason]
