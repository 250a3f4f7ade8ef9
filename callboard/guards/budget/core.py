"""Pure: may a call start, by what its run has used and may use; and what there is to say about that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from operator import add, ge, gt
from typing import Final, Literal, NamedTuple, TypeAlias

from callboard.actors.accounts import UNITS, ZERO, Tally, tally
from callboard.actors.allowance import MICROS, Bounds, caps_of, kept, overdraft
from callboard.actors.charges import most
from callboard.actors.gate import Ask, Refusal
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_words import Action
from callboard.bus.messages import Amount, Problem
from callboard.config.guards import BudgetSettings
from callboard.models.prices import price_of

GUARD: Final = "budget"
Scope: TypeAlias = Literal["run", "agent", "tenant", "global"]
TOOL: Final = Amount(tool_calls=1)
HELD_BY_A_TOOL: Final = tally(TOOL)
_TOOL_CALLS: Final = UNITS.index("tool_calls")
_TINY: Final = 100
"""Micro-dollars: less than that is nothing, in four digits."""
_WORDS: Final = {
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "model_calls": "model calls",
    "tool_calls": "tool calls",
}


@dataclass(frozen=True, slots=True)
class Over:
    """A cap that a call would exceed. ``used`` includes what is reserved, ``needs`` is the most the call may use."""

    scope: Scope
    unit: str
    used: int
    cap: int
    needs: int

    @property
    def message(self) -> str:
        """For people, and for the model."""
        whose = {"run": "this run", "agent": "this agent", "tenant": "this tenant", "global": "the deployment"}
        used, cap, needs = (shown(self.unit, each) for each in (self.used, self.cap, self.needs))
        return f"{whose[self.scope]} has used {used} of {cap}, and the next call may take {needs}"


@dataclass(frozen=True, slots=True)
class Notice:
    """So much of a cap is used that somebody should know."""

    scope: Scope
    unit: str
    used: int
    cap: int
    share: float

    @property
    def message(self) -> str:
        """For people."""
        part = f"{self.used / self.cap:.0%}"
        return f"{shown(self.unit, self.used)} of {shown(self.unit, self.cap)} is used ({part}, {self.scope})"

    @property
    def note(self) -> str:
        """For the model."""
        used, cap = shown(self.unit, self.used), shown(self.unit, self.cap)
        return f"You have {shown(self.unit, max(0, self.cap - self.used))} left: {used} of {cap} is used. Finish soon."


def unpriced(ask: Ask, *, shared: bool) -> Problem | None:
    """Why a call of a model without a known price must not start when there is a cap in dollars, or a shared one."""
    if ask.request is None or price_of(ask.request.model) is not None:
        return None
    if not shared and caps_of(ask.state, ask.spec.guards.budget).usd_micros is None:
        return None
    message = f"nobody knows what {ask.name!r} costs, and there is a budget in dollars"
    return Problem(kind="unknown_price", message=message, hint="set the model's price, or the budget's usd to null")


def needs(ask: Ask) -> Amount:
    """The most that the effect may use."""
    return TOOL if ask.request is None else most(ask.request, ask.state)


def over(ask: Ask, reserved: Amount, live: Tally = ZERO) -> Over | None:
    """The cap of its own that the run would exceed. ``live``: granted to it, and not in its journal yet."""
    settings, known = ask.spec.guards.budget, ask.state.calls.get(ask.call)
    if known is not None and known.status == "open" and known.attempt == ask.attempt:
        return None  # the same intent once more: it is in the books
    spent = ask.state.accounts.spent.plus(live) if live is not ZERO else ask.state.accounts.spent
    found = overdraft(spent, tally(reserved), caps_of(ask.state, settings), settings, wrap_up=ask.wrap_up)
    return None if found is None else Over("run", *found)


class Ease(NamedTuple):
    """How far a run may go without a word of its budget, unit by unit: before a call is refused, and a share spent."""

    free: Sequence[float]
    quiet: Sequence[float]


NO_EASE: Final = Ease((-1,) * len(UNITS), (-1,) * len(UNITS))


def ease_of(caps: Bounds, settings: BudgetSettings) -> Ease:
    """The ease that these caps leave. None of a budget that is shared: only its counters can tell."""
    if settings.is_shared:
        return NO_EASE
    first = _first_share(settings)
    return Ease(
        [inf if cap is None else cap - kept(unit, cap, settings) for unit, cap in zip(UNITS, caps, strict=True)],
        [inf if cap is None else first * cap for cap in caps],
    )


def at_ease(ease: Ease, spent: Tally, needs: Tally) -> bool:
    """Is there nothing to refuse and nothing to say? What ``over`` and ``notices`` find, at a tenth of their cost."""
    free, quiet = ease
    if needs.tool_calls:
        return spent[_TOOL_CALLS] + needs[_TOOL_CALLS] <= free[_TOOL_CALLS]
    return not any(map(gt, map(add, spent, needs), free)) and not any(map(ge, spent, quiet))


def refusal(found: Over, settings: BudgetSettings, *, wrap_up: bool) -> Refusal:
    """What the run is told. ``wrap_up``: this was the turn that wraps up, so it is over now."""
    level = "run" if found.scope == "run" else found.scope
    hint = f"raise guards.budget.{level}, or top it up: callboard budget top-up"
    problem = Problem(kind=GUARD, message=found.message, hint=hint)
    return Refusal(GUARD, problem, wrap_up=not (wrap_up or settings.hard))


def notices(spent: Tally, caps: Bounds, settings: BudgetSettings) -> Iterator[Notice]:
    """Every share of a cap of the run that is used up."""
    first = _first_share(settings)
    for unit, used, cap in zip(UNITS, spent, caps, strict=True):
        if cap is not None and used >= first * cap:
            yield from shares("run", unit, used=used, cap=cap, settings=settings)


def _first_share(settings: BudgetSettings) -> float:
    return min((*settings.warn_at, settings.steer_at))


def shares(scope: Scope, unit: str, *, used: int, cap: int, settings: BudgetSettings) -> Iterator[Notice]:
    """Every share of one cap that is used up."""
    for share in sorted({*settings.warn_at, settings.steer_at}):
        if cap and used >= share * cap:  # of nothing, as in an empty slice, there are no shares
            yield Notice(scope, unit, used, cap, share)


def event(ask: Ask, action: Action, said: Over | Notice, *, at: datetime, acted: bool, account: str = "") -> GuardEvent:
    """A verdict of the budget. The same one has the same id, whoever says it; ``account``: that of a shared budget."""
    about = (ask.key if said.scope == "run" else account, said.scope, said.unit, said.cap)
    mark = (ask.key, ask.call, ask.attempt) if isinstance(said, Over) else (said.share,)
    name = "/".join(map(str, (*about, *mark)))
    return GuardEvent(
        id=hashlib.sha256(name.encode()).hexdigest()[:32],
        at=at,
        guard=GUARD,
        action=action,
        mode=ask.spec.guards.budget.mode,
        acted=acted,
        reason=said.message,
        run=ask.key.run,
        agent=ask.spec.name,
        call=ask.call,
        sequence=ask.state.sequence,
        threshold=said.cap if isinstance(said, Over) else said.share,
        value=said.used,
        data={"scope": said.scope, "unit": said.unit, "cap": said.cap},
    )


def shown(unit: str, amount: int) -> str:
    """An amount for people."""
    if unit != "usd_micros":
        return f"{amount:,} {_WORDS[unit]}"
    digits = 2 if amount % 10_000 == 0 else 4 if amount >= _TINY else 6
    return f"${amount / MICROS:,.{digits}f}"
