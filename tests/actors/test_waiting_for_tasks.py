"""A worker with free slots waits at every lane of every agent, and goes on waiting there while it works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anyio

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.messages import Resume, Task
from callboard.bus.ports import HeldTask, Tasks
from callboard.bus.subjects import LANES, Lane, TaskAddress
from tests.support.bus import bus_url, fresh_bus
from tests.support.fleet import Fleet, fleet, function, ports


class Asked:
    """The tasks of a bus, how often somebody looked for some without waiting, and how often he waited."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self.looks, self.waits = 0, 0
        self.changed = anyio.Event()

    async def publish(self, address: TaskAddress, body: Task | Resume, *, dedup: str = "") -> int:
        return await self._tasks.publish(address, body, dedup=dedup)

    async def exists(self, sequence: int) -> bool:
        return await self._tasks.exists(sequence)

    async def pull(self, agent: str, at: Lane, *, batch: int, wait: float) -> Sequence[HeldTask]:
        self.looks += wait == 0
        self.waits += wait > 0
        self.changed.set()
        self.changed = anyio.Event()
        return await self._tasks.pull(agent, at, batch=batch, wait=wait)


@worker("a")
async def a(_task: str, _run: RunContext) -> None:
    """Nothing."""


@worker("b")
async def b(_task: str, _run: RunContext) -> None:
    """Nothing."""


@worker("c")
async def c(_task: str, _run: RunContext) -> None:
    """Nothing."""


async def test_a_task_that_comes_alone_leaves_the_others_waiting_where_they_wait() -> None:
    agents = {each.spec.name: function(each) for each in (a, b, c)}
    async with (
        fresh_bus() as connection,
        open_bus(bus_url(), subjects=connection.subjects, name="w") as bus,
        anyio.create_task_group() as group,
    ):
        board = Fleet(bus, connection.subjects, agents, group)
        asked = Asked(bus.tasks)
        async with Worker(agents, replace(ports(bus), tasks=asked), name="w", slots=100):
            with anyio.fail_after(30):
                while not asked.waits:
                    await asked.changed.wait()
            looks = asked.looks
            for number in range(6):
                await board.over(await board.submit("abc"[number % 3], number))
        group.cancel_scope.cancel()
    assert asked.looks == looks


async def test_who_has_no_slot_left_waits_nowhere() -> None:
    over = anyio.Event()

    @worker("long")
    async def long(_task: str, run: RunContext) -> None:
        await run.step("work", over.wait)

    async with fleet(function(long), workers=0) as board:
        await board.worker(slots=len(LANES), name="first")
        for lane in LANES:
            taken = await board.until(await board.submit("long", "x", lane=lane), lambda state: bool(state.worker))
            assert taken.worker == "first"
        last = await board.submit("long", "x")
        await board.worker(slots=1, name="second")
        assert (await board.until(last, lambda state: bool(state.worker))).worker == "second"
        over.set()
