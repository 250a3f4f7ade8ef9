"""A claim that the bus refuses again and again: the task waits for better times, and its worker does not spin."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import anyio

from callboard.actors.attempt import Attempt
from callboard.actors.turns import Turns
from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import Record, Resume, RunSteered, Task
from callboard.bus.ports import HeldTask, Journals, Stored
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.errors import StaleAppend
from callboard.models.registry import open_model
from tests.support.bus import bus_url, fresh_bus
from tests.support.fleet import CLOCK, ports, scripted


@dataclass
class RefusingJournals:
    """The journals of a bus that refuses the first appends; before that it lets somebody else write ``signals``."""

    journals: Journals
    refusals: int
    signals: int = 0
    asked: int = 0

    async def append(self, key: RunKey, record: Record, *, expect: int, family: str = "", parent: str = "") -> int:
        self.asked += 1
        if self.asked <= self.signals:
            note = Record(id=CLOCK.new_id(), at=CLOCK.now(), events=(RunSteered(text="a note"),))
            await self.signal(key, note)
        if self.asked <= self.refusals:
            raise StaleAppend(f"run {str(key)!r} has moved")
        return await self.journals.append(key, record, expect=expect, family=family, parent=parent)

    async def signal(self, key: RunKey, record: Record, *, parent: str = "") -> int:
        return await self.journals.signal(key, record, parent=parent)

    async def read(self, key: RunKey, *, after: int = 0) -> Sequence[Stored]:
        return await self.journals.read(key, after=after)


@dataclass
class Told:
    """A held task that keeps what was done with it."""

    task: HeldTask
    done: list[str | float] = field(default_factory=list[str | float])

    @property
    def sequence(self) -> int:
        return self.task.sequence

    @property
    def followed(self) -> bool:
        return self.task.followed

    @property
    def address(self) -> TaskAddress:
        return self.task.address

    @property
    def key(self) -> RunKey:
        return self.task.key

    @property
    def body(self) -> Task | Resume:
        return self.task.body

    async def acknowledge(self) -> None:
        self.done.append("acknowledged")
        await self.task.acknowledge()

    async def release(self, delay: float = 0.0) -> None:
        self.done.append(delay)
        await self.task.release(delay)

    async def progress(self) -> None:
        await self.task.progress()


async def tried(bus: Bus, *, refusals: int, signals: int = 0) -> tuple[RefusingJournals, Told]:
    """One attempt on a bus that refuses so many appends."""
    await bus.tasks.publish(TaskAddress("default", "calc", "normal", "r1"), Task(input="x"))
    (held,) = await bus.tasks.pull("calc", "normal", batch=1, wait=20)
    journals, task = RefusingJournals(bus.journals, refusals, signals), Told(held)
    attempt = Attempt(
        task,
        {"calc": scripted("calc", {"text": "x"})},
        replace(ports(bus), journals=journals),
        "w",
        nullcontext,
        open_model,
        Turns(1),
    )
    with anyio.fail_after(30):
        await attempt.run(lambda _: None)
    return journals, task


async def test_a_claim_that_is_refused_although_nobody_has_written_gives_the_task_back_for_a_while() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="w") as bus:
        journals, task = await tried(bus, refusals=10**9)
        assert journals.asked == 1
        assert task.done == [5.0]


async def test_a_claim_that_is_refused_because_somebody_has_written_is_judged_again_at_once() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="w") as bus:
        journals, task = await tried(bus, refusals=3, signals=3)
        assert journals.asked > 3
        assert task.done == ["acknowledged"]
