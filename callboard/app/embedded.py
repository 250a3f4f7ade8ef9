"""Shell: a whole deployment in this process: server, supervisor, worker, and the board to talk to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from callboard.actors.actor import Run, running
from callboard.actors.code import AgentCode
from callboard.app.board import Board, open_board
from callboard.app.bus_at import BusAt
from callboard.app.guarding import guards_child
from callboard.app.guards import Guarding
from callboard.app.node import WorkerSettings, supervisor_child, worker_child
from callboard.app.process import process_name
from callboard.app.server import DATA_DIR, kept_server
from callboard.bus.client import DEFAULT_SUBJECTS
from callboard.bus.server import Durability
from callboard.bus.subjects import Subjects
from callboard.config.providers import NO_PROVIDERS, Providers
from callboard.models.registry import OpenModels, opened_models
from callboard.supervisors.supervisor import supervisor
from callboard.supervisors.tree import ChildSpec, SupervisorSpec

_LEAVES_WITHIN: Final = 2.0
_DEFAULT_GUARDING: Final = Guarding()


@dataclass(frozen=True, slots=True)
class Embedded:
    """A deployment inside this process. ``data_dir`` is that of its own server, None on a bus of others."""

    board: Board
    url: str
    data_dir: Path | None


@asynccontextmanager
async def embedded(
    agents: Mapping[str, AgentCode],
    *,
    at: BusAt | None = None,
    data_dir: Path = DATA_DIR,
    durability: Durability = "always",
    subjects: Subjects = DEFAULT_SUBJECTS,
    by: str = "client",
    guarding: Guarding = _DEFAULT_GUARDING,
    providers: Providers = NO_PROVIDERS,
    models: OpenModels = opened_models,
) -> AsyncGenerator[Embedded]:
    """Serve ``agents`` for the time of the context, on the bus ``at`` if given, else on one of our own.

    A server that runs on ``data_dir`` already is used. The guards run here, too.
    """
    async with AsyncExitStack() as stack:
        kept: Path | None = None
        if at is None:
            server = await stack.enter_async_context(kept_server(data_dir, durability=durability))
            at, kept = BusAt((server.url,), subjects), data_dir
        leaving, gone = anyio.Event(), anyio.Event()
        name = process_name()
        settings = WorkerSettings(name)
        worker = worker_child(at, agents, settings, leaving, guarding=guarding, providers=providers, models=models)
        spec = SupervisorSpec((ChildSpec("supervisor"), ChildSpec("guard"), ChildSpec("worker", restart="transient")))
        children = {
            "supervisor": supervisor_child(at, name),
            "guard": guards_child(at, guarding, name=name),
            "worker": _telling(worker, gone),
        }
        async with running(supervisor(spec, children)), open_board(at, by=by) as board:
            yield Embedded(board, ",".join(at.urls), kept)
            leaving.set()  # what it holds of other runs is handed over, not left to be missed
            with anyio.move_on_after(_LEAVES_WITHIN):
                await gone.wait()


def _telling(run: Run, ended: anyio.Event) -> Run:
    async def tell(ready: anyio.Event) -> None:
        await run(ready)
        ended.set()

    return tell
