"""Shell: a bus with real processes on it, for one run (or a few) to be killed."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio

from callboard.actors.fold import replay
from callboard.actors.kill import Killer
from callboard.actors.receipt import MARGIN, START_WINDOW, Receipt
from callboard.actors.state import RunState
from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import Task
from callboard.bus.subjects import RunKey, Subjects, TaskAddress
from callboard.clock import SystemClock
from tests.chaos.evidence import collect, queued
from tests.chaos.starts import read_starts
from tests.chaos.zygote import Process, Role, Zygote
from tests.support.bus import bus_url, delete_streams

CLOCK = SystemClock()
WITHIN = 20.0
CLOSED = START_WINDOW + MARGIN


@dataclass
class Stage:
    """A bus, and processes on it; every receipt is kept for the history checker."""

    bus: Bus
    forks: Zygote
    role: Role
    receipts: list[Receipt] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return Path(self.role.folder)

    def worker(self, name: str = "worker", **more: str) -> Process:
        return self.forks.spawn(replace(self.role, name=name, **more))

    async def submit(self, agent: str, run: str = "r") -> RunKey:
        await self.bus.tasks.publish(TaskAddress("default", agent, "normal", run), Task(input="x"))
        return RunKey("default", run)

    async def until(self, key: RunKey, predicate: Callable[[RunState], Any]) -> RunState:
        state = RunState()
        with anyio.fail_after(WITHIN):
            async with self.bus.watch.follow(key) as entries:
                async for entry in entries:
                    state = replay((entry,), state)
                    if predicate(state):
                        return state
        raise AssertionError("the feed ended")

    async def kill(self, key: RunKey) -> Receipt:
        receipt = await Killer(self.bus.journals, self.bus.watch, CLOCK).kill(key, reason="test", by="test")
        assert receipt.settled_at is not None
        assert (receipt.settled_at - receipt.accepted_at).total_seconds() <= CLOSED + 0.01
        self.receipts.append(receipt)
        return receipt

    async def killed_by_owner(self, key: RunKey) -> Receipt:
        """Kill a run whose owner lives: it confirms, on a busy machine perhaps only after the window has settled it."""
        receipt = await self.kill(key)
        await self.until(key, lambda state: state.settled)
        if receipt.settled_by != "owner":
            assert receipt.settled_by == "window"
            assert receipt.settled_at == receipt.accepted_at + timedelta(seconds=CLOSED)
        assert receipt.outcome == "killed"
        return receipt

    async def state(self, key: RunKey) -> RunState:
        return replay(await self.bus.journals.read(key))

    async def started(self, count: int = 1) -> None:
        with anyio.fail_after(WITHIN):
            while len(read_starts(self.folder)) < count:  # noqa: ASYNC110 - a file says nothing
                await anyio.sleep(0.01)

    async def judge(self) -> None:
        """Nobody holds a task any more, a while has passed, and the history is without fault."""
        left: Any = "nobody knows"
        with anyio.move_on_after(WITHIN) as patience:
            while left := await queued(self.bus):  # noqa: ASYNC110 - nothing announces an empty queue
                await anyio.sleep(0.02)
        logs = "\n".join(each.log for each in self.forks.spawned if each.role.folder == self.role.folder)
        assert not patience.cancelled_caught, f"queued after {WITHIN:g} s: {left}\n{logs}"
        await anyio.sleep(CLOSED)  # what should not start would have started by now
        evidence = await collect(self.bus, self.folder)
        assert not (found := evidence.violations(self.receipts)), "\n".join(map(str, found))
        ended = {receipt.run: receipt.settled_at.timestamp() for receipt in self.receipts if receipt.settled_at}
        late = [start for start in evidence.starts if start.at > ended.get(start.run.run, float("inf"))]
        assert not late, f"started after it was settled: {late}"


@asynccontextmanager
async def stage(forks: Zygote, folder: Path, *, worker: bool = True, url: str = "") -> AsyncIterator[Stage]:
    subjects = Subjects(f"t{secrets.token_hex(6)}")
    async with open_bus(url or bus_url(), subjects=subjects, name="test", replicas=1) as bus:
        role = Role("worker", "worker", str(folder), (url or bus_url(),), subjects.prefix, code="kill")
        board = Stage(bus, forks, role)
        dispatcher = forks.spawn(replace(role, kind="dispatcher", name="dispatcher"))
        if worker:
            board.worker()
        try:
            yield board
        finally:
            for process in [dispatcher, *forks.spawned]:
                process.kill()
            if not url:
                await delete_streams(subjects)


async def killed_on_its_intent(board: Stage, write: int, *, mutant: str = "") -> None:
    """The worker is frozen when its ``write``-th record is stored, the run killed, the worker thawed."""
    frozen = board.worker(fault=f"freeze:{write}", mutant=mutant)
    key = await board.submit("stepper")
    await frozen.stopped()
    await board.kill(key)
    frozen.thaw()
    await board.judge()
