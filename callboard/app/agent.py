"""Shell: an agent in one line, for scripts and notebooks: ``Agent("agents.yaml", "triage").chat("…")``."""

from __future__ import annotations

import atexit
import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from pydantic import JsonValue

from callboard.app.agents import load_agents
from callboard.app.board import Board
from callboard.app.embedded import embedded
from callboard.app.guards import guarding_of
from callboard.app.server import DATA_DIR
from callboard.config.expectations import nearest
from callboard.config.keys import open_providers
from callboard.config.loader import load
from callboard.errors import ConfigError


class Agent:
    """An agent of a configuration file, ready to talk to.

    It needs no server: one is started with the first ``chat``, in a thread with an event loop of its own (so it works
    inside of a running loop, too), and kept until ``close``, the end of a ``with`` block, or the end of the program.
    Every chat is a run of its own, in a journal in ``data_dir``. Raises ``ConfigError``.
    """

    def __init__(self, file: str | Path, agent: str, *, data_dir: str | Path = DATA_DIR) -> None:
        self.name = agent
        config = load(Path(file))
        self._agents, self._guarding, self._providers = load_agents(config), guarding_of(config), open_providers(config)
        if agent not in self._agents:
            raise ConfigError(f"there is no agent {agent!r} in {str(file)!r}{nearest(agent, self._agents)}")
        self._data_dir = Path(data_dir).absolute()
        self._open: tuple[ExitStack, BlockingPortal, Board] | None = None

    def chat(self, text: str, *, timeout: float | None = None) -> str:
        """Ask, wait, and return the answer; one that is not text is returned as JSON.

        Raises ``RunFailed``, ``RunKilled``, or ``TimeoutError`` after ``timeout`` seconds. The run is killed if the
        waiting ends early.
        """
        _, portal, board = self._started()
        future = portal.start_task_soon(_ask, board, self.name, text, timeout)
        try:
            answer = future.result()
        except BaseException:
            future.cancel()
            raise
        return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)

    def close(self) -> None:
        """End the worker and the server; what they hold is kept. Fine to repeat, and to ``chat`` again."""
        opened, self._open = self._open, None
        if opened is not None:
            atexit.unregister(self.close)
            opened[0].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> tuple[ExitStack, BlockingPortal, Board]:
        if self._open is None:
            with ExitStack() as stack:
                portal = stack.enter_context(start_blocking_portal(name="callboard"))
                deployment = embedded(
                    self._agents, data_dir=self._data_dir, guarding=self._guarding, providers=self._providers
                )
                here = stack.enter_context(portal.wrap_async_context_manager(deployment))
                self._open = (stack.pop_all(), portal, here.board)
            atexit.register(self.close)
        return self._open


async def _ask(board: Board, agent: str, text: str, timeout: float | None) -> JsonValue:
    run = await board.submit(agent, text)
    try:
        return await run.result(timeout)
    except (TimeoutError, anyio.get_cancelled_exc_class()):
        with anyio.CancelScope(shield=True):
            await run.kill("nobody waits for the answer any more")
        raise
