"""Shell: a run in the hands of its owner: the folded state, and appends by compare-and-set.

Events of concurrent callers that wait at the same time travel in one record (one write). A refused append is
followed by a read: signals are folded and the events are written again behind them; another claim, a suspension or
a terminal raises ``OwnershipLost``, and nothing of this owner is ever written again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from callboard.actors.armed import Armed
from callboard.actors.decide import MAX_ENTRIES
from callboard.actors.fold import fold, foresee, replay, terminal_of
from callboard.actors.gate import NoGate, RunGate
from callboard.actors.ownership import Fact, OwnershipLost, Paused, Ticket
from callboard.actors.pauses import in_force
from callboard.actors.receipt import START_WINDOW
from callboard.actors.state import RunState
from callboard.actors.turns import Turns
from callboard.bus.messages import Record
from callboard.bus.ports import Copy, Journals, Stored
from callboard.bus.subjects import RunKey
from callboard.clock import Clock
from callboard.errors import BusUnreachable, InvalidMessage, StaleAppend
from callboard.log import get_logger

log = get_logger(__name__)
_NO_GATE: Final = NoGate()
LONG: Final = 5_000
"""Entries of a journal after which it is worth a warning: at ``MAX_ENTRIES`` the run ends."""


class Owner:
    """Ownership of one run by the claim ``token``. Not for several event loops.

    The claim itself is a deferred fact: it travels with whatever is written first.
    """

    def __init__(
        self,
        key: RunKey,
        token: str,
        state: RunState,
        *,
        journals: Journals,
        clock: Clock,
        lane: Turns | None = None,
        gate: RunGate = _NO_GATE,
    ) -> None:
        self.key, self.token, self.gate = key, token, gate
        self.state = state
        """The fold of what is in the journal."""
        self.view = state
        """``state`` and the facts that wait to be written: what decisions are made from."""
        self.sent: frozenset[str] = frozenset()
        """Children whose task this owner has published."""
        self.written = False
        """Is a record of this owner, and so its claim, in the journal?"""
        self.leaving = False
        """Set when the worker hands the run over: no effect starts any more."""
        self.in_flight = 0
        """Effects that run, or whose intent is being written."""
        self.on_signal: Callable[[], None] = _nobody
        """Called when entries of others were folded."""
        self.on_end: Callable[[], None] = _nobody
        """Called when ``ended`` is set: whoever works for this owner must stop, also if it catches what we raise."""
        self._lane = lane or Turns(1)
        """Shared by the owners of a process: with too many appends on their way none is back within its window."""
        self._journals, self._clock = journals, clock
        self._lock, self._quiet = Turns(1), anyio.Event()
        self.ended: OwnershipLost | BusUnreachable | None = None
        """Why nothing is written any more: not the owner, or nobody knows whether a record was stored (writing its
        events again could record them twice)."""
        self._waiting: list[Ticket] = []
        self._on_their_way = 0
        """How many tickets, from the first, are in the record that is being written."""

    @property
    def unwritten(self) -> tuple[Fact, ...]:
        """Facts that are not in the journal (yet, or for ever once ownership is lost)."""
        return tuple(event for ticket in self._waiting for event in ticket.events)

    def defer(self, *facts: Fact) -> None:
        """Let ``facts`` travel with the next record. They are in ``view`` at once."""
        if not facts:
            return
        self._waiting.append(Ticket(facts, awaited=False))
        self.view = self._imagine(self.view, facts)

    def imagined(self, *facts: Fact) -> RunState:
        """``view`` as it would be with ``facts``."""
        return self._imagine(self.view, facts)

    async def append(self, *events: Fact) -> float:
        """Write ``events`` (with everything deferred). Returns the monotonic instant before the publish.

        Raises ``Paused`` for intents of a run that is paused: they are not written.
        """
        await checkpoint_if_cancelled()  # code that cleans up behind a cancellation starts nothing
        ticket = Ticket(events, awaited=True)
        self._waiting.append(ticket)
        with anyio.CancelScope(shield=True):  # a cancelled publish would leave others' events in the dark
            async with self._lock:
                if ticket.armed_at is None and ticket.refused is None:
                    await self._flush()
        if ticket.refused is not None:
            raise ticket.refused
        if ticket.armed_at is None:
            raise OwnershipLost(self.state)
        return ticket.armed_at

    def armed(self, *intents: Fact) -> Armed:
        """``async with``: write intents until a write was acknowledged within the start window, then start at once."""
        return Armed(self, intents)

    def released(self) -> None:
        """An effect is over, or was not announced after all."""
        self.in_flight -= 1
        self._quiet.set()

    async def quiet(self) -> None:
        """Return when no effect runs."""
        while self.in_flight:
            self._quiet = anyio.Event()
            await self._quiet.wait()

    async def announce(self, intents: Sequence[Fact]) -> float:
        """What ``armed`` does at first: nobody says that the run is quiet from here until ``released``."""
        if self.leaving:
            await anyio.sleep_forever()  # until the worker cancels the run
        self.in_flight += 1
        try:
            return await self.arm(intents)
        except BaseException:
            self.released()
            raise

    async def arm(self, intents: Sequence[Fact]) -> float:
        """Returns the monotonic instant before the publish that was in time."""
        while True:
            published = await self.append(*intents)
            await checkpoint_if_cancelled()
            if self.in_window(published):
                return published
            log.warning("start window missed, arming again", run=self.key.run)

    def in_window(self, published: float) -> bool:
        """May an effect start now whose intent was on its way at ``published``?"""
        return self._clock.monotonic() - published <= START_WINDOW

    @property
    def behind(self) -> bool:
        """Is anything deferred that is not on its way already?"""
        return len(self._waiting) > self._on_their_way

    async def flush(self) -> None:
        """Write what is deferred."""
        if self.behind:
            with anyio.CancelScope(shield=True):
                async with self._lock:
                    await self._flush()

    async def conclude(self, *events: Fact) -> bool:
        """Write ``events`` only if no signal has come since ``view``: False means decide again."""
        decided = self.state.sequence
        written = False
        with anyio.CancelScope(shield=True):
            async with self._lock:
                if self.state.sequence == decided:
                    written = await self._conclude(events)
        return written

    async def _conclude(self, events: Sequence[Fact]) -> bool:
        try:
            return await self._write((*self.unwritten, *events), tuple(self._waiting), again=False)
        except InvalidMessage:
            if not self._waiting:
                raise
        await self._flush()  # too much for one record
        return False

    async def hear(self, copy: Copy | None) -> None:
        """Fold what others have written: a copy of the next entry, else all of it. Raises ``OwnershipLost``."""
        with anyio.CancelScope(shield=True):
            async with self._lock:
                if not self.written or (copy is not None and copy.entry.sequence <= self.state.sequence):
                    return  # a claim is written by compare-and-set: it will see
                if copy is not None and copy.before == self.state.sequence:
                    self._take((copy.entry,))
                else:
                    await self._catch_up()

    async def _flush(self) -> None:
        while self._held_back():
            size = len(self._waiting)
            while True:
                batch = self._waiting[:size]
                try:
                    await self._write(tuple(event for ticket in batch for event in ticket.events), batch, again=True)
                    break
                except InvalidMessage as error:
                    if size == 1:
                        self._refuse(batch[0], error)
                        break
                    size = (size + 1) // 2

    def _held_back(self) -> bool:
        """Refuse what starts effects if the run is paused; is there anything else to write?"""
        if self.state.pauses and in_force(self.state, self._clock.now()):
            for ticket in [ticket for ticket in self._waiting if ticket.announces]:
                self._forget((ticket,))
                ticket.refused = Paused()
        return bool(self._waiting)

    def _refuse(self, ticket: Ticket, error: InvalidMessage) -> None:
        self._forget((ticket,))
        ticket.refused = error
        if not ticket.awaited:
            raise error

    async def _write(self, events: Sequence[Fact], tickets: Sequence[Ticket], *, again: bool) -> bool:
        if self.ended is not None:
            raise self.ended
        if not self.view.owns(self.token):
            raise OwnershipLost(self.state)
        record = Record(id=self._clock.new_id(), owner=self.token, at=self._clock.now(), events=tuple(events))
        while True:
            family, parent = self._family(record)
            self._on_their_way = len(tickets)
            try:
                async with self._lane:
                    published = self._clock.monotonic()
                    sequence = await self._journals.append(
                        self.key, record, expect=self.state.sequence, family=family, parent=parent
                    )
            except StaleAppend:
                await self._catch_up()
                if not again or self.state.pauses:  # a pause came first: what was to start must not
                    return False
                continue
            except BusUnreachable as error:
                self._end(error)
                raise
            finally:
                self._on_their_way = 0
            self.state = fold(self.state, sequence, record)
            self.gate.folded(sequence, record)
            self.written = True
            if self.state.entries == LONG:
                log.warning("the journal grows long", run=self.key.run, entries=LONG, end=MAX_ENTRIES)
            for ticket in tickets:
                ticket.armed_at = published
            self._forget(tickets)
            return True

    async def _catch_up(self) -> None:
        self._take(await self._journals.read(self.key, after=self.state.sequence))

    def _take(self, entries: Sequence[Stored]) -> None:
        self.state = replay(entries, self.state)
        for entry in entries:
            self.gate.folded(entry.sequence, entry.record)
        self._see()
        self.on_signal()
        if not self.state.owns(self.token) or self.state.foreign:
            lost = OwnershipLost(self.state)
            self._end(lost)  # for good: a claim that was refused must be judged again, not written again
            raise lost

    def _end(self, reason: OwnershipLost | BusUnreachable) -> None:
        self.ended = reason
        self.on_end()

    def _family(self, record: Record) -> tuple[str, str]:
        """What the headers of a terminal say, so that the dispatcher need not read the journal of every run."""
        if not terminal_of(record):
            return "", ""
        after = foresee(self.state, self.token, record.events)
        parent = after.created.parent.run if after.created and after.created.parent else ""
        return "" if parent or after.unfinished else "none", parent

    def _forget(self, tickets: Sequence[Ticket]) -> None:
        gone = {id(ticket) for ticket in tickets}
        self._waiting = [ticket for ticket in self._waiting if id(ticket) not in gone]
        self._see()

    def _see(self) -> None:
        self.view = self._imagine(self.state, self.unwritten)

    def _imagine(self, state: RunState, facts: Sequence[Fact]) -> RunState:
        return foresee(state, self.token, facts) if facts else state


def _nobody() -> None:
    """Nobody listens."""
