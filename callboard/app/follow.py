"""Shell: a run and all that it spawns, as one stream of events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio

from callboard.app.board import Board, Run, RunEvent
from callboard.bus.messages import ChildSpawned

_BUFFER: Final = 1_000


@dataclass(frozen=True, slots=True)
class TreeEvent:
    """An event of a run (``depth`` 0) or of a run below it."""

    run: Run
    depth: int
    event: RunEvent


@asynccontextmanager
async def follow_tree(board: Board, run: Run) -> AsyncGenerator[AsyncIterator[TreeEvent]]:
    """The events of ``run`` and of its children, each run's in order; ends when ``run`` does."""
    send, receive = anyio.create_memory_object_stream[TreeEvent](_BUFFER)

    async def follow(each: Run, depth: int) -> None:
        async for event in each.events():
            await send.send(TreeEvent(each, depth, event))
            if isinstance(event.event, ChildSpawned):
                child = board.run(event.event.child, tenant=run.tenant)
                group.start_soon(follow, child, depth + 1)
        if depth == 0:
            send.close()

    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(follow, run, 0)
            yield receive
            group.cancel_scope.cancel()
