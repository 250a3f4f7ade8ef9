"""Shell: an effect on its way through the gates: asked for, granted, and whatever happens, told how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

import anyio

from callboard.actors.gate import ANSWERS, GRANT, Answer, Ask, Ending, Grant, RunGate
from callboard.bus.messages import Usage
from callboard.clock import Clock

_NOTHING: Final = Usage()
_SILENT: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(slots=True)
class Passage:
    """``async with`` an effect that was granted: ``start`` it when it starts, ``end`` it when it is over.

    The gates hear of its end in any case: one that was cancelled, or never started, is cut off.
    """

    gate: RunGate
    ask: Ask
    grant: Grant
    clock: Clock
    _since: float | None = None
    _over: bool = False

    def start(self) -> None:
        """The effect starts now."""
        self._since = self.clock.monotonic()
        self.grant.begin()

    async def end(
        self,
        error: str = "",
        *,
        usage: Usage = _NOTHING,
        retry_after: float | None = None,
        limits: Mapping[str, str] = _SILENT,
    ) -> None:
        """The effect is over; ``error`` is the problem's kind, ``""`` if it went well."""
        seconds = self._seconds()
        await self._tell(
            Ending(
                "failed" if error else "done", seconds, usage=usage, error=error, retry_after=retry_after, limits=limits
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._over:
            await self._tell(Ending("unstarted" if self._since is None else "cancelled", self._seconds()))

    def _seconds(self) -> float:
        return 0.0 if self._since is None else self.clock.monotonic() - self._since

    async def _tell(self, ending: Ending) -> None:
        if self._over:
            return
        self._over = True
        await ended(self.gate, self.ask, self.grant, ending)


async def answer_of(gate: RunGate, ask: Ask) -> Answer:
    """What the gates say, however long it takes them."""
    answer = gate.admit(ask)
    return answer if isinstance(answer, ANSWERS) else await answer


async def admitted(gate: RunGate, ask: Ask, *, within: float) -> Answer | None:
    """What the gates say; None if they have said nothing ``within`` so many seconds: the run is out of time."""
    answer = gate.admit(ask)
    if isinstance(answer, ANSWERS):
        return answer
    with anyio.move_on_after(within):  # a scope costs more than the rest: most gates answer at once
        return await answer
    return None


async def ended(gate: RunGate, ask: Ask, grant: Grant, ending: Ending) -> None:
    """Tell the gates how it went. They hear all of it, also of an effect that is cancelled just now."""
    rest = None if grant is GRANT else gate.done(ask, grant, ending)
    if rest is not None:
        with anyio.CancelScope(shield=True):
            await rest
