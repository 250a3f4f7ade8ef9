"""Shell: a deployment of real processes: nats-server, dispatcher, workers, and a client in this one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import anyio

from bench.child import Child, child
from callboard.app.board import Board, connect
from callboard.bus.client import Connection, Reply
from callboard.bus.server import Durability, embedded_server

Publish: TypeAlias = Callable[[], Awaitable[object]]
PUBLISHERS = 32
_LOOK_SECONDS = 0.005
_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A server with its dispatcher, and the board to talk to it. Workers are started by whoever measures."""

    board: Board
    url: str
    server: int
    """Its process id."""
    dispatcher: Child

    def worker(
        self, name: str = "worker", *, slots: int = 100, heard: Callable[[str], None] | None = None
    ) -> AbstractAsyncContextManager[Child]:
        """One more worker process."""
        return child("worker", self.url, name, str(slots), heard=heard)


@asynccontextmanager
async def deployment(durability: Durability, data: Path) -> AsyncGenerator[Deployment]:
    """A fresh deployment, with its data below ``data``; all of it is gone at the end."""
    with TemporaryDirectory(prefix=".bench-", dir=data) as directory:
        async with (
            embedded_server(Path(directory), durability=durability) as server,
            connect(server.url) as board,
            child("dispatcher", server.url, "dispatcher") as dispatcher,
        ):
            yield Deployment(board, server.url, server.pid, dispatcher)


class Seen:
    """What the feed of all journals has said so far: how many events of each type, and calls for whoever wants one."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.on_event: Callable[[str, str], None] | None = None
        """Called with the run's id and the event's type."""
        self._changed = anyio.Event()

    def deliver(self, message: Reply) -> None:
        """A record came."""
        run = message.subject.rpartition(".")[2]
        for event in message.headers.get("Cb-Events", "").split(","):
            self.count[event] += 1
            if self.on_event is not None:
                self.on_event(run, event)
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def until(self, event: str, count: int) -> None:
        """Return when there were ``count`` events of a type. Raises ``TimeoutError``."""
        with anyio.fail_after(_WITHIN):
            while self.count[event] < count:
                await self._changed.wait()


@asynccontextmanager
async def seeing(connection: Connection) -> AsyncGenerator[Seen]:
    """Read the republished feed of all runs: what is in it is in the journal."""
    seen = Seen()
    async with connection.subscribe(f"{connection.subjects.prefix}.live.>", seen.deliver):
        await connection.barrier()
        yield seen


async def stream_state(connection: Connection, stream: str) -> dict[str, Any]:
    """``messages`` and ``bytes`` of a stream."""
    reply = await connection.request(f"$JS.API.STREAM.INFO.{stream}", timeout=10)
    state: dict[str, Any] = json.loads(reply.payload)["state"]
    return state


async def publish_all(publish: Publish, count: int, *, at_once: int = PUBLISHERS) -> None:
    """Call ``publish`` ``count`` times, ``at_once`` at the same time."""
    left = count

    async def one_after_the_other() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await publish()

    async with anyio.create_task_group() as group:
        for _ in range(min(at_once, count)):
            group.start_soon(one_after_the_other)


async def emptied(connection: Connection, stream: str) -> None:
    """Return when every task of a queue is acknowledged: the same end for the floor and for us."""
    with anyio.fail_after(_WITHIN):
        while (await stream_state(connection, stream))["messages"]:  # noqa: ASYNC110 - the server tells nobody
            await anyio.sleep(_LOOK_SECONDS)


async def all_completed(board: Board) -> None:
    """Every run has ended, and well. Raises ``RuntimeError``."""
    ended = [entry.events async for entry in board.bus.scan()]
    failed = [events for events in ended if "run.completed" not in (events or ())]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(ended)} runs did not complete, e.g. {failed[0]}")
