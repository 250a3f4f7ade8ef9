"""Pure: do the counters of shared budgets say what the journals say?

A counter is changed before its journal when a call starts, and before it when it ends; so what goes on can be told
apart from what is wrong only within bounds. At rest both are the same (``history.check``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from callboard.actors.accounts import UNITS
from callboard.actors.history import Counter
from callboard.actors.state import RunState
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.ports import Balance
from callboard.bus.subjects import RunKey
from callboard.config.guards import BudgetSettings, Period
from callboard.guards.budget.core import GUARD, shown
from callboard.guards.budget.scopes import EVERYBODY, Key, RuntimeCap, account_name, accounts_of, cap_key, period_of

Name = tuple[str, str]
"""Of an account: its tenant, and what it is called."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter that lost charges, or has some twice: ``counted``, and what it should have at least and at most."""

    tenant: str
    account: str
    unit: str
    counted: Balance
    least: int
    most: int

    @property
    def message(self) -> str:
        """For people."""
        spent, held = shown(self.unit, self.counted.spent), shown(self.unit, self.counted.held)
        least, most = shown(self.unit, self.least), shown(self.unit, self.most)
        between = least if least == most else f"between {least} and {most}"
        return f"{self.account} has counted {spent} and holds {held}; its runs have used {between}"


def said(drift: Drift, *, at: datetime) -> GuardEvent:
    """A warning of it; the same one has the same id."""
    name = f"{drift.tenant}/{drift.account}/{drift.counted}/{drift.least}/{drift.most}"
    return GuardEvent(
        id=hashlib.sha256(name.encode()).hexdigest()[:32],
        at=at,
        guard=GUARD,
        action="warn",
        reason=drift.message,
        threshold=drift.most,
        value=drift.counted.spent + drift.counted.held,
        data={"account": drift.account, "unit": drift.unit},
    )


def counters(balances: Mapping[Name, Balance], states: Mapping[RunKey, RunState]) -> tuple[Counter, ...]:
    """The counters for ``history.check``, each with the runs that it adds up: those that its name speaks of."""
    runs: dict[Name, set[RunKey]] = {}
    units: dict[Name, str] = {}
    for key, state in states.items():
        for tenant, account, unit in _possible(key, state):
            runs.setdefault((tenant, account), set()).add(key)
            units[tenant, account] = unit
    return tuple(
        Counter(
            tenant,
            account,
            units.get((tenant, account), ""),
            at.spent,
            at.held,
            frozenset(runs.get((tenant, account), ())),
        )
        for (tenant, account), at in balances.items()
    )


def drifts(
    before: Mapping[Name, Balance],
    after: Mapping[Name, Balance],
    states: Mapping[RunKey, RunState],
    *,
    settings: Mapping[RunKey, BudgetSettings],
    runtime: Mapping[Key, RuntimeCap],
) -> Iterator[Drift]:
    """The counters that were wrong while runs go on. ``before`` the journals were read, and ``after``.

    What a counter should have at least is only known of runs that have its budget in their ``settings``: one that was
    set at run time began, and ends, in the middle of some.
    """
    for counter in counters(after, states):
        name = (counter.tenant, counter.account)
        if not counter.unit:
            continue
        unit = UNITS.index(counter.unit)
        charged = {key for key in counter.runs if name in _charged(key, states[key], settings.get(key), runtime)}
        least = sum(states[key].accounts.settled[unit] for key in charged)
        most = sum(states[key].accounts.own[unit] for key in counter.runs)
        low, high = after[name], before.get(name, Balance())
        if low.spent + low.held < least or high.spent > most:
            yield Drift(*name, counter.unit, low, least, most)


def _possible(key: RunKey, state: RunState) -> Iterator[tuple[str, str, str]]:
    """Every account that the run may be charged to, and its unit."""
    if state.created is None:
        return
    agent, periods = state.created.agent, get_args(Period)
    for per in periods:
        period = period_of(state.created.at, per)
        for unit in UNITS:
            yield key.tenant, account_name("agent", unit, period, agent), unit
            yield key.tenant, account_name("tenant", unit, period), unit
            yield EVERYBODY, account_name("global", unit, period), unit


def _charged(
    key: RunKey, state: RunState, settings: BudgetSettings | None, runtime: Mapping[Key, RuntimeCap]
) -> frozenset[Name]:
    """The accounts that it was charged to from its beginning, for sure."""
    if state.created is None or settings is None:
        return frozenset()
    agent = state.created.agent
    found = accounts_of(key, agent, settings, {}, created=state.created.at)
    return frozenset(
        (each.tenant, each.name) for each in found if cap_key(each.scope, tenant=key.tenant, agent=agent) not in runtime
    )
