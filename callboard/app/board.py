"""Shell: the client. Submit tasks, look at runs, write to them; from scripts, services and the command line."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from callboard.app.bus_at import BusAt
from callboard.app.queued import is_known
from callboard.app.run import Run
from callboard.app.run_event import RunEvent
from callboard.app.server import DATA_DIR
from callboard.app.summary import RunSummary, Status, summaries
from callboard.bus.bus import Bus, open_bus
from callboard.bus.client import DEFAULT_SUBJECTS
from callboard.bus.codec import run_key
from callboard.bus.messages import Task
from callboard.bus.server import live_server
from callboard.bus.subjects import Lane, RunKey, Subjects, TaskAddress, token
from callboard.errors import BusUnreachable

__all__ = ("Board", "Run", "RunEvent", "RunSummary", "bus_at", "connect", "open_board")

URL: Final = "CALLBOARD_URL"


class Board:
    """A connection to a deployment. Made by ``connect``."""

    def __init__(self, bus: Bus, *, by: str) -> None:
        self.bus = bus
        self._by = by

    async def submit(
        self,
        agent: str,
        input: JsonValue,  # noqa: A002 - the word of the message
        *,
        tenant: str = "default",
        lane: Lane = "normal",
        key: str | None = None,
        deadline: datetime | float | None = None,
        run: str | None = None,
    ) -> Run:
        """Store a task. Once this returns, the run happens, whatever crashes.

        ``key``: submissions with the same tenant, agent and key are one run. ``deadline``: an aware instant, or seconds
        from now. ``run``: the id, if you have one. Raises ``QueueFull`` (nothing was stored), ``InvalidMessage``.
        """
        now = self.bus.clock.now()
        until = now + timedelta(seconds=deadline) if isinstance(deadline, int | float) else deadline
        if run is None and key is None:
            run = self.bus.clock.new_id()
        task = Task(input=input, run=run, key=key, deadline=until)
        address = TaskAddress(tenant, agent, lane)
        named = run_key(address, task, sequence=0, stored_at=now)
        await self.bus.tasks.publish(TaskAddress(tenant, agent, lane, named.run), task)
        return self.run(named.run, tenant=tenant)

    def run(self, run_id: str, *, tenant: str = "default") -> Run:
        """The run of that id. Raises ``InvalidMessage`` for what cannot be one."""
        key = RunKey(token(tenant, "tenant"), token(run_id, "run id"))
        return Run(self.bus, key, by=self._by)

    async def knows(self, run: Run) -> bool:
        """Has it begun, or is its task in the queue? What is written to a run that is not known waits for it."""
        return await is_known(self.bus, run.key)

    async def runs(
        self, tenant: str | None = None, status: Status | None = None, limit: int = 50
    ) -> tuple[RunSummary, ...]:
        """The latest runs, newest first, also those that still wait for a worker."""
        return await summaries(self.bus, tenant=tenant, status=status, limit=limit)


@asynccontextmanager
async def connect(
    url: str | None = None, *, prefix: str = "cb", data_dir: Path = DATA_DIR, by: str = "client"
) -> AsyncGenerator[Board]:
    """The board of the deployment at ``url``.

    None: ``$CALLBOARD_URL``, else the server that runs on ``data_dir``. ``url`` may name several, with commas. ``by``
    is who you are, for the journals. Raises ``BusUnreachable``, ``BusRefused``.
    """
    async with open_board(bus_at(url, prefix=prefix, data_dir=data_dir), by=by) as board:
        yield board


@asynccontextmanager
async def open_board(at: BusAt, *, by: str = "client") -> AsyncGenerator[Board]:
    """The board of the deployment ``at`` a bus."""
    async with open_bus(at.urls, subjects=at.subjects, name="callboard-client") as bus:
        yield Board(bus, by=by)


def bus_at(url: str | None, *, prefix: str = DEFAULT_SUBJECTS.prefix, data_dir: Path = DATA_DIR) -> BusAt:
    """``url``, else ``$CALLBOARD_URL``, else the server that runs on ``data_dir``. Raises ``BusUnreachable``."""
    found = url or os.environ.get(URL) or live_server(data_dir)
    if found is None:
        raise BusUnreachable(
            f"no bus: {URL} is not set, and no server runs on {str(data_dir)!r} here. "
            "Start one with `callboard up`, or say where it is with --url nats://host:4222"
        )
    return BusAt(tuple(part.strip() for part in found.split(",") if part.strip()), Subjects(prefix))
