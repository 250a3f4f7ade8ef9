"""Shell: an example in many copies at a time; in each a process dies at another place, and another one comes."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import RunCompleted, RunFailed, Task
from callboard.bus.subjects import RunKey, Subjects, TaskAddress
from examples.triage.make_log import lines
from tests.chaos.evidence import Evidence, collect, queued
from tests.chaos.worker_main import WRITES
from tests.chaos.zygote import ROOT, Process, Role, Zygote, zygote
from tests.support.bus import bus_url, delete_streams

AT_ONCE = 16
WHEN = ("before", "stored", "after")
KEY = RunKey("default", "r")
EXAMPLES = {
    "hello": ("hello", "Ada"),
    "triage": ("triage", "Which requests fail?"),
    "lead": ("triage", "Which requests fail, and why?"),
    "etl": ("etl", {"file": "orders.csv"}),
}


@dataclass(frozen=True)
class Ending:
    """What a cell of the matrix came to."""

    state: RunState
    evidence: Evidence
    died: bool
    writes: int
    starts: int
    rows: int
    """What the etl example has in its books."""

    @property
    def result(self) -> Any:
        assert isinstance(self.state.terminal, RunCompleted), self.state.terminal
        return self.state.terminal.result.value


@dataclass(frozen=True)
class Matrix:
    """An example whose worker (or dispatcher) dies in each cell at another place.

    ``given`` is what the run is asked, or says it for a cell.
    """

    agent: str
    config: Path
    given: Any
    cells: Path
    zygote: Zygote

    async def cell(self, fault: str, *, victim: str = "worker", mutant: str = "", within: float = 20) -> Ending:
        """One run; the victim has ``fault``, and once it is dead the rescuer comes. Ends when nobody has work left."""
        subjects = Subjects(f"t{secrets.token_hex(6)}")
        folder = self.cells / subjects.prefix
        folder.mkdir()
        first = Role(
            "worker", "first", str(folder), (bus_url(),), subjects.prefix, code=str(self.config), mutant=mutant
        )
        roles = [first, replace(first, kind="dispatcher", name="dispatcher")]
        marked = [replace(role, fault=fault if role.kind == victim else "") for role in roles]
        async with open_bus(bus_url(), subjects=subjects, name="cell", replicas=1) as bus:
            try:
                processes = [self.zygote.spawn(role) for role in marked]
                doomed = processes[0 if victim == "worker" else 1]
                given = self.given(fault) if callable(self.given) else self.given
                await bus.tasks.publish(TaskAddress("default", self.agent, "normal", KEY.run), Task(input=given))
                async with anyio.create_task_group() as beside:
                    beside.start_soon(self._rescue, doomed, processes)
                    state = await _over(bus, within)
                    with anyio.move_on_after(8):  # whoever holds a spent task acknowledges it
                        while await queued(bus):  # noqa: ASYNC110 - nothing announces an empty queue
                            await anyio.sleep(0.02)
                    beside.cancel_scope.cancel()
                return await self._ending(bus, folder, state, doomed)
            finally:
                for process in processes:
                    process.kill()
                await delete_streams(subjects)

    async def _rescue(self, doomed: Process, processes: list[Process]) -> None:
        await doomed.gone()
        processes.append(self.zygote.spawn(replace(doomed.role, name="rescuer", fault="")))

    async def _ending(self, bus: Bus, folder: Path, state: RunState, doomed: Process) -> Ending:
        evidence = await collect(bus, folder)
        writes = folder / WRITES
        count = len(writes.read_text().splitlines()) if writes.exists() else 0
        return Ending(state, evidence, not doomed.alive, count, len(evidence.starts), booked(folder))


async def _over(bus: Bus, within: float) -> RunState:
    state = RunState()
    with anyio.move_on_after(within):
        async with bus.watch.follow(KEY) as entries:
            async for entry in entries:
                state = replay((entry,), state)
                if state.terminal is not None:
                    break
    return state


@contextmanager
def matrix(agent: str, folder: Path) -> Iterator[Matrix]:
    example, given = EXAMPLES[agent]
    copy = folder / example
    shutil.copytree(ROOT / "examples" / example, copy, ignore=shutil.ignore_patterns("logs", "__pycache__"))
    if example == "triage":
        (copy / "logs").mkdir()
        (copy / "logs" / "shop.log").write_text("\n".join(lines()) + "\n")
    cells = folder / "cells"
    cells.mkdir()
    with zygote() as forks:
        yield Matrix(agent, copy / "agents.yaml", given, cells, forks)


def booked(folder: Path) -> int:
    books = folder / "books.sqlite"
    if not books.exists():
        return 0
    with sqlite3.connect(books) as connection:
        return connection.execute("select count(*) from book").fetchone()[0]


def judge(ending: Ending, calm: Ending, where: str) -> list[str]:
    """What is wrong with a cell, compared with the run that nothing happened to."""
    wrong = [f"{each}" for each in ending.evidence.violations()] + ending.evidence.repeated()
    doubts = ending.state.in_doubt
    if ending.state.terminal is None:
        return [f"{where}: {each}" for each in (*wrong, "it is not over")]
    if isinstance(ending.state.terminal, RunFailed):
        if not doubts or ending.state.terminal.problem.kind != "in_doubt":
            wrong.append(f"failed: {ending.state.terminal.problem}")
    elif ending.result != calm.result:
        wrong.append(f"another result: {ending.result!r}")
    if ending.rows > calm.rows:
        wrong.append(f"{ending.rows} rows in the books")
    return [f"{where}: {each}" for each in wrong]


async def all_cells(board: Matrix, places: list[str], *, victim: str = "worker") -> dict[str, Ending]:
    endings: dict[str, Ending] = {}
    room = anyio.CapacityLimiter(AT_ONCE)

    async def one(place: str) -> None:
        async with room:
            endings[place] = await board.cell(place, victim=victim)

    async with anyio.create_task_group() as cells:
        for place in places:
            cells.start_soon(one, place)
    return endings


def around(writes: int) -> list[str]:
    """Before each write, after it is stored but not yet acknowledged, and after the acknowledgement."""
    return [f"{when}:{n + 1}" for when in WHEN for n in range(writes)]
