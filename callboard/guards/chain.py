"""Shell: several gates as one. The first that refuses wins; what others had granted by then never happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Never, TypeAlias

import anyio

from callboard.actors.accounts import tally
from callboard.actors.gate import (
    ANSWERS,
    GRANT,
    Answer,
    Ask,
    Ending,
    Gates,
    Grant,
    NoGate,
    Refusal,
    RunGate,
)
from callboard.actors.state import RunState
from callboard.bus.messages import Amount, Record
from callboard.bus.subjects import RunKey

_UNSTARTED: Final = Ending("unstarted")
_NOTHING: Final = GRANT.reserved
_Each: TypeAlias = list[tuple[RunGate, Grant]]
"""Who granted what, and is told how it went."""


class Chain:
    """Implements ``Gates``. The parts are asked in their order: those that only look first, those that reserve last."""

    def __init__(self, parts: Sequence[Gates]) -> None:
        self._parts = tuple(parts)

    def enter(self, key: RunKey) -> RunGate:
        """The gates of all parts."""
        gates = tuple(part.enter(key) for part in self._parts)
        return _RunChain(gates, tuple(gate.folded for gate in gates if type(gate).folded is not NoGate.folded))


@dataclass(frozen=True, slots=True)
class _Granted(Grant):
    """What all of them granted. It comes back with ``done``, so that each gets its own."""

    each: Sequence[tuple[RunGate, Grant]] = ()

    def begin(self) -> None:
        for _, grant in self.each:
            grant.begin()


@dataclass(frozen=True, slots=True)
class _RunChain:
    gates: tuple[RunGate, ...]
    looks: tuple[Callable[[int, Record | None], None], ...]

    def folded(self, sequence: int, record: Record | None) -> None:
        for look in self.looks:
            look(sequence, record)

    def admit(self, ask: Ask) -> Answer | Awaitable[Answer]:
        each: _Each = []
        gates = iter(self.gates)
        for gate in gates:
            answer: Answer | Awaitable[Answer]
            try:
                answer = gate.admit(ask)
            except Exception as error:  # noqa: BLE001 - it is raised when the others have given back what they granted
                answer = _raised(error)
            if answer is GRANT:
                continue
            if not isinstance(answer, Grant):
                return _go_on(ask, each, gate, answer, gates)
            each.append((gate, answer))
        return _granted(each)

    def done(self, ask: Ask, grant: Grant, ending: Ending) -> Awaitable[None] | None:
        assert isinstance(grant, _Granted)
        return _tell(ask, reversed(grant.each), ending)

    async def leave(self, state: RunState) -> None:
        for gate in self.gates:
            await gate.leave(state)


async def _go_on(
    ask: Ask, each: _Each, gate: RunGate | None, answer: Answer | Awaitable[Answer], gates: Iterator[RunGate]
) -> Answer:
    """Go on where ``gate`` has refused, or thinks about it; ``gates`` are those behind it."""
    granted = False
    try:
        while gate is not None:
            said = answer if isinstance(answer, ANSWERS) else await answer
            if isinstance(said, Refusal):
                return said
            if said is not GRANT:
                each.append((gate, said))
            gate = next(gates, None)
            if gate is not None:
                answer = gate.admit(ask)
        granted = True
    finally:
        if not granted and (rest := _tell(ask, reversed(each), _UNSTARTED)) is not None:
            with anyio.CancelScope(shield=True):  # mostly because a later gate was cancelled while it waited
                await rest
    return _granted(each)


def _tell(ask: Ask, each: Iterator[tuple[RunGate, Grant]], ending: Ending) -> Awaitable[None] | None:
    """Tell those that granted. The others hear of it although one raises."""
    for gate, grant in each:
        rest: Awaitable[None] | None
        try:
            rest = gate.done(ask, grant, ending)
        except Exception as error:  # noqa: BLE001 - it is raised
            rest = _raised(error)
        if rest is not None:
            return _tell_on(rest, ask, each, ending)
    return None


async def _tell_on(rest: Awaitable[None], ask: Ask, each: Iterator[tuple[RunGate, Grant]], ending: Ending) -> None:
    try:
        await rest
    finally:
        if (more := _tell(ask, each, ending)) is not None:
            await more


async def _raised(error: Exception) -> Never:
    raise error


def _granted(each: _Each) -> Grant:
    reserved = _NOTHING
    for _, grant in each:
        if grant.reserved is not _NOTHING:
            reserved = grant.reserved if reserved is _NOTHING else _sum(reserved, grant.reserved)
    return _Granted(reserved, each) if each else GRANT


def _sum(one: Amount, other: Amount) -> Amount:
    return tally(one).plus(tally(other)).amount()
