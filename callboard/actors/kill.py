"""Shell: kill a run and everything that it spawned, and bring back a receipt that is true."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import anyio

from callboard.actors.fold import replay
from callboard.actors.groups import alone
from callboard.actors.receipt import MARGIN, START_WINDOW, Earlier, Receipt, earlier_kill, receipt
from callboard.actors.state import RunState
from callboard.bus.messages import Record, RunKilled
from callboard.bus.ports import Journals, Watch
from callboard.bus.subjects import RunKey
from callboard.clock import Clock
from callboard.errors import BusError
from callboard.log import get_logger

log = get_logger(__name__)


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
        try:
            await self._kill_children(key, given)
            return await self._settled(key, given)
        except BusError as error:
            log.warning("the bus went away behind a kill: it stands", run=key.run, error=str(error))
            await anyio.sleep(self._left(given))
            return self._write(key, given, given.state, now=_closed(given))

    async def _accept(self, key: RunKey, event: RunKilled) -> _Accepted:
        record = Record(id=self.clock.new_id(), at=self.clock.now(), events=(event,))
        await self.journals.signal(key, record, parent=event.parent or "")
        at, entries = self.clock.now(), await self.journals.read(key)
        state = replay(entries)
        return _Accepted(at, state, earlier_kill(entries, state, record.id))

    async def _kill_children(self, key: RunKey, given: _Accepted) -> None:
        killed = RunKilled(reason=f"its parent {key.run} is {given.state.outcome}", by="killer", parent=key.run)

        async def kill(child: RunKey) -> None:
            await self._kill_children(child, await self._accept(child, killed))

        with alone(BusError):
            async with anyio.create_task_group() as tree:
                for child in given.state.unfinished:
                    tree.start_soon(kill, RunKey(key.tenant, child))

    async def _settled(self, key: RunKey, given: _Accepted) -> Receipt:
        state = given.state
        paper = self._write(key, given, state)
        if paper.settled_at is not None:
            return paper
        with anyio.move_on_after(self._left(given)):
            async with self.watch.follow(key, after=state.sequence) as entries:
                async for entry in entries:
                    state = replay((entry,), state)
                    paper = self._write(key, given, state)
                    if paper.settled_at is not None:
                        return paper
        return self._write(key, given, state, now=_closed(given))

    def _left(self, given: _Accepted) -> float:
        """Seconds until no effect can start any more."""
        return max(0.0, (_closed(given) - self.clock.now()).total_seconds())

    def _write(self, key: RunKey, given: _Accepted, state: RunState, *, now: datetime | None = None) -> Receipt:
        at = self.clock.now() if now is None else max(now, self.clock.now())
        paper = receipt(state, key, accepted_at=given.at, now=at, window=START_WINDOW)
        return replace(paper, earlier=given.earlier)


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A kill that the bus acknowledged, and what the journal said then."""

    at: datetime
    state: RunState
    earlier: Earlier | None


def _closed(given: _Accepted) -> datetime:
    return given.at + timedelta(seconds=START_WINDOW + MARGIN)
