"""Shell: kill a run and everything that it spawned, and bring back a receipt that is true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio

from callboard.actors.fold import replay
from callboard.actors.receipt import MARGIN, START_WINDOW, Receipt, receipt
from callboard.actors.state import RunState
from callboard.bus.messages import Record, RunKilled
from callboard.bus.ports import Journals, Watch
from callboard.bus.subjects import RunKey
from callboard.clock import Clock
from callboard.errors import BusError


@dataclass(frozen=True, slots=True)
class Killer:
    """Appends kills. Anybody may be one: the journal is what ends a run, not who writes to it."""

    journals: Journals
    watch: Watch
    clock: Clock

    async def kill(self, key: RunKey, *, reason: str, by: str) -> Receipt:
        """Kill ``key`` and its children. Returns once the kill is settled, at most 0.5 s after it was accepted.

        Raises ``BusUnreachable`` if the bus did not acknowledge the kill: then nothing is known, kill again.
        """
        given = await self._accept(key, RunKilled(reason=reason, by=by))
        await self._kill_children(key, given)
        return await self._settled(key, given)

    async def _accept(self, key: RunKey, event: RunKilled) -> _Accepted:
        record = Record(id=self.clock.new_id(), at=self.clock.now(), events=(event,))
        await self.journals.signal(key, record, parent=event.parent or "")
        at = self.clock.now()
        return _Accepted(at, replay(await self.journals.read(key)))

    async def _kill_children(self, key: RunKey, given: _Accepted) -> None:
        killed = RunKilled(reason=f"its parent {key.run} is {given.state.outcome}", by="killer", parent=key.run)

        async def kill(child: RunKey) -> None:
            await self._kill_children(child, await self._accept(child, killed))

        try:
            async with anyio.create_task_group() as tree:
                for child in given.state.unfinished:
                    tree.start_soon(kill, RunKey(key.tenant, child))
        except* BusError as errors:
            raise errors.exceptions[0] from None

    async def _settled(self, key: RunKey, given: _Accepted) -> Receipt:
        state = given.state
        paper = self._write(key, given, state)
        if paper.settled_at is not None:
            return paper
        left = START_WINDOW + MARGIN - (self.clock.now() - given.at).total_seconds()
        with anyio.move_on_after(max(0.0, left)):
            async with self.watch.follow(key, after=state.sequence) as entries:
                async for entry in entries:
                    state = replay((entry,), state)
                    paper = self._write(key, given, state)
                    if paper.settled_at is not None:
                        return paper
        closed = given.at + timedelta(seconds=START_WINDOW + MARGIN)
        return receipt(state, key, accepted_at=given.at, now=max(closed, self.clock.now()), window=START_WINDOW)

    def _write(self, key: RunKey, given: _Accepted, state: RunState) -> Receipt:
        return receipt(state, key, accepted_at=given.at, now=self.clock.now(), window=START_WINDOW)


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A kill that the bus acknowledged, and what the journal said then."""

    at: datetime
    state: RunState
