"""Shell: several gates as one. The first that refuses wins; what others had granted by then never happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from callboard.actors.gate import Answer, Ask, Ending, Gates, Grant, Refusal, RunGate
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


@dataclass(frozen=True, slots=True)
class _RunChain:
    gates: tuple[RunGate, ...]

    def folded(self, sequence: int, record: Record | None) -> None:
        for gate in self.gates:
            gate.folded(sequence, record)

    async def admit(self, ask: Ask) -> Answer:
        each: list[Grant] = []
        granted = False
        try:
            for gate in self.gates:
                answer = await gate.admit(ask)
                if isinstance(answer, Refusal):
                    return answer
                each.append(answer)
            granted = True
        finally:
            if not granted and each:
                await self._undo(ask, each)
        return _Granted(_total(each), tuple(each))

    async def done(self, ask: Ask, grant: Grant, ending: Ending) -> None:
        assert isinstance(grant, _Granted)
        at = len(self.gates)
        try:
            while at:
                at -= 1
                await self.gates[at].done(ask, grant.each[at], ending)
        finally:
            if at:  # it calls the others although one raises
                await _RunChain(self.gates[:at]).done(ask, _Granted(each=grant.each[:at]), ending)

    async def leave(self, state: RunState) -> None:
        for gate in self.gates:
            await gate.leave(state)

    async def _undo(self, ask: Ask, grants: Sequence[Grant]) -> None:
        with anyio.CancelScope(shield=True):  # mostly because a later gate was cancelled while it waited
            await _RunChain(self.gates[: len(grants)]).done(ask, _Granted(each=tuple(grants)), _UNSTARTED)


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
