"""The arithmetic of budgets: properties with a safe and a lively half, and values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors import accounts
from callboard.actors.accounts import UNITS, ZERO, Accounts, Tally, tally
from callboard.actors.allowance import Bounds, caps_of, kept, slice_of, sliced
from callboard.actors.charges import answered, cut_short, failed, interrupted, late_facts, most, unborn, unstarted
from callboard.actors.fold import fold, replay
from callboard.actors.heard import Heard
from callboard.actors.history import check
from callboard.actors.state import RunState
from callboard.bus.messages import (
    Amount,
    BudgetRaised,
    Caps,
    ChildFinished,
    ChildSpawned,
    GuardDenied,
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    Problem,
    RunClaimed,
    RunKilled,
    RunSteered,
    ToolReturned,
    Usage,
)
from callboard.bus.ports import Balance, Stored
from callboard.config.guards import BudgetSettings, Price, SharedBudget
from callboard.config.spec import ModelChoice, ToolSpec
from callboard.errors import ModelError
from callboard.guards.budget.core import (
    at_ease,
    ease_of,
    event,
    needs,
    notices,
    over,
    refusal,
    shares,
    shown,
    unpriced,
)
from callboard.guards.budget.costs import as_csv, cost_of, rows, total
from callboard.guards.budget.notes import Note, minus, parse, plus
from callboard.guards.budget.scopes import (
    RuntimeCap,
    account_name,
    accounts_of,
    cap_key,
    owed,
    parse_cap,
    period_of,
)
from callboard.models import port
from callboard.models.port import AssistantTurn, ChatRequest, SteerNote, ToolCall, ToolOutcome
from callboard.models.prices import Tariff, cost, cut_off, price_of, priced, worst_case
from tests.guards.budget.asks import KEY, MODEL, ask, request_of, spec_of, state_of
from tests.support.journals import T0, claimed, created, few, journal, journals

COUNTS = st.integers(0, 10**9)
PRICES = st.builds(Price, input=st.floats(0, 100), output=st.floats(0, 100), cached=st.none() | st.floats(0, 100))


# ---- prices -------------------------------------------------------------------------------------------------------
@given(PRICES, COUNTS, COUNTS, COUNTS)
def test_a_cost_is_rounded_up_and_never_more_than_a_micro_dollar_too_much(price, fresh, cached, output):
    tariff = price_of(MODEL.model_copy(update={"price": price}))
    exact = fresh * tariff.input + cached * tariff.cached + output * tariff.output
    found = cost(tariff, port.Usage(fresh, output, cached))
    assert exact <= found * 10**6 < exact + 10**6


def test_prices_are_of_the_model_of_the_script_or_unknown():
    assert price_of(ModelChoice(provider="acme")) is None
    assert price_of(ModelChoice(provider="acme", price=Price(input=3, output=15))) == Tariff(
        3_000_000, 15_000_000, 3_000_000, 3_000_000
    )
    turns = [{"text": "x", "cost_usd": 0.25}, [{"text": "y", "cost_usd": 0.5}, {"text": "z"}], "nonsense"]
    assert price_of(ModelChoice(provider="scripted", settings={"turns": turns})) == Tariff(call=500_000)
    assert price_of(ModelChoice(provider="scripted", settings={"turns": [{"cost_usd": "x"}, [1]]})) == Tariff()
    assert price_of(ModelChoice(provider="scripted", settings={"turns": 7})) == Tariff()
    assert priced(ModelChoice(provider="acme"), port.Usage(1, 2)) == port.Usage(1, 2)


def test_the_worst_case_counts_tools_turns_and_results():
    tool = ToolSpec(name="look", description="Look.", parameters={"a": 1})
    messages = (
        port.UserText("xx"),
        AssistantTurn("yyy", (ToolCall("1", "look", {"a": 1}),)),
        ToolOutcome("1", "look", {"b": 2}),
        SteerNote("zzzz"),
    )
    request = ChatRequest(MODEL, "ss", messages, (tool,), 1, "m2", "r", "", 60.0)
    assert worst_case(request, 50).input_tokens == 50 + 6
    first = worst_case(request, None)
    assert first.input_tokens == (2 + 2 + 3 + 7 + 7 + 4 + 4 + 5 + 7 + 1) // 2
    assert (first.output_tokens, first.cost_usd_micros) == (100, first.input_tokens + 1_000)
    alone = ChatRequest(MODEL, "", messages[:1], (), 1, "m1", "r", "", 60.0)
    assert worst_case(alone, 9).input_tokens == 10
    unknown = ChatRequest(ModelChoice(provider="acme"), "", messages, (), 1, "m1", "r", "", 60.0)
    assert cut_off(unknown, None, said=1).cost_usd_micros == 0


# ---- books --------------------------------------------------------------------------------------------------------
@few
@given(journals)
def test_what_is_spent_is_never_negative_and_is_what_a_replay_says(entries):
    state = RunState()
    for entry in entries:
        state = fold(state, entry.sequence, entry.record)
        assert min(state.accounts.spent) >= 0
        assert set(state.accounts.pending) <= set(state.calls)
        assert len(state.accounts.marks) == min(16, state.claims)
    assert replay(entries) == state


def reserved(money: int) -> Amount:
    return Amount(usd_micros=money, input_tokens=2, output_tokens=3, model_calls=1)


def test_an_intent_that_is_written_again_counts_once_and_one_of_a_later_owner_twice():
    one = ModelRequested(call="m1", attempt=1, reserved=reserved(10))
    again = replay(journal(claimed(), one, one))
    assert again.accounts.own == Tally(10, 2, 3, 1, 0)
    two = ModelRequested(call="m1", attempt=2, reserved=reserved(30))
    later = replay(
        journal(
            claimed(),
            one,
            ("o2", claimed()[1]),
            ("o2", two),
            ("o2", ModelResponded(call="m1", usage=Usage(cost_usd_micros=5))),
        )
    )
    assert later.accounts.own == Tally(15, 2, 3, 2, 0)
    assert not later.accounts.pending


def test_what_comes_late_replaces_the_reservation_of_its_attempt_once():
    late = ModelLateUsage(call="m1", attempt=1, usage=Usage(cost_usd_micros=4))
    head = (claimed(), ModelRequested(call="m1", reserved=reserved(10)))
    assert replay(journal(*head, RunKilled())).accounts.own.usd_micros == 10
    assert replay(journal(*head, RunKilled(), late, late)).accounts.own.usd_micros == 4
    wrong = late.model_copy(update={"attempt": 2})
    assert replay(journal(*head, RunKilled(), wrong)).accounts.own.usd_micros == 10


def test_a_raise_counts_once_and_takes_a_refusal_of_the_budget_back():
    no = GuardDenied(guard="budget", call="m1", problem=Problem(kind="budget", message="x"), wrap_up=True)
    more = BudgetRaised(more=Amount(usd_micros=7))
    entries = journal(claimed(), no, more)
    assert replay(entries).denied is None
    assert replay(entries).accounts.raised.usd_micros == 7
    twice = fold(replay(entries), 9, entries[-1].record)
    assert twice.accounts.raised.usd_micros == 7
    other = no.model_copy(update={"guard": "loop"})
    assert replay(journal(claimed(), other, more)).denied == other


def test_a_child_holds_its_slice_until_it_says_what_it_spent():
    spawn = ChildSpawned(child="c1", call="t1", agent="b", budget=Caps(usd_micros=50, tool_calls=3))
    told = ChildFinished(child="c1", outcome="completed", spent=Amount(usd_micros=20, model_calls=1))
    open_ = replay(journal(claimed(), spawn))
    assert open_.accounts.spent == Tally(50, 0, 0, 0, 3)
    over_ = replay(journal(claimed(), spawn, told, told))
    assert over_.accounts.spent == Tally(20, 0, 0, 1, 0)
    assert replay(journal(claimed(), told, spawn)).accounts.spent == Tally(20, 0, 0, 1, 0)
    assert replay(journal(claimed(), ChildSpawned(child="c1", call="t1", agent="b"))).accounts == Accounts(
        marks=(ZERO,)
    )
    assert accounts.slice_tally(None) == ZERO


# ---- caps ---------------------------------------------------------------------------------------------------------
CAPS = st.fixed_dictionaries(
    {
        "usd": st.none() | st.floats(0.000001, 10),
        "input_tokens": st.none() | st.integers(1, 10**6),
        "output_tokens": st.none() | st.integers(1, 10**6),
        "model_calls": st.none() | st.integers(1, 50),
        "tool_calls": st.none() | st.integers(1, 50),
    }
)
SPENT = st.builds(Tally, *(st.integers(0, 10**6) for _ in range(3)), st.integers(0, 60), st.integers(0, 60))


@given(CAPS, SPENT, st.booleans(), st.booleans(), st.booleans())
def test_a_call_is_let_through_exactly_when_its_worst_case_fits(caps, spent, hard, wrap_up, tool):
    spec = spec_of(run=caps, hard=hard)
    asked = ask(spec, state_of(spent), tool=tool, wrap_up=wrap_up)
    bounds, wanted = caps_of(asked.state, spec.guards.budget), tally(needs(asked))
    found = over(asked, needs(asked))
    units = ("tool_calls",) if tool else UNITS[:4]
    fits = {}
    for unit in units:
        cap, used, need = (getattr(each, unit) for each in (bounds, spent, wanted))
        room = cap is None or used + need <= cap - (0 if wrap_up else kept(unit, cap, spec.guards.budget))
        fits[unit] = room
    assert (found is None) == all(fits.values())
    if found is not None:
        assert not fits[found.unit]
        assert "has used" in found.message


@given(CAPS, SPENT, st.booleans(), st.booleans())
def test_a_run_is_at_ease_exactly_when_nothing_is_refused_and_nothing_is_said(caps, spent, hard, tool):
    spec = spec_of(run=caps, hard=hard)
    asked, settings = ask(spec, state_of(spent), tool=tool), spec.guards.budget
    bounds = caps_of(asked.state, settings)
    said = () if tool else [*notices(spent, bounds, settings)]
    silent = over(asked, needs(asked)) is None and not said
    assert at_ease(ease_of(bounds, settings), spent, tally(needs(asked))) == silent


@pytest.mark.parametrize("unit", UNITS)
def test_the_ease_of_a_run_ends_with_the_last_that_fits_and_where_a_share_is_spent(unit):
    caps, wanted = Bounds(**{unit: 100}), Tally(**{unit: 1})
    late = BudgetSettings(warn_at=(0.99,), steer_at=0.99)  # nothing is said before a call is refused
    last = 100 - kept(unit, 100, late) - 1
    asked = [at_ease(ease_of(caps, late), Tally(**{unit: used}), wanted) for used in (last, last + 1)]
    assert asked == [True, False]
    soon = ease_of(caps, BudgetSettings(warn_at=(0.5,), steer_at=0.8))
    model = Tally(model_calls=1)
    assert [at_ease(soon, Tally(**{unit: used}), model) for used in (49, 50)] == [True, False]


def test_nobody_is_at_ease_with_a_budget_that_others_share():
    settings = BudgetSettings(tenant=SharedBudget(usd=1.0))
    for wanted in (Tally(), Tally(tool_calls=1)):
        assert at_ease(ease_of(Bounds(), BudgetSettings()), ZERO, wanted)
        assert not at_ease(ease_of(Bounds(), settings), ZERO, wanted)


@given(CAPS, SPENT, st.integers(1, 9))
def test_slices_never_add_up_to_more_than_is_left_and_leave_somebody_something(caps, spent, children):
    settings = spec_of(run=caps).guards.budget
    state = state_of(spent)
    share = slice_of(state, settings, children)
    bounds = caps_of(state, settings)
    assert (share is None) == (bounds == Bounds())
    for unit, cap, used in zip(UNITS, bounds, spent, strict=True):
        if cap is not None:
            left = max(0, cap - kept(unit, cap, settings) - used)
            assert children * getattr(share, unit) <= left
            assert getattr(share, unit) > 0 or left < children


def test_slices_go_to_the_children_of_a_turn_and_to_nobody_else():
    child, other = ChildSpawned(child="c1", call="t1", agent="b"), ToolReturned(call="t2")
    settings = spec_of(run={"usd": 1.0}).guards.budget
    assert sliced((child, other), state_of(), settings)[0].budget == Caps(usd_micros=450_000)
    assert sliced((other,), state_of(), settings) == (other,)
    assert sliced((child,), state_of(), spec_of().guards.budget) == (child,)


def test_a_run_may_use_its_own_cap_or_its_slice_and_what_both_were_raised_by():
    settings = spec_of(run={"usd": 1.0}).guards.budget
    given_, raised = Caps(usd_micros=300, model_calls=4), Tally(usd_micros=50)
    assert caps_of(state_of(budget=given_, raised=raised), settings) == Bounds(350, None, None, 4, None)
    assert caps_of(RunState(), settings) == Bounds(1_000_000)
    assert kept("model_calls", 1, settings) == 0


def test_notices_name_the_shares_that_are_spent():
    settings = BudgetSettings()
    assert [(each.share, each.unit) for each in notices(Tally(model_calls=80), Bounds(model_calls=100), settings)] == [
        (0.5, "model_calls"), (0.8, "model_calls"),
    ]  # fmt: skip
    assert not [*notices(Tally(model_calls=49), Bounds(model_calls=100), settings)]
    (notice,) = shares("tenant", "usd_micros", used=600_000, cap=1_000_000, settings=settings)
    assert notice.message == "$0.60 of $1.00 is used (60%, tenant)"
    assert notice.note.startswith("You have $0.40 left")
    assert shown("usd_micros", 1) == "$0.000001"
    asked = ask(spec_of(run={"usd": 0.001}))
    found = over(asked, needs(asked))
    first, second = (event(asked, "deny", found, at=at, acted=True) for at in (T0, datetime.now(UTC)))
    assert first.id == second.id
    warned = event(asked, "warn", notice, at=T0, acted=False, account="tenant-usd-2026-11")
    assert warned.threshold == 0.5
    assert refusal(found, asked.spec.guards.budget, wrap_up=False).wrap_up
    assert not refusal(found, asked.spec.guards.budget, wrap_up=True).wrap_up


def test_a_model_without_a_price_is_refused_when_there_are_caps_in_dollars():
    acme = ModelChoice(provider="acme", name="big")
    assert unpriced(ask(spec_of(acme, run={"usd": 1.0})), shared=False).kind == "unknown_price"
    assert unpriced(ask(spec_of(acme)), shared=True).kind == "unknown_price"
    assert unpriced(ask(spec_of(acme)), shared=False) is None
    assert unpriced(ask(spec_of(run={"usd": 1.0})), shared=False) is None
    assert unpriced(ask(spec_of(run={"usd": 1.0}), tool=True), shared=True) is None


# ---- charges ------------------------------------------------------------------------------------------------------
def test_what_is_charged_for_failures_and_for_what_the_end_cut_off():
    state = state_of()
    request = request_of(state)
    turned_away = ModelError("rate", "x", retryable=True)
    silent, begun, heard = Heard(), Heard(begun=True), Heard(begun=True, texts=["x"], unseen=3)
    assert failed(request, state, turned_away, heard=silent, seconds=1) == Usage()
    assert failed(request, state, turned_away, heard=heard, seconds=1).output_tokens == 2
    assert failed(request, state, turned_away, heard=begun, seconds=1).input_tokens == 10
    lost, refused = (ModelError(kind, "x", retryable=False) for kind in ("network", "refusal"))
    assert failed(request, state, lost, heard=silent, seconds=60).input_tokens == 10
    assert failed(request, state, refused, heard=silent, seconds=1).input_tokens == 10
    assert interrupted(request, state, silent).cost_usd_micros == 10
    heard.take(port.Counted(port.Usage(3, 1, 4, written_tokens=2)))
    heard.take(port.TextDelta("more"))
    counted = Usage(input_tokens=3, output_tokens=3, cached_tokens=4, written_tokens=2, cost_usd_micros=37)
    assert failed(request, state, turned_away, heard=heard, seconds=1) == counted
    assert interrupted(request, state, heard) == counted
    assert answered(MODEL, port.Usage(1, 2, 4)).cost_usd_micros == 23
    assert most(request, state) == Amount(usd_micros=1_010, input_tokens=10, output_tokens=100, model_calls=1)
    pending = replay(journal(claimed(), *(ModelRequested(call=f"m{n}", attempt=n) for n in (1, 2, 3))))
    facts = (
        ModelResponded(call="m1", usage=Usage(cost_usd_micros=9)),
        ToolReturned(call="t1"),
        ModelFailed(call="mx", problem=Problem(kind="x", message="")),
        RunSteered(text="x"),
        cut_short("m2", 2, at=T0, usage=Usage(cost_usd_micros=3)),
    )
    late = late_facts(facts, pending)
    said = {(each.call, each.attempt): each.usage.cost_usd_micros for each in late if isinstance(each, ModelLateUsage)}
    assert said == {("m1", 1): 9, ("m2", 2): 3, ("m3", 3): 0}
    assert [(each.call, each.attempt, each.usage) for each in unstarted(pending, T0)] == [
        (f"m{n}", n, Usage()) for n in (1, 2, 3)
    ]
    taken_over = replay(journal(claimed(), ModelRequested(call="m1"), ("o2", RunClaimed(task=1))))
    assert unstarted(taken_over, T0) == ()
    assert unborn("a", None, T0).outcome == "killed"


# ---- shared -------------------------------------------------------------------------------------------------------
def test_accounts_are_named_by_scope_unit_and_period_and_caps_set_at_run_time_win():
    settings = spec_of(agent={"usd": 1, "per": "day"}, tenant={"model_calls": 10}, hard=False).guards.budget
    found = accounts_of(KEY, "writer", settings, {}, created=T0)
    assert [(each.tenant, each.name, each.cap, each.limit) for each in found] == [
        ("t1", "agent-writer-usd-2026-11-21", 1_000_000, 900_000),
        ("t1", "tenant-model_calls-2026-11", 10, 9),
    ]
    runtime = {
        cap_key("tenant", tenant="t1"): RuntimeCap(more={"2026-11": Amount(model_calls=5)}),
        cap_key("agent", tenant="t1", agent="writer"): RuntimeCap(budget=SharedBudget(tool_calls=3)),
        cap_key("global", tenant="t1"): RuntimeCap(budget=SharedBudget(usd=2.0)),
    }
    found = accounts_of(KEY, "writer", settings, runtime, created=T0)
    assert [(each.tenant, each.name, each.cap) for each in found] == [
        ("t1", "agent-writer-tool_calls-2026-11", 3),
        ("t1", "tenant-model_calls-2026-11", 15),
        ("_", "global-usd-2026-11", 2_000_000),
    ]
    assert len(account_name("agent", "output_tokens", period_of(T0, "day"), "x" * 64)) <= 64
    assert parse_cap(b'{"budget": {"usd": -1}}') is None
    assert parse_cap(b"{}") == RuntimeCap()


def test_what_claims_used_is_told_back_to_the_last_one_that_used_anything():
    marks = (Tally(), Tally(model_calls=2), Tally(model_calls=2), Tally(model_calls=3))
    assert owed(marks, 7, Tally(model_calls=5)) == (
        (7, Tally(model_calls=2)),
        (6, Tally(model_calls=1)),
    )
    assert [claim for claim, _ in owed(marks[:3], 6, Tally(model_calls=2))] == [6, 5, 4]
    assert owed((), 0, ZERO) == ()


@given(st.none() | st.builds(Balance, st.integers(), st.integers()), COUNTS, COUNTS)
def test_a_note_is_read_as_it_was_written(total_, by, at):
    note = Note(total_, by, at, "abc")
    assert parse(str(note)) == note
    assert parse("something else") is None
    assert minus(plus(Balance(1, 2), Balance(3, 4)), Balance(3, 4)) == Balance(1, 2)


# ---- costs --------------------------------------------------------------------------------------------------------
@few
@given(journals)
def test_the_lines_of_a_run_add_up_to_its_books(entries):
    state = replay(entries)
    cost_ = cost_of(KEY, entries)
    assert total(cost_.lines).used == state.accounts.own
    assert (cost_.created is None) == (state.created is None)
    for by in (("tool",), ("run", "agent"), ()):
        assert sum((row.used.model_calls for row in rows(cost_.lines, by)), 0) == state.accounts.own.model_calls


def test_a_table_of_nothing_has_a_head():
    assert as_csv((), ("tool",)) == "tool,runs,model_calls,tool_calls,input_tokens,output_tokens,usd\n"
    assert total(()).runs == 0


def test_what_cannot_be_read_costs_nothing():
    entries = (*journal(claimed(), ModelRequested(call="m1", model="x", reserved=reserved(4))), Stored(9, None))
    assert [(line.tool, line.used.usd_micros) for line in cost_of(KEY, entries).lines] == [("x", 4)]


# ---- history ------------------------------------------------------------------------------------------------------
def granted(spec: dict | None, money: int, *head, **more) -> list[str]:
    start = created(spec=spec), claimed()[1]
    call = ModelRequested(call="m1", reserved=reserved(money), **more)
    return [each.rule for each in check({KEY: journal(start, *head, call)})]


def test_a_call_that_was_granted_above_the_cap_of_its_run_breaks_a_rule():
    assert granted({}, 1_800_000) == []
    assert granted({}, 1_800_001) == ["budget"]
    assert granted({}, 2_000_000, wrap_up=True) == []
    assert granted({}, 2_000_001, wrap_up=True) == ["budget"]
    assert granted({}, 1_900_000, BudgetRaised(more=Amount(usd_micros=1_000_000))) == []
    assert granted({"guards": {"budget": {"mode": "shadow"}}}, 9_000_000) == []
    assert granted({"guards": {"budget": "?"}}, 9_000_000) == []
    assert granted(None, 9_000_000) == []
    assert granted({}, 9_000_000, ChildSpawned(child="c1", call="t1", agent="b")) == []
    twice = ModelRequested(call="m1", reserved=reserved(1_000_000))
    assert granted({}, 1_000_000, twice) == []
