"""Shell: what guards say, live. A core subscription hears it at once, and CB_GUARDS heals what was missed."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from callboard.bus.client import Connection, Reply
from callboard.bus.following import Following
from callboard.bus.guard_log import JetStreamGuardLog, KeptEvent, heard

_KEPT: Final = 10_000
"""Messages that wait for a slow reader; what comes then is read from the stream."""
_LOOK_AGAIN: Final = 2.0
"""Seconds from one look at the stream to the next."""
_REMEMBERED: Final = 50_000


@asynccontextmanager
async def follow_guards(
    connection: Connection, log: JetStreamGuardLog, *, tenant: str = "*", guard: str = "*", action: str = "*"
) -> AsyncGenerator[AsyncIterator[KeptEvent]]:
    """Every event from now on, once each, nearly in order; ends only when the context is left."""
    said = _Said(log, tenant, guard, action=action)
    following = Following(said, look_again=_LOOK_AGAIN)
    subject = f"{connection.subjects.prefix}.guard.{tenant}.{guard}.{action}"
    async with connection.subscribe(subject, following.arrived):
        await connection.barrier()
        said.begin(await log.last())
        with connection.on_reconnect(following.read_again):
            yield following


class _Said:
    """Implements ``Source``. What is heard does not say its place in the stream: a gap shows when that is read."""

    def __init__(self, log: JetStreamGuardLog, tenant: str, guard: str, *, action: str) -> None:
        self._log = log
        self._which = (tenant, guard, action)
        self._ready: deque[KeptEvent] = deque()
        self._told: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._seen = 0
        self.missing = False

    def begin(self, last: int) -> None:
        """Everything behind ``last`` is news."""
        self._seen = last

    def hear(self, message: Reply) -> None:
        if len(self._ready) >= _KEPT:
            self.missing = True
            return
        event = heard(message.subject, message.payload)
        if event is not None:
            self._ready.append(event)

    def next(self) -> KeptEvent | None:
        while self._ready:
            event = self._ready.popleft()
            if self._is_new(event):
                return event
        return None

    async def read(self) -> None:
        tenant, guard, action = self._which
        found = await self._log.kept(tenant=tenant, guard=guard, action=action, after=self._seen)
        self._ready.extend(found)
        if found:
            self._seen = found[-1].sequence

    def _is_new(self, kept: KeptEvent) -> bool:
        """Nobody has been told of it yet. The same event is heard, and read, and may be published again."""
        name = (kept.tenant, kept.event.guard, kept.event.id)
        known = name in self._told
        self._told[name] = None
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return not known
