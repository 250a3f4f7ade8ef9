"""Pure: which accounts of the ledger a run is charged to, and what their caps are.

A run counts in the day or month (UTC) in which it was created, to its end: whoever settles it finds the same account.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from pydantic import Field, ValidationError

from callboard.actors.accounts import UNITS, Tally
from callboard.actors.allowance import bounds, kept
from callboard.bus.messages import Amount
from callboard.bus.subjects import RunKey
from callboard.bus.values import Message
from callboard.config.guards import BudgetSettings, Period, SharedBudget
from callboard.guards.budget.core import Scope

EVERYBODY: Final = "_"
CAPS: Final = "cap"
"""Head of the keys under which caps lie that were set at run time."""
_LONGEST: Final = 24
_ACCOUNT: Final = re.compile(r"(?:agent-.+|tenant|global)-(?P<unit>[a-z_]+)-(?P<period>\d{4}-\d\d(?:-\d\d)?)")
Key: TypeAlias = tuple[str, ...]


class RuntimeCap(Message):
    """What somebody set while the deployment runs: a budget instead of the configured one, and more for a period."""

    budget: SharedBudget | None = None
    more: dict[str, Amount] = Field(default_factory=dict[str, Amount])
    """By period: ``2026-11``, ``2026-11-21``."""


@dataclass(frozen=True, slots=True)
class Account:
    """One unit of one shared budget in one period. ``unit`` is its place in ``UNITS``."""

    scope: Scope
    tenant: str
    name: str
    unit: int
    cap: int
    limit: int
    """What is left of the cap for calls that do not wrap up."""


def cap_key(scope: Scope, *, tenant: str, agent: str = "") -> Key:
    """Where the cap of a shared budget lies that was set at run time."""
    match scope:
        case "agent":
            return (CAPS, tenant, "agent", agent)
        case "global":
            return (CAPS, EVERYBODY, "global")
        case _:
            return (CAPS, tenant, scope)


def parse_cap(value: bytes) -> RuntimeCap | None:
    """A value of the bucket; None if it is none of ours."""
    try:
        return RuntimeCap.model_validate_json(value)
    except ValidationError:
        return None


def period_of(at: datetime, per: Period) -> str:
    """The period of an instant, as it stands in the names of accounts."""
    return f"{at:%Y-%m}" if per == "month" else f"{at:%Y-%m-%d}"


def account_name(scope: Scope, unit: str, period: str, agent: str = "") -> str:
    """The name of an account: ``tenant-usd-2026-11``, ``agent-writer-model_calls-2026-11-21``."""
    if len(agent) > _LONGEST:
        agent = hashlib.sha256(agent.encode()).hexdigest()[:_LONGEST]
    parts = (scope, *((agent,) if scope == "agent" else ()), "usd" if unit == "usd_micros" else unit, period)
    return "-".join(parts)


def in_scope(tenant: str, name: str, *, of: str | None, agent: str | None, since: datetime | None) -> bool:
    """Is it an account of the tenant ``of``, of the agent, of a period that was not over ``since`` (None: of any)?"""
    found = _ACCOUNT.fullmatch(name)
    if found is None or of not in (None, tenant):
        return False
    unit, period = found["unit"], found["period"]
    mine = agent is None or name == account_name("agent", unit, period, agent)
    return mine and (since is None or period >= f"{since:%Y-%m-%d}"[: len(period)])


def accounts_of(
    key: RunKey, agent: str, settings: BudgetSettings, runtime: Mapping[Key, RuntimeCap], *, created: datetime
) -> tuple[Account, ...]:
    """The accounts that a run is charged to, the narrowest scope first."""
    configured: tuple[tuple[Scope, SharedBudget | None], ...] = (
        ("agent", settings.agent),
        ("tenant", settings.tenant),
        ("global", settings.everybody),
    )
    found: list[Account] = []
    for scope, written in configured:
        set_here = runtime.get(cap_key(scope, tenant=key.tenant, agent=agent), RuntimeCap())
        budget = set_here.budget or written
        if budget is None:
            continue
        period = period_of(created, budget.per)
        more = set_here.more.get(period, Amount())
        for at, (unit, bound) in enumerate(zip(UNITS, bounds(budget), strict=True)):
            if bound is not None:
                cap = bound + int(getattr(more, unit))
                name = account_name(scope, unit, period, agent)
                tenant = EVERYBODY if scope == "global" else key.tenant
                found.append(Account(scope, tenant, name, at, cap, cap - kept(unit, cap, settings)))
    return tuple(found)


def owed(marks: tuple[Tally, ...], claims: int, own: Tally) -> tuple[tuple[int, Tally], ...]:
    """What each claim of a run used, by its number, the last one first, back to one that used anything.

    Those before that one are settled: its owner saw to that before its first call.
    """
    used: list[tuple[int, Tally]] = []
    after = own
    for back, mark in enumerate(reversed(marks)):
        used.append((claims - back, after.minus(mark)))
        after = mark
        if back and any(used[-1][1]):
            break
    return tuple(used)
