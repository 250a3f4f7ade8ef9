"""Shell: the sweeper. A run whose owner's task is gone from the queue (an operator, a lost disk) is released.

Released too early is only a takeover, so it may look at an old picture.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Final

import anyio

from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.bus.messages import Record, RunReleased
from callboard.bus.ports import Journals, Tasks
from callboard.bus.subjects import RunKey
from callboard.clock import Clock
from callboard.errors import BusError
from callboard.log import get_logger

log = get_logger(__name__)
SWEEP_SECONDS: Final = 30.0
Scan = Callable[[], AsyncIterable[RunKey]]
"""The runs whose last journal entry is not their terminal."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Run it under a supervisor. One of them is enough, several do no harm."""

    journals: Journals
    tasks: Tasks
    scan: Scan
    clock: Clock
    every: float = SWEEP_SECONDS

    async def run(self, ready: anyio.Event) -> None:
        """Sweep every ``every`` seconds until cancelled."""
        ready.set()
        while True:
            await anyio.sleep(self.every)
            try:
                await self.sweep()
            except BusError as error:
                log.warning("cannot sweep, trying again", error=str(error))

    async def sweep(self) -> tuple[RunKey, ...]:
        """Look at every open run once; returns those that were released."""
        released: list[RunKey] = []
        async for key in self.scan():
            state = replay(await self.journals.read(key))
            if _held(state) and not await self.tasks.exists(state.task):
                now = replay(await self.journals.read(key, after=state.sequence), state)
                if _held(now) and now.claim == state.claim:
                    record = Record(
                        id=self.clock.new_id(), at=self.clock.now(), events=(RunReleased(reason="its task was lost"),)
                    )
                    await self.journals.signal(key, record)
                    log.warning("released a run whose task was lost", run=key.run, tenant=key.tenant)
                    released.append(key)
        return tuple(released)


def _held(state: RunState) -> bool:
    return bool(state.owner) and not state.suspended and state.terminal is None
