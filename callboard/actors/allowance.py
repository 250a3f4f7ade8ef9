"""Pure: what a run may use, what is left of it, and the slices that its children get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from callboard.actors.accounts import UNITS, Tally
from callboard.actors.state import RunState
from callboard.bus.messages import ChildSpawned, OwnerEvent
from callboard.bus.values import Caps
from callboard.config.guards import BudgetSettings, RunBudget, SharedBudget

MICROS = 1_000_000
_TOOL_CALLS = UNITS.index("tool_calls")


class Bounds(NamedTuple):
    """At most so much of each unit, as in ``Tally``; None: no cap."""

    usd_micros: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    model_calls: int | None = None
    tool_calls: int | None = None


class Overdraft(NamedTuple):
    """A cap that a call would exceed: ``used`` so far, with what is reserved, and what the call ``needs`` at most."""

    unit: str
    used: int
    cap: int
    needs: int


def bounds(budget: RunBudget | SharedBudget) -> Bounds:
    """A budget's caps in the units of the books."""
    usd = None if budget.usd is None else round(budget.usd * MICROS)
    return Bounds(usd, budget.input_tokens, budget.output_tokens, budget.model_calls, budget.tool_calls)


def caps_of(state: RunState, settings: BudgetSettings) -> Bounds:
    """What the run may use: its own cap or its parent's slice, whichever is less, and what either was raised by."""
    given = state.created.budget if state.created is not None else None
    own, more = bounds(settings.run), state.accounts.raised
    if given is None and not any(more):
        return own
    slices = Bounds(*(getattr(given, unit, None) for unit in UNITS))
    return Bounds(*(_least(cap, part, plus) for cap, part, plus in zip(own, slices, more, strict=True)))


def kept(unit: str, cap: int, settings: BudgetSettings) -> int:
    """What of a cap only the turn that wraps up may use: a share of money and tokens, one model call."""
    if settings.hard or unit == "tool_calls":
        return 0
    return int(cap > 1) if unit == "model_calls" else int(cap * settings.wrap_up)


def overdraft(
    spent: Tally, needs: Tally, caps: Bounds, settings: BudgetSettings, *, wrap_up: bool = False
) -> Overdraft | None:
    """The cap that a call would exceed. A tool call counts as one, and as nothing else; a model call as the rest."""
    units = (_TOOL_CALLS,) if needs.tool_calls else range(_TOOL_CALLS)
    for at in units:
        cap, unit = caps[at], UNITS[at]
        if cap is not None and spent[at] + needs[at] > cap - (0 if wrap_up else kept(unit, cap, settings)):
            return Overdraft(unit, spent[at], cap, needs[at])
    return None


def slice_of(state: RunState, settings: BudgetSettings, children: int) -> Caps | None:
    """What each of ``children`` gets that are spawned together: their parent keeps as much as each of them.

    None: the run has no caps. The share for the turn that wraps up is not given away.
    """
    shares: dict[str, int] = {}
    for unit, cap, spent in zip(UNITS, caps_of(state, settings), state.accounts.spent, strict=True):
        if cap is not None:
            left = max(0, cap - kept(unit, cap, settings) - spent)
            shares[unit] = max(left // (children + 1), min(1, left // children))
    return Caps(**shares) if shares else None


def sliced(events: Sequence[OwnerEvent], state: RunState, settings: BudgetSettings) -> tuple[OwnerEvent, ...]:
    """``events`` with a slice for each child that they spawn."""
    together = sum(isinstance(event, ChildSpawned) for event in events)
    share = slice_of(state, settings, together) if together else None
    if share is None:
        return tuple(events)
    update = {"budget": share}
    return tuple(event.model_copy(update=update) if isinstance(event, ChildSpawned) else event for event in events)


def _least(cap: int | None, part: int | None, more: int) -> int | None:
    known = [each for each in (cap, part) if each is not None]
    return min(known) + more if known else None
