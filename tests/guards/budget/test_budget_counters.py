"""Do the counters of shared budgets say what the journals say, at rest and while runs go on?"""

from __future__ import annotations

from typing import Any

import pytest

from callboard.actors.fold import replay
from callboard.actors.history import Counter, check
from callboard.bus.messages import Amount, Message, ModelRequested, ModelResponded, Record, Usage
from callboard.bus.ports import Balance, Stored
from callboard.bus.subjects import RunKey
from callboard.config.guards import SharedBudget
from callboard.guards.budget.counters import Drift, counters, drifts, said
from callboard.guards.budget.scopes import RuntimeCap, cap_key, in_scope
from tests.guards.budget.asks import KEY, spec_of
from tests.support.journals import T0, claimed, journal

USD = ("t1", "tenant-usd-2026-11")
DONE = (
    ModelRequested(call="m1", reserved=Amount(usd_micros=90)),
    ModelResponded(call="m1", usage=Usage(cost_usd_micros=70)),
)
OPEN = ModelRequested(call="m2", reserved=Amount(usd_micros=90))
OTHER = RunKey("t2", "r1")


def drift(at: Balance, *events: Message, before: Balance | None = None, **more: Any) -> list[Drift]:
    """Of an account of the tenant, with one run that has its budget."""
    states = {
        KEY: replay(journal(claimed(), *events)),
        OTHER: replay(journal(claimed(), *DONE)),
        RunKey("t1", "no"): replay(()),
    }
    settings = more.pop("settings", {KEY: spec_of(tenant={"usd": 1}).guards.budget})
    runtime = more.pop("runtime", {})
    return list(drifts({USD: at if before is None else before}, {USD: at}, states, settings=settings, runtime=runtime))


def test_a_counter_is_right_within_what_is_under_way() -> None:
    assert drift(Balance(70), *DONE) == []
    assert drift(Balance(70, 90), *DONE, OPEN) == []
    assert drift(Balance(140), *DONE, OPEN) == []
    assert drift(Balance(0, 70), *DONE) == []


def test_charges_that_are_lost_or_counted_twice_are_found_while_runs_go_on() -> None:
    (lost,) = drift(Balance(60, 9), *DONE, OPEN)
    assert (lost.least, lost.most) == (70, 160)
    assert lost.message == (
        "tenant-usd-2026-11 has counted $0.000060 and holds $0.000009; its runs have used between $0.000070 and $0.0002"
    )
    (twice,) = drift(Balance(140), *DONE)
    assert twice.message.endswith("its runs have used $0.000070")
    assert drift(Balance(140), *DONE, before=Balance(70)) == []


def test_a_run_whose_budget_was_set_while_it_went_on_may_have_used_more_than_was_counted() -> None:
    assert drift(Balance(10), *DONE, settings={}) == []
    assert drift(Balance(10), *DONE, settings={KEY: spec_of().guards.budget}) == []
    set_here = {cap_key("tenant", tenant="t1"): RuntimeCap(budget=SharedBudget(usd=2))}
    assert drift(Balance(10), *DONE, runtime=set_here) == []
    assert drift(Balance(140), *DONE, runtime=set_here) != []


def test_it_is_said_once_for_the_same_figures() -> None:
    (found,) = drift(Balance(140), *DONE)
    first, again = said(found, at=T0), said(found, at=T0)
    assert first == again
    assert (first.guard, first.action, first.value, first.threshold) == ("budget", "warn", 140, 70)


def test_each_counter_adds_up_the_runs_that_its_name_speaks_of() -> None:
    states = {KEY: replay(journal(claimed())), OTHER: replay(journal(claimed()))}
    names = {
        ("t1", "tenant-usd-2026-11"): {KEY},
        ("t1", "agent-a-model_calls-2026-11-21"): {KEY},
        ("_", "global-tool_calls-2026-11"): {KEY, OTHER},
        ("t1", "tenant-usd-2026-10"): set(),
        ("t1", "agent-b-usd-2026-11"): set(),
    }
    found = counters(dict.fromkeys(names, Balance(1, 2)), states)
    assert {(each.tenant, each.account): set(each.runs) for each in found} == names
    assert [each.unit for each in found] == ["usd_micros", "model_calls", "tool_calls", "", ""]
    assert (
        list(drifts({}, dict.fromkeys([(*USD[:1], "tenant-usd-2026-10")], Balance(1)), states, settings={}, runtime={}))
        == []
    )


@pytest.mark.parametrize(
    ("spent", "held", "says"),
    [(70, 0, []), (60, 0, ["lost"]), (140, 0, ["twice"]), (70, 5, ["held"]), (0, 70, ["lost", "held"])],
)
def test_at_rest_the_ledger_is_the_sum_of_the_journals(spent: int, held: int, says: list[str]) -> None:
    counter = Counter(*USD, "usd_micros", spent, held, frozenset({KEY, RunKey("t1", "unknown")}))
    found = check({KEY: journal(claimed(), *DONE)}, counters=[counter])
    assert [each.rule for each in found] == ["ledger"] * len(says)
    assert all(word in each.message for word, each in zip(says, found, strict=True))


def test_what_a_newer_version_wrote_is_not_added_up() -> None:
    newer = Stored(3, Record(v=2, id="i", owner="o1", events=(OPEN,)))
    counter = Counter(*USD, "usd_micros", 5, 0, frozenset({KEY}))
    assert check({KEY: (*journal(claimed()), newer)}, counters=[counter]) == ()
    none = Counter(*USD, "", 0, 0, frozenset())
    assert check({}, counters=[none]) == ()


def test_accounts_are_found_by_their_scope() -> None:
    every = {"of": None, "agent": None, "since": None}
    assert in_scope("t1", "tenant-usd-2026-11", **every)
    assert not in_scope("t1", "nonsense", **every)
    assert not in_scope("t1", "tenant-usd-2026-11", **{**every, "of": "t2"})
    assert in_scope("t1", "agent-a-usd-2026-11-21", **{**every, "agent": "a"})
    assert not in_scope("t1", "agent-a-usd-2026-11-21", **{**every, "agent": "b"})
    assert not in_scope("t1", "tenant-usd-2026-11", **{**every, "agent": "a"})
    assert in_scope("t1", "tenant-usd-2026-11", **{**every, "since": T0})
    assert not in_scope("t1", "tenant-usd-2026-11-20", **{**every, "since": T0})
    assert not in_scope("t1", "tenant-usd-2026-10", **{**every, "since": T0})
