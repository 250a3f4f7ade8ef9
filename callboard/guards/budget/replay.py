"""Pure: a run's budget over a recorded journal, for back-tests: the caps of the run, and no shared ones.

Live, the worker asks before it writes an intent. Here the intent is written already, so it is judged as if it were not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from callboard.actors.accounts import UNITS, Tally, tally
from callboard.actors.allowance import caps_of, kept
from callboard.actors.fold import EMPTY, fold
from callboard.actors.state import RunState
from callboard.bus.guard_words import Action, Missing
from callboard.bus.messages import ModelRequested, ModelResponded, Record, ToolRequested
from callboard.bus.subjects import RunKey
from callboard.config.guards import BudgetSettings
from callboard.guards.budget.core import GUARD, Notice, Over, notices
from callboard.guards.kit import Guard, Seen, Verdict

_TOOL: Final = Tally(tool_calls=1)
_TOOL_UNIT: Final = UNITS.index("tool_calls")


@dataclass(frozen=True, slots=True)
class Replayed:
    """``denied``: a call would not have started; ``wrapped``: nor anything behind the turn after that."""

    run: RunState = EMPTY
    told: frozenset[tuple[str, float]] = frozenset()
    denied: bool = False
    wrapped: bool = False


class BudgetReplay(Guard[Replayed]):
    """Warns and nudges at its shares, denies what is over a cap, and ends the run after the turn that wraps up."""

    name: ClassVar[str] = GUARD
    missing: ClassVar[Missing] = "closed"

    def __init__(self, settings: BudgetSettings) -> None:
        self._settings = settings

    def start(self, run: RunKey) -> Replayed:  # noqa: ARG002 - all runs begin alike
        """Nothing is used."""
        return Replayed()

    def observe(self, state: Replayed, seen: Seen) -> tuple[Replayed, Sequence[Verdict]]:
        """The books go on as they are recorded, whatever is said."""
        state, said = self._asked(state, seen)
        record = Record(id=seen.record or "-", owner=seen.owner, events=(seen.event,))
        run = fold(state.run, state.run.sequence + 1, record)
        wrapped = state.wrapped or (state.denied and isinstance(seen.event, ModelResponded))
        state = replace(state, run=run, wrapped=wrapped)
        found = [each for each in self._notices(run) if (each.unit, each.share) not in state.told]
        told = state.told.union((each.unit, each.share) for each in found)
        return replace(state, told=told), (*said, *map(self._noticed, found))

    def _asked(self, state: Replayed, seen: Seen) -> tuple[Replayed, Sequence[Verdict]]:
        event = seen.event
        if not isinstance(event, ModelRequested | ToolRequested):
            return state, ()
        if state.wrapped:
            verdict = Verdict("kill", "its budget is used up: it would have ended here, with a partial result")
            return state, (verdict,)
        found = None if state.denied else self._over(state.run, event)
        if found is None:
            return state, ()
        action: Action = "kill" if self._settings.hard else "deny"
        verdict = Verdict(action, found.message, call=event.call, threshold=found.cap, value=found.used)
        return replace(state, denied=True), (verdict,)

    def _over(self, run: RunState, event: ModelRequested | ToolRequested) -> Over | None:
        """The cap that the call would exceed, as the worker would judge it."""
        known = run.calls.get(event.call)
        if known is not None and known.status == "open" and known.attempt == event.attempt:
            return None  # the same intent once more: it is in the books
        model = isinstance(event, ModelRequested)
        wanted = tally(event.reserved)._replace(model_calls=1) if isinstance(event, ModelRequested) else _TOOL
        spent, caps = run.accounts.spent, caps_of(run, self._settings)
        for at in range(_TOOL_UNIT) if model else (_TOOL_UNIT,):
            cap, unit = caps[at], UNITS[at]
            if cap is not None and spent[at] + wanted[at] > cap - kept(unit, cap, self._settings):
                return Over("run", unit, spent[at], cap, wanted[at])
        return None

    def _notices(self, run: RunState) -> Sequence[Notice]:
        return tuple(notices(run.accounts.spent, caps_of(run, self._settings), self._settings))

    def _noticed(self, notice: Notice) -> Verdict:
        action: Action = "nudge" if notice.share >= self._settings.steer_at else "warn"
        return Verdict(action, notice.message, threshold=notice.share, value=notice.used)
