"""Shell: several gates as one. The first that refuses wins; what others had granted by then never happens."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final, Never

import anyio

from callboard.actors.gate import ANSWERS, Answer, Ask, Ending, Gates, Grant, Refusal, RunGate
from callboard.actors.state import RunState
from callboard.bus.messages import Amount, Record
from callboard.bus.subjects import RunKey

_UNSTARTED: Final = Ending("unstarted")
_NOTHING: Final = Grant().reserved


class Chain:
    """Implements ``Gates``. The parts are asked in their order: those that only look first, those that reserve last."""

    def __init__(self, parts: Sequence[Gates]) -> None:
        self._parts = tuple(parts)

    def enter(self, key: RunKey) -> RunGate:
        """The gates of all parts."""
        return _RunChain(tuple(part.enter(key) for part in self._parts))


@dataclass(frozen=True, slots=True)
class _Granted(Grant):
    """What all of them granted. It comes back with ``done``, so that each gets its own."""

    each: tuple[Grant, ...] = ()

    def begin(self) -> None:
        for grant in self.each:
            grant.begin()


@dataclass(frozen=True, slots=True)
class _RunChain:
    gates: tuple[RunGate, ...]

    def folded(self, sequence: int, record: Record | None) -> None:
        for gate in self.gates:
            gate.folded(sequence, record)

    def admit(self, ask: Ask) -> Answer | Awaitable[Answer]:
        each: list[Grant] = []
        for gate in self.gates:
            answer: Answer | Awaitable[Answer]
            try:
                answer = gate.admit(ask)
            except Exception as error:  # noqa: BLE001 - it is raised when the others have given back what they granted
                answer = _raised(error)
            if not isinstance(answer, Grant):
                return self._on(ask, each, answer)
            each.append(answer)
        return _Granted(_total(each), tuple(each))

    def done(self, ask: Ask, grant: Grant, ending: Ending) -> Awaitable[None] | None:
        assert isinstance(grant, _Granted)
        return self._told(ask, grant.each, ending)

    async def leave(self, state: RunState) -> None:
        for gate in self.gates:
            await gate.leave(state)

    async def _on(self, ask: Ask, each: list[Grant], answer: Answer | Awaitable[Answer]) -> Answer:
        """Go on where a gate has refused, or thinks about it."""
        granted = False
        try:
            while True:
                said = answer if isinstance(answer, ANSWERS) else await answer
                if isinstance(said, Refusal):
                    return said
                each.append(said)
                if len(each) == len(self.gates):
                    break
                answer = self.gates[len(each)].admit(ask)
            granted = True
        finally:
            if not granted and (rest := self._told(ask, each, _UNSTARTED)) is not None:
                with anyio.CancelScope(shield=True):  # mostly because a later gate was cancelled while it waited
                    await rest
        return _Granted(_total(each), tuple(each))

    def _told(self, ask: Ask, each: Sequence[Grant], ending: Ending) -> Awaitable[None] | None:
        """Tell those that granted ``each``, the last one first. The others hear of it although one raises."""
        at = len(each)
        rest: Awaitable[None] | None = None
        while at and rest is None:
            at -= 1
            try:
                rest = self.gates[at].done(ask, each[at], ending)
            except Exception as error:  # noqa: BLE001 - it is raised
                rest = _raised(error)
        return None if rest is None else self._tell_on(rest, ask, each[:at], ending)

    async def _tell_on(self, rest: Awaitable[None], ask: Ask, each: Sequence[Grant], ending: Ending) -> None:
        try:
            await rest
        finally:
            if (more := self._told(ask, each, ending)) is not None:
                await more


async def _raised(error: Exception) -> Never:
    raise error


def _total(grants: Sequence[Grant]) -> Amount:
    amounts = [grant.reserved for grant in grants if grant.reserved is not _NOTHING]
    if len(amounts) <= 1:
        return amounts[0] if amounts else _NOTHING
    return Amount(
        usd_micros=sum(amount.usd_micros for amount in amounts),
        input_tokens=sum(amount.input_tokens for amount in amounts),
        output_tokens=sum(amount.output_tokens for amount in amounts),
        model_calls=sum(amount.model_calls for amount in amounts),
        tool_calls=sum(amount.tool_calls for amount in amounts),
    )
