"""Shell: what guards say, live. A core subscription hears it at once, and CB_GUARDS heals what was missed."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio

from callboard.bus.client import Connection, Reply
from callboard.bus.guard_log import JetStreamGuardLog, KeptEvent, heard
from callboard.errors import BusUnreachable

_KEPT: Final = 10_000
"""Messages that wait for a slow reader; what comes then is read from the stream."""
_LOOK_AGAIN: Final = 2.0
"""Seconds after which the stream is read: what a subscription misses, nothing tells."""
_REMEMBERED: Final = 50_000


@asynccontextmanager
async def follow_guards(
    connection: Connection, log: JetStreamGuardLog, *, tenant: str = "*", guard: str = "*", action: str = "*"
) -> AsyncGenerator[AsyncIterator[KeptEvent]]:
    """Every event from now on, once each, nearly in order; ends only when the context is left."""
    following = _Following(log, tenant, guard, action=action)
    subject = f"{connection.subjects.prefix}.guard.{tenant}.{guard}.{action}"
    async with connection.subscribe(subject, following.arrived):
        await connection.barrier()
        following.begin(await log.last())
        with connection.on_reconnect(following.read_again):
            yield following


class _Following:
    """What was heard, and read, and not yet handed out."""

    def __init__(self, log: JetStreamGuardLog, tenant: str, guard: str, *, action: str) -> None:
        self._log = log
        self._which = (tenant, guard, action)
        self._ready: deque[KeptEvent] = deque()
        self._told: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._seen = 0
        self._must_read = False
        self._changed = anyio.Event()

    def begin(self, last: int) -> None:
        """Everything behind ``last`` is news."""
        self._seen = last

    def arrived(self, message: Reply) -> None:
        if len(self._ready) >= _KEPT:
            self._must_read = True
            return
        event = heard(message.subject, message.payload)
        if event is not None:
            self._ready.append(event)
            self._changed.set()

    def read_again(self) -> None:
        self._must_read = True
        self._changed.set()

    def __aiter__(self) -> _Following:
        return self

    async def __anext__(self) -> KeptEvent:
        while True:
            while self._ready:
                event = self._ready.popleft()
                if self._is_new(event):
                    return event
            if self._must_read:
                await self._read()
            else:
                await self._wait()

    def _is_new(self, kept: KeptEvent) -> bool:
        """Nobody has been told of it yet. The same event is heard, and read, and may be published again."""
        name = (kept.tenant, kept.event.guard, kept.event.id)
        known = name in self._told
        self._told[name] = None
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return not known

    async def _read(self) -> None:
        tenant, guard, action = self._which
        self._must_read = False
        try:
            found = await self._log.kept(tenant=tenant, guard=guard, action=action, after=self._seen)
        except BusUnreachable as error:
            if not error.retryable:
                raise
            return  # a watch has more patience than a read: it looks again
        self._ready.extend(found)
        if found:
            self._seen = found[-1].sequence

    async def _wait(self) -> None:
        self._changed = anyio.Event()
        with anyio.move_on_after(_LOOK_AGAIN) as silence:
            await self._changed.wait()
        if silence.cancelled_caught:
            self._must_read = True
