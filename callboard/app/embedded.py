"""Shell: a whole deployment in this process: server, supervisor, worker, and the board to talk to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from callboard.actors.actor import Run, running
from callboard.actors.code import AgentCode
from callboard.app.board import Board, open_board
from callboard.app.node import BusAt, WorkerSettings, supervisor_child, worker_child
from callboard.app.process import process_name
from callboard.app.server import DATA_DIR, ServerAt, kept_server
from callboard.bus.client import DEFAULT_SUBJECTS
from callboard.bus.server import Durability
from callboard.bus.subjects import Subjects
from callboard.supervisors.supervisor import supervisor
from callboard.supervisors.tree import ChildSpec, SupervisorSpec

_LEAVES_WITHIN: Final = 2.0


@dataclass(frozen=True, slots=True)
class Embedded:
    """A deployment inside this process."""

    board: Board
    server: ServerAt


@asynccontextmanager
async def embedded(
    agents: Mapping[str, AgentCode],
    *,
    data_dir: Path = DATA_DIR,
    durability: Durability = "always",
    subjects: Subjects = DEFAULT_SUBJECTS,
) -> AsyncGenerator[Embedded]:
    """Serve ``agents`` for the time of the context. A server that runs on ``data_dir`` already is used."""
    async with kept_server(data_dir, durability=durability) as server:
        at = BusAt((server.url,), subjects)
        leaving, gone = anyio.Event(), anyio.Event()
        name = process_name()
        spec = SupervisorSpec((ChildSpec("supervisor"), ChildSpec("worker", restart="transient")))
        children = {
            "supervisor": supervisor_child(at, name),
            "worker": _telling(worker_child(at, agents, WorkerSettings(name), leaving), gone),
        }
        async with running(supervisor(spec, children)), open_board(at) as board:
            yield Embedded(board, server)
            leaving.set()  # what it holds of other runs is handed over, not left to be missed
            with anyio.move_on_after(_LEAVES_WITHIN):
                await gone.wait()


def _telling(run: Run, ended: anyio.Event) -> Run:
    async def tell(ready: anyio.Event) -> None:
        await run(ready)
        ended.set()

    return tell
