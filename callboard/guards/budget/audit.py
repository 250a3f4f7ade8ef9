"""Pure: the budget beside the bus. Does what a run's journal says keep its caps, whatever its worker does?

The worker's gate keeps them, before a call starts; this looks at what came of it. A call that the gate should have
refused is said at once, and a run that goes on after it is killed: its worker has no gate, or a broken one. What the
worker judged by may be older than what stands before the intent, and then it counts for the worker.

Over a recorded journal, with other settings, the same judges ``instead`` of a gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

from callboard.actors.accounts import UNITS, ZERO, Tally, slice_tally, tally, used
from callboard.actors.allowance import Bounds, caps_of, overdraft
from callboard.actors.fold import EMPTY, fold
from callboard.actors.state import RunState
from callboard.bus.guard_words import Action, Missing
from callboard.bus.messages import (
    Amount,
    BudgetRaised,
    ChildFinished,
    Content,
    Event,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Record,
    RunCreated,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.config.guards import BudgetSettings
from callboard.config.times import duration
from callboard.guards.budget.burn import Charges, charged, lasts
from callboard.guards.budget.core import GUARD, TOOL, Over, notices, shown
from callboard.guards.kit import Guard, Seen, Verdict

_DOLLARS: Final = UNITS.index("usd_micros")
_MODEL_UNITS: Final = range(UNITS.index("tool_calls"))
_NOTHING: Final = Amount()
_NO_CAPS: Final = Bounds()
_EMPTY: Final = Content()
_SHORT: Final = 200


@dataclass(frozen=True, slots=True)
class Audit:
    """One run. ``over``: the entry with the first call that should not have started; 0: there is none.

    ``finished``: its model has answered since: there was nothing more to come. ``told``: what was said.
    """

    run: RunState = EMPTY
    caps: Bounds = Bounds()
    over: int = 0
    finished: bool = False
    killed: bool = False
    told: frozenset[str] = frozenset()
    charges: Charges = ()


class BudgetGuard(Guard[Audit]):
    """``beside`` a worker's gate it says what the gate does not know or did not do; ``instead`` of one, what it would.

    Beside: only ``enforce`` refuses calls, and the turn that wraps up may use what is kept for it.
    """

    name: ClassVar[str] = GUARD
    missing: ClassVar[Missing] = "open"

    def __init__(self, settings: BudgetSettings, *, role: Literal["beside", "instead"] = "beside") -> None:
        self._settings = settings
        self._instead = role == "instead"

    def start(self, run: RunKey) -> Audit:  # noqa: ARG002 - all runs begin alike
        """Nothing is used."""
        return Audit()

    def observe(self, state: Audit, seen: Seen) -> tuple[Audit, Sequence[Verdict]]:
        """The books go on as they are recorded, whatever is said."""
        before = state.run
        # several events of an entry are folded one by one; a steer or a raise counts once by the id of its record
        identity = f"{seen.record[:56]}-{seen.place}" if seen.place else seen.record or "-"
        record = Record(id=identity, owner=seen.owner, events=(_slim(seen.event),))
        run = fold(before.evolve(sequence=seen.sequence - 1, turns=()), seen.sequence, record)
        if run.accounts is before.accounts and run.created is before.created:
            return replace(state, run=run), ()
        known = run.created is before.created and run.accounts.raised is before.accounts.raised
        caps = state.caps if known else caps_of(run, self._settings)
        if caps == _NO_CAPS:
            return replace(state, run=run, caps=caps), ()
        said: list[Verdict] = []
        over, finished, killed = self._asked(state, seen, said)
        state = Audit(run, caps, over, finished, killed, state.told, state.charges)
        told = self._booked(state, before, seen, said)
        charges, told = self._burning(state, told, before, seen, said)
        return Audit(run, caps, over, finished, killed, told, charges), said

    # ---- a call starts ------------------------------------------------------------------------------------------
    def _asked(self, state: Audit, seen: Seen, said: list[Verdict]) -> tuple[int, bool, bool]:
        """``over``, ``finished`` and ``killed`` as they are after this event."""
        event, over, finished, killed = seen.event, state.over, state.finished, state.killed
        if isinstance(event, BudgetRaised):
            return 0, False, killed
        if isinstance(event, ModelResponded):
            return over, over > 0, killed
        if not isinstance(event, ModelRequested | ToolRequested) or killed or _again(state.run, event, seen.owner):
            return over, finished, killed
        if not self._instead and self._settings.mode != "enforce":
            return over, finished, killed
        found = self._overdraft(state, event)
        if finished or (found is not None and 0 < over < seen.sequence):
            said.append(Verdict("kill", self._went_on(event.call), evidence=(over, seen.sequence)))
            return over, finished, True
        if found is None or over:
            return over, finished, killed
        said.append(self._refused(found, event.call, seen.sequence))
        return seen.sequence, finished, self._settings.hard

    def _overdraft(self, state: Audit, event: ModelRequested | ToolRequested) -> Over | None:
        wanted = tally(TOOL) if isinstance(event, ToolRequested) else tally(event.reserved)._replace(model_calls=1)
        run = state.run
        wrap_up = not self._instead and isinstance(event, ModelRequested) and event.wrap_up
        spent = run.accounts.spent if self._instead else _at_least(run, event)
        found = overdraft(spent, wanted, state.caps, self._settings, wrap_up=wrap_up)
        return None if found is None else Over("run", *found)

    def _refused(self, found: Over, call: str, sequence: int) -> Verdict:
        reason = found.message if self._instead else f"{found.message}: {call} has started all the same"
        action: Action = "kill" if self._settings.hard else "deny"
        return Verdict(
            action, reason, evidence=(sequence,), call=call, threshold=found.cap, value=found.used,
            data={"unit": found.unit},
        )  # fmt: skip

    def _went_on(self, call: str) -> str:
        if self._instead:
            return "its budget is used up: it would have ended here, with a partial result"
        return f"its budget is used up, and its worker lets it go on with {call}"

    # ---- a call ends -----------------------------------------------------------------------------------------------
    def _booked(self, state: Audit, before: RunState, seen: Seen, said: list[Verdict]) -> frozenset[str]:
        """What there is to say about the books, each of it once."""
        told = state.told
        for mark, verdict in self._statements(state.run, before, state.caps, seen):
            if mark not in told:
                told |= {mark}
                said.append(verdict)
        return told

    def _statements(self, run: RunState, before: RunState, caps: Bounds, seen: Seen) -> Iterator[tuple[str, Verdict]]:
        if self._instead:
            for notice in notices(run.accounts.spent, caps, self._settings):
                action: Action = "nudge" if notice.share >= self._settings.steer_at else "warn"
                verdict = Verdict(action, notice.message, threshold=notice.share, value=notice.used)
                yield f"{notice.unit}/{notice.share}", verdict
            return
        yield from _unreserved(before, seen, caps)
        yield from _underestimated(before, seen, caps)
        for unit, cap, spent in zip(UNITS, caps, _settled(run), strict=True):
            if cap is not None and spent > cap:
                reason = f"it has used {shown(unit, spent)}, and its cap is {shown(unit, cap)}"
                verdict = Verdict("warn", reason, evidence=(seen.sequence,), threshold=cap, value=spent)
                yield f"above/{unit}/{cap}", verdict

    # ---- and how fast ----------------------------------------------------------------------------------------------
    def _burning(
        self, state: Audit, told: frozenset[str], before: RunState, seen: Seen, said: list[Verdict]
    ) -> tuple[Charges, frozenset[str]]:
        """Warn when its dollars will be used up soon, once for each time that is set."""
        run, within, soonest = state.run, self._settings.burn_within, None
        cap, now = state.caps.usd_micros, run.accounts.settled.usd_micros
        if cap is None or (run.created is before.created and now == before.accounts.settled.usd_micros):
            return state.charges, told
        charges = charged(state.charges, seen.at, now, within=within)
        left = cap - run.accounts.spent.usd_micros
        for each in sorted(within, reverse=True):
            mark, seconds = f"burn/{each}/{cap}", lasts(charges, left, within=each)
            if seconds is not None and mark not in told:
                told |= {mark}
                soonest = (each, seconds)
        if soonest is not None:
            reason = f"at its present rate its {shown('usd_micros', cap)} will be used up in {duration(soonest[1])}"
            threshold, value = soonest[0], round(soonest[1], 1)
            said.append(Verdict("warn", reason, evidence=(seen.sequence,), threshold=threshold, value=value))
        return charges, told


def _slim(event: Event) -> Event:
    """Without what the books do not need: a guard process keeps the state of thousands of runs."""
    if isinstance(event, RunCreated):
        return event.model_copy(update={"input": _EMPTY, "spec": None})
    if isinstance(event, ModelResponded):
        return event if _short(event.text) else event.model_copy(update={"text": _EMPTY})
    if isinstance(event, ToolReturned | ChildFinished):
        return event if _short(event.result) else event.model_copy(update={"result": _EMPTY})
    return event


def _short(content: Content) -> bool:
    return content.value is None or (isinstance(content.value, str) and len(content.value) < _SHORT)


def _again(before: RunState, event: ModelRequested | ToolRequested, owner: str) -> bool:
    """Is it the same intent once more? Then it is in the books."""
    known = before.calls.get(event.call)
    return known is not None and known.status == "open" and (known.owner, known.attempt) == (owner, event.attempt)


def _at_least(run: RunState, event: ModelRequested | ToolRequested) -> Tally:
    """What the worker knew to be used when it let the call start.

    A child that is over may have told so since, and used more than its slice; while steps wait for their intents,
    their function may spawn.
    """
    own = run.accounts.own
    if isinstance(event, ToolRequested):
        return own
    for name, child in run.children.items():
        held, told = slice_tally(child.budget), run.finished.get(name)
        own = own.plus(held if told is None else Tally(*map(min, held, tally(told.spent))))
    return own


def _settled(run: RunState) -> Tally:
    """With what its children have used that are over."""
    own = run.accounts.settled
    for told in run.finished.values():
        own = own.plus(tally(told.spent))
    return own


def _unreserved(before: RunState, seen: Seen, caps: Bounds) -> Iterator[tuple[str, Verdict]]:
    event = seen.event
    if not isinstance(event, ModelRequested) or event.reserved != _NOTHING:
        return
    if any(caps[at] is not None for at in _MODEL_UNITS) and not _again(before, event, seen.owner):
        reason = f"{event.call} has started and nothing is reserved for it: its worker does not ask the budget"
        yield "unreserved", Verdict("warn", reason, evidence=(seen.sequence,), call=event.call)


def _underestimated(before: RunState, seen: Seen, caps: Bounds) -> Iterator[tuple[str, Verdict]]:
    event = seen.event
    if not isinstance(event, ModelResponded | ModelFailed):
        return
    held, cost = before.accounts.pending.get(event.call, (0, ZERO))[1], used(event.usage)
    if not any(held):
        return
    for at in _MODEL_UNITS:
        if caps[at] is not None and cost[at] > held[at]:
            unit, call = UNITS[at], before.calls[event.call]
            reason = f"{event.call} used {shown(unit, cost[at])}, and {shown(unit, held[at])} was reserved for it"
            evidence = (call.sequence, seen.sequence)
            yield "underestimated", Verdict("observe", reason, evidence=evidence, call=event.call)
