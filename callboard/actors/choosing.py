"""Pure: which of an agent's models a call asks, of those that may answer: as the configuration has them, or by price.

An entry is a model's place in ``AgentSpec.models``. Each call begins at the front, so all go back to the first model
as soon as no guard refuses it and no call finds it broken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from callboard.actors.asking import put_off
from callboard.actors.charges import most
from callboard.actors.gate import Refusal
from callboard.actors.state import Call, RunState
from callboard.bus.messages import ModelResponded
from callboard.bus.values import Purpose
from callboard.config.spec import AgentSpec, provider_of
from callboard.models.port import ChatRequest
from callboard.models.prices import price_of

_NOBODY: Final = frozenset[int]()


def candidates(
    state: RunState,
    spec: AgentSpec,
    call: str,
    *,
    attempt: int,
    absent: AbstractSet[int] = _NOBODY,
    purpose: Purpose = "turn",
) -> tuple[int, ...]:
    """The entries to ask in their order, at least one; those that the call has left are not among them.

    A run stays with the provider whose own blocks it carries, if it can; a summary is another matter. ``absent``: those
    that its worker cannot ask.
    """
    known = state.calls.get(call)
    if known is not None and known.status == "open" and known.attempt == attempt:
        return known.asked[-1:]  # its intent is written already
    gone = _NOBODY if known is None else known.barred if put_off(state) else known.barred | known.left
    there = [entry for entry in _entries(spec, purpose) if entry not in absent]
    entries = [entry for entry in there if entry not in gone]
    if purpose == "turn":
        home = _home(state)
        entries.sort(key=lambda entry: spec.models[entry].provider != home)
    return tuple(entries) or tuple(there[:1])


def cheapest(entries: Sequence[int], request: ChatRequest, state: RunState, spec: AgentSpec) -> tuple[int, ...]:
    """``entries`` by the most that ``request`` may cost with each; those whose price nobody knows come last.

    The provider that the run stays with comes first as well.
    """
    home = _home(state)

    def rank(entry: int) -> tuple[bool, bool, int]:
        choice = spec.models[entry]
        dollars = most(replace(request, model=choice), state).usd_micros
        return choice.provider != home, price_of(choice) is None, dollars

    return tuple(sorted(entries, key=rank))


def others(spec: AgentSpec, call: Call, absent: AbstractSet[int] = _NOBODY) -> bool:
    """Is there an entry to ask beside the one that ``call`` asked last?"""
    gone = call.barred | call.left | absent | set(call.asked[-1:])
    return any(entry not in gone for entry in _entries(spec, call.purpose))


def following(entries: Sequence[int], refused: Mapping[int, Refusal], *, purpose: Purpose = "turn") -> int | None:
    """The entry to ask the guards about next; None: they let none of them.

    What refuses the first one for good (a budget) means the run; but a model that only sums up is not what it is about.
    """
    first = refused.get(entries[0])
    if first is not None and first.retry_at is None and purpose != "summary":
        return None
    return next((entry for entry in entries if entry not in refused), None)


def instead(entry: int, refused: Mapping[int, Refusal], spec: AgentSpec, *, absent: AbstractSet[int] = _NOBODY) -> str:
    """Why ``entry`` is asked and no one before it; ``""``: there is no reason but the order."""
    missing = (f"its worker cannot ask {spec.models[each].label!r}" for each in sorted(absent) if each < entry)
    return next((each.problem.message for each in refused.values()), "") or next(missing, "")


def verdict(refused: Mapping[int, Refusal]) -> Refusal:
    """What the guards say if they let none: to come back as early as one may be let, else to end, best with a word."""
    later = [(refusal.retry_at, entry) for entry, refusal in refused.items() if refusal.retry_at is not None]
    kindly = (refusal for refusal in refused.values() if refusal.wrap_up)
    return refused[min(later)[1]] if later else next(kindly, next(iter(refused.values())))


def _entries(spec: AgentSpec, purpose: Purpose) -> tuple[int, ...]:
    """All that may be asked, as the configuration has them: for a summary its own model first, if there is one."""
    turns = tuple(range(len(spec.models)))
    return turns if purpose != "summary" or spec.summary is None else (len(turns), *turns)


def _home(state: RunState) -> str:
    """The provider that wants back what it said last; ``""``: any will do."""
    for turn in reversed(state.turns):
        if isinstance(turn, ModelResponded):
            call = state.calls.get(turn.call)
            said = call is not None and isinstance(turn.blocks.value, list) and turn.blocks.blob is None
            return provider_of(call.name) if call is not None and said else ""
    return ""
