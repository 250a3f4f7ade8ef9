"""Shell: the bucket that guards share, with a compare-and-set per key and a watch that is soon and misses nothing.

A publish to the bucket reaches core subscribers before it is stored, and although it is refused: it is a hint to read.
What is delivered has been read, and every read goes through the leader.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from math import ceil
from typing import Final

import anyio

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.ports import StateValue
from callboard.bus.storage import Ack, Patience, StreamMessage
from callboard.clock import Clock
from callboard.errors import BusUnreachable, StaleAppend

_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_WRITE: Final = "Callboard-Write"
_TTL: Final = "Nats-TTL"
_REMOVED: Final = "KV-Operation"
"""In the header of a marker that `nats kv del` leaves."""
_STALE_ATTEMPTS: Final = 10
_SILENCE: Final = Ack(description="no answer", retryable=True)
_FIRST_LOOK: Final = 0.001
_HEAL: Final = 5.0
"""Seconds: how long after a hint it is looked for, ever more rarely, and how often when there is none."""

Key = tuple[str, ...]
Deliver = Callable[[Key, StateValue], None]


class JetStreamStates:
    """Implements ``States`` on KV_CB_STATE. A key that was removed by hand is as if it had never been."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._root = f"$KV.{connection.subjects.stream('STATE')}."
        self._stream = f"KV_{connection.subjects.stream('STATE')}"
        self._watching: list[_Watching] = []

    async def get(self, *key: str) -> StateValue | None:
        found = await storage.last_of(self._connection, self._stream, self._connection.subjects.state(*key))
        return None if found is None or _REMOVED in found.headers else _value(found)

    async def put(self, *key: str, value: bytes, expect: int | None = None, ttl: float | None = None) -> int:
        subject = self._connection.subjects.state(*key)
        lasts = {} if ttl is None else {_TTL: f"{max(1, ceil(ttl))}s"}
        if expect is None:
            ack = await storage.publish_until_stored(self._connection, subject, value, headers=lasts)
            if ack.err_code:
                raise ack.error(f"a value of {subject!r}")
            revision = ack.sequence
        else:
            revision = await self._replace(subject, value, expect, lasts)
        for watching in self._watching:  # a connection may keep its own publishes from its subscriptions
            watching.hinted(*watching.seen)
        return revision

    async def all(self, *head: str) -> Mapping[Key, StateValue]:
        found: dict[Key, StateValue] = {}
        for one in self._filters(head):
            for message in await storage.behind(self._connection, self._stream, one, after=0):
                key = self._key(message)
                if _REMOVED in message.headers:
                    found.pop(key, None)
                else:
                    found[key] = _value(message)
        return found

    @asynccontextmanager
    async def watch(self, *head: str, deliver: Deliver) -> AsyncGenerator[None]:
        """What there is has been delivered when the body begins."""
        watching = _Watching(dict.fromkeys(self._filters(head), 0))
        exact, below = self._filters(head)
        self._watching.append(watching)
        try:
            async with (
                self._connection.subscribe(exact, lambda _: watching.hinted(exact)),
                self._connection.subscribe(below, lambda _: watching.hinted(below)),
                anyio.create_task_group() as group,
            ):
                with self._connection.on_reconnect(lambda: watching.hinted(exact, below)):
                    await self._connection.barrier()
                    await self._look(watching, (exact, below), deliver)
                    group.start_soon(self._follow, watching, deliver)
                    try:
                        yield
                    finally:
                        group.cancel_scope.cancel()
        except BaseExceptionGroup as errors:
            if len(errors.exceptions) == 1:  # what the caller's block raised: that we have a task group is our business
                raise errors.exceptions[0] from None
            raise
        finally:
            self._watching.remove(watching)

    async def _follow(self, watching: _Watching, deliver: Deliver) -> None:
        while True:
            filters = await watching.time_to_look()
            try:
                await self._look(watching, filters, deliver)
            except BusUnreachable as error:
                if not error.retryable:
                    raise

    async def _look(self, watching: _Watching, filters: Iterable[str], deliver: Deliver) -> None:
        for one in filters:
            for message in await storage.behind(self._connection, self._stream, one, after=watching.seen[one]):
                watching.seen[one] = message.sequence
                if _REMOVED not in message.headers:
                    deliver(self._key(message), _value(message))

    async def _replace(self, subject: str, value: bytes, expect: int, lasts: Mapping[str, str]) -> int:
        write = self._clock.new_id()
        patience, stale = Patience(), 0
        while True:
            ack = await self._attempt(subject, value, {_EXPECTED: str(expect), _WRITE: write, **lasts})
            if ack.sequence:
                return ack.sequence
            if not ack.retryable and ack.err_code != storage.STALE:
                raise ack.error(f"a value of {subject!r}")
            found = await storage.last_of(self._connection, self._stream, subject)
            if found is not None and found.headers.get(_WRITE) == write:
                return found.sequence
            at = 0 if found is None else found.sequence
            stale += ack.err_code == storage.STALE
            if expect == 0 and found is not None and _REMOVED in found.headers:
                expect = at
            elif at != expect or stale == _STALE_ATTEMPTS:  # it may have been ours in between: it is not any more
                raise StaleAppend(f"{subject!r} is at revision {at}, not {expect}: read it, then decide again")
            else:
                await patience.pause(BusUnreachable(f"{subject!r}: {ack.description}", retryable=True))

    async def _attempt(self, subject: str, value: bytes, headers: dict[str, str]) -> Ack:
        try:
            return await storage.publish(self._connection, subject, value, headers=headers)
        except BusUnreachable as error:
            if not error.retryable:
                raise
            return _SILENCE

    def _filters(self, head: Key) -> tuple[str, str]:
        exact = self._connection.subjects.state(*head) if head else f"{self._root}-"  # no key, and nobody's
        return exact, f"{exact}.>" if head else f"{self._root}>"

    def _key(self, message: StreamMessage) -> Key:
        return tuple(message.subject[len(self._root) :].split("."))


class _Watching:
    """A watch: how far each of its filters is delivered, and when to look again."""

    def __init__(self, seen: dict[str, int]) -> None:
        self.seen = seen
        self._hint = anyio.Event()
        self._fresh: set[str] = set()
        self._looked_for: set[str] = set()
        self._pause = _HEAL

    def hinted(self, *filters: str) -> None:
        """Something may be there now, or soon."""
        self._fresh.update(filters)
        self._hint.set()

    async def time_to_look(self) -> Iterable[str]:
        """Return at a hint, some times after it (what it hinted at may not be stored yet), and now and then for all."""
        with anyio.move_on_after(self._pause):
            await self._hint.wait()
        if self._hint.is_set():
            self._hint = anyio.Event()
            self._looked_for |= self._fresh
            self._fresh = set()
            self._pause = _FIRST_LOOK
        elif self._pause < _HEAL:
            self._pause = min(self._pause * 2, _HEAL)
        else:
            self._looked_for = set()
        return tuple(self._looked_for or self.seen)


def _value(message: StreamMessage) -> StateValue:
    return StateValue(message.sequence, message.payload, message.at)
