"""Shell: a run and all that it spawns, as one stream of events, and what closed guards say that hold them back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from callboard.actors.fold import replay
from callboard.app.board import Board, Run, RunEvent
from callboard.app.held import is_hold, waited_for
from callboard.app.run_event import TextEvent, run_events
from callboard.app.waiting import said_of_run
from callboard.bus.guard_log import KeptEvent
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_watch import follow_guards
from callboard.bus.messages import ChildSpawned

_BUFFER: Final = 1_000


@dataclass(frozen=True, slots=True)
class TreeEvent:
    """An event of a run (``depth`` 0) or of one below it, text of its answers, or a closed guard that it waits for."""

    run: Run
    depth: int
    event: RunEvent | TextEvent | GuardEvent


@asynccontextmanager
async def follow_tree(board: Board, run: Run, *, tokens: bool = False) -> AsyncGenerator[AsyncIterator[TreeEvent]]:
    """The events of ``run`` and of its children, each run's in order; ends when ``run`` does.

    ``tokens``: the text of their answers too, as it grows.
    """
    send, receive = anyio.create_memory_object_stream[TreeEvent](_BUFFER)
    bus = board.bus
    with send, receive:
        async with (
            follow_guards(bus.connection, bus.guard_log, tenant=run.tenant) as verdicts,
            anyio.create_task_group() as group,
        ):
            tree = _Tree(board, send, group, tokens=tokens)
            group.start_soon(tree.hear, verdicts)
            group.start_soon(tree.follow, run, 0)
            yield receive
            group.cancel_scope.cancel()


class _Tree:
    """The runs that are followed, and what was told of their guards."""

    def __init__(
        self, board: Board, send: MemoryObjectSendStream[TreeEvent], group: TaskGroup, *, tokens: bool
    ) -> None:
        self._board = board
        self._tokens = tokens
        self._send = send
        self._group = group
        self._followed: dict[str, tuple[Run, int]] = {}
        self._told: set[str] = set()

    async def hear(self, verdicts: AsyncIterator[KeptEvent]) -> None:
        """Tell what closed guards say from now on."""
        async for kept in verdicts:
            if kept.event.run in self._followed and is_hold(kept.event):
                await self._tell(kept.event)

    async def follow(self, run: Run, depth: int) -> None:
        """Tell a run: what happened, which guards it waits for by now, what happens."""
        self._followed[run.id] = (run, depth)
        past, waits = await _waits(self._board, run)
        await self._tell(*(waits if not past else ()))
        count = 0
        async for event in run.events(tokens=True) if self._tokens else run.events():
            await self._pass_on(TreeEvent(run, depth, event))
            if isinstance(event, TextEvent):
                continue
            count += 1
            if count == past:
                await self._tell(*waits)
            if isinstance(event.event, ChildSpawned):
                child = self._board.run(event.event.child, tenant=run.tenant)
                self._group.start_soon(self.follow, child, depth + 1)
        if depth == 0:
            self._send.close()

    async def _tell(self, *events: GuardEvent) -> None:
        for event in events:
            if event.id not in self._told:
                self._told.add(event.id)
                await self._pass_on(TreeEvent(*self._followed[event.run], event))

    async def _pass_on(self, event: TreeEvent) -> None:
        with suppress(anyio.ClosedResourceError):  # children, and guards, may have something to say behind the end
            await self._send.send(event)


async def _waits(board: Board, run: Run) -> tuple[int, tuple[GuardEvent, ...]]:
    """How many events a run has by now, and which guards it waits for behind them."""
    entries = await run.history()
    state = replay(entries)
    said = await said_of_run(board.bus, run.key, state)
    return sum(len(run_events(entry)) for entry in entries), waited_for(state, said)
