"""Shell: budgets seen from outside: what runs cost, what the shared accounts say, caps that are set at run time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from callboard.actors.allowance import MICROS
from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.bus.bus import Bus
from callboard.bus.messages import Amount, BudgetRaised, Record
from callboard.bus.ports import Balance
from callboard.bus.subjects import RunKey, token
from callboard.config.guards import BudgetSettings, SharedBudget
from callboard.errors import ConfigError, StaleAppend
from callboard.guards.backtest import spec_of
from callboard.guards.budget.core import Scope
from callboard.guards.budget.costs import Line, cost_of
from callboard.guards.budget.counters import Drift, Name, drifts, said
from callboard.guards.budget.scopes import (
    CAPS,
    Key,
    RuntimeCap,
    accounts_of,
    cap_key,
    in_scope,
    parse_cap,
    period_of,
)
from callboard.guards.sidecar.judge import created_in


@dataclass(frozen=True, slots=True)
class SharedScope:
    """Whose budget: a tenant's, everybody's (``global``), or those of one of a tenant's agents."""

    scope: Scope
    tenant: str = "default"
    agent: str = ""

    @property
    def key(self) -> Key:
        """Where its cap lies in the bucket."""
        return cap_key(self.scope, tenant=self.tenant, agent=self.agent)

    @classmethod
    def parse(cls, text: str, *, tenant: str) -> SharedScope | None:
        """``tenant``, ``global`` or ``agent:NAME``; None for anything else."""
        kind, colon, name = text.partition(":")
        match kind:
            case "agent" if colon:
                return cls("agent", token(tenant, "tenant"), token(name, "agent"))
            case "tenant" if not colon:
                return cls("tenant", token(tenant, "tenant"))
            case "global" if not colon:
                return cls("global")
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Filter:
    """Of which runs: of a tenant, of an agent, one run, those created ``since``; None: all."""

    tenant: str | None = None
    agent: str | None = None
    run: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SharedAccount:
    """An account of the ledger. ``cap`` is what the youngest run may use of it, with what was set at run time."""

    tenant: str
    name: str
    at: Balance
    cap: int | None

    @property
    def left(self) -> int | None:
        """For calls that have not started; None: there is no cap any more."""
        return None if self.cap is None else max(0, self.cap - self.at.spent - self.at.held)


async def costs(bus: Bus, only: Filter) -> tuple[list[Line], list[SharedAccount]]:
    """What runs used, by model and tool, and the accounts that they share."""
    lines: list[Line] = []
    runtime = await caps(bus)
    known: dict[Name, tuple[datetime, int]] = {}
    keys = [entry.key async for entry in bus.scan(only.tenant)]
    for key in keys:
        if only.run not in (None, key.run):
            continue
        entries = await bus.journals.read(key)
        cost = cost_of(key, entries)
        created = created_in(entries)
        if created is not None:
            budget = spec_of(created).guards.budget
            for each in accounts_of(key, created.agent, budget, runtime, created=created.at):
                name = (each.tenant, each.name)
                known[name] = max((created.at, each.cap), known.get(name, (created.at, each.cap)))
        if only.since is None or (cost.created is not None and cost.created >= only.since):
            lines += [line for line in cost.lines if only.agent in (None, line.agent)]
    shared = [
        SharedAccount(*name, at, known[name][1] if name in known else None)
        for name, at in sorted((await bus.ledger.accounts()).items())
        if only.run is None and in_scope(*name, of=only.tenant, agent=only.agent, since=only.since)
    ]
    return lines, shared


async def compare(bus: Bus) -> tuple[int, tuple[Drift, ...]]:
    """Compare the counters of this day and month with the journals: how many there are, and those that are wrong.

    What is wrong is said on the bus too.
    """
    now = bus.clock.now()
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    runtime, before = await caps(bus), await _balances(bus, now)
    keys = [entry.key async for entry in bus.scan() if entry.at >= month]
    states: dict[RunKey, RunState] = {}
    settings: dict[RunKey, BudgetSettings] = {}
    for key in keys if before else ():
        state = replay(await bus.journals.read(key))
        states[key] = state
        if state.created is not None:
            settings[key] = spec_of(state.created).guards.budget
    after = {name: at for name, at in (await _balances(bus, now)).items() if name in before}
    found = tuple(drifts(before, after, states, settings=settings, runtime=runtime))
    for each in found:
        await bus.guard_log.publish(each.tenant, said(each, at=now))
    return len(before), found


async def _balances(bus: Bus, now: datetime) -> Mapping[Name, Balance]:
    """The accounts of this day and this month."""
    return {
        name: at
        for name, at in (await bus.ledger.accounts()).items()
        if in_scope(*name, of=None, agent=None, since=now)
    }


async def caps(bus: Bus) -> Mapping[Key, RuntimeCap]:
    """What was set at run time."""
    found = {key: parse_cap(value.value) for key, value in (await bus.states.all(CAPS)).items()}
    return {key: cap for key, cap in found.items() if cap is not None}


async def set_cap(bus: Bus, scope: SharedScope, budget: SharedBudget | None) -> RuntimeCap:
    """From now on ``budget`` holds for a scope, whatever is configured; None: what is configured."""
    return await _change(bus, scope, lambda cap: cap.model_copy(update={"budget": budget}))


async def top_up(bus: Bus, scope: SharedScope, more: Amount) -> RuntimeCap:
    """A scope may use so much more today, if its budget is one per day, or this month, if it is one per month."""
    now = bus.clock.now()

    def raised(cap: RuntimeCap) -> RuntimeCap:
        periods = {period: _sum(cap.more.get(period, Amount()), more) for period in _periods(now)}
        return cap.model_copy(update={"more": periods})  # what was added to other periods is of no use any more

    return await _change(bus, scope, raised)


async def top_up_run(bus: Bus, key: RunKey, more: Amount, *, by: str) -> None:
    """A run that waits or is under way may use so much more. Raises ``ConfigError`` for one that cannot."""
    state = replay(await bus.journals.read(key))
    if state.created is None:
        raise ConfigError(f"there is no run {key.run!r} of tenant {key.tenant!r} that has begun: nothing to top up")
    if state.terminal is not None:
        raise ConfigError(f"run {key.run!r} is over ({state.status}): submit its task again, with a larger budget")
    record = Record(id=bus.clock.new_id(), at=bus.clock.now(), events=(BudgetRaised(more=more, by=by),))
    await bus.journals.signal(key, record)


def amount(
    *,
    usd: float | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    model_calls: int | None = None,
    tool_calls: int | None = None,
) -> Amount:
    """An amount of what was given."""
    return Amount(
        usd_micros=round((usd or 0.0) * MICROS),
        input_tokens=input_tokens or 0,
        output_tokens=output_tokens or 0,
        model_calls=model_calls or 0,
        tool_calls=tool_calls or 0,
    )


async def _change(bus: Bus, scope: SharedScope, change: Callable[[RuntimeCap], RuntimeCap]) -> RuntimeCap:
    while True:
        found = await bus.states.get(*scope.key)
        cap = change((found and parse_cap(found.value)) or RuntimeCap())
        try:
            value = cap.model_dump_json(exclude_defaults=True).encode()
            await bus.states.put(*scope.key, value=value, expect=found.revision if found else 0)
        except StaleAppend:  # somebody else was faster
            continue
        return cap


def _periods(now: datetime) -> tuple[str, str]:
    return period_of(now, "day"), period_of(now, "month")


def _sum(left: Amount, right: Amount) -> Amount:
    return Amount(**{unit: getattr(left, unit) + getattr(right, unit) for unit in Amount.model_fields})
