"""Shell: what guards in the worker say, behind their back: no effect waits until it is stored.

What a crash loses is said again: the ids are those of what it is about, and the next owner asks again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_ports import GuardLog
from callboard.errors import BusError
from callboard.log import get_logger

Say: TypeAlias = Callable[[str, GuardEvent], None]
"""``say(tenant, event)``: it does not block, and what there is no room for is lost."""
log = get_logger(__name__)
_ROOM: Final = 1_000
_LAST_WORDS_SECONDS: Final = 0.5


@asynccontextmanager
async def speaking(guard_log: GuardLog) -> AsyncGenerator[Say]:
    """A voice. At the end it has half a second for what is not stored yet."""
    speech, words = anyio.create_memory_object_stream[tuple[str, GuardEvent]](_ROOM)

    def say(tenant: str, event: GuardEvent) -> None:
        try:
            speech.send_nowait((tenant, event))
        except anyio.WouldBlock:
            log.warning("no room for what a guard says", guard=event.guard, action=event.action, run=event.run)

    async with anyio.create_task_group() as group:
        group.start_soon(_speak, guard_log, words)
        try:
            yield say
        finally:
            speech.close()
            group.cancel_scope.deadline = anyio.current_time() + _LAST_WORDS_SECONDS


async def _speak(guard_log: GuardLog, words: MemoryObjectReceiveStream[tuple[str, GuardEvent]]) -> None:
    with words:
        async for tenant, event in words:
            try:
                await guard_log.publish(tenant, event)
            except BusError as error:
                log.warning("could not store what a guard says", guard=event.guard, run=event.run, error=str(error))
