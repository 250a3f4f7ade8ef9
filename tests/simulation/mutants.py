"""Shell: the product with one rule switched off. The simulation must notice each of them, or it is not worth much."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from callboard.actors import claim
from callboard.actors.attempt import Attempt
from callboard.actors.claim import Claim, Spent
from callboard.supervisors.dispatcher import Dispatcher
from tests.simulation.server import Server

Mutant = Callable[[], Any]
_carry, _leave, _handle, _fire, _append = (
    Attempt._carry,
    Attempt._leave,
    Dispatcher._handle,
    Dispatcher._fire,
    Server.append,
)
_judge = claim.judge


@contextmanager
def no_compare_and_set() -> Generator[None]:
    """Appends are stored whatever the journal holds."""

    def append(self: Server, key: Any, record: Any, *, expect: Any, **more: Any) -> int | None:
        return _append(self, key, record, expect=None, **more)

    with patch.object(Server, "append", append):
        yield


@contextmanager
def no_start_window() -> Generator[None]:
    """An effect starts however late the acknowledgement of its intent came."""
    with patch("callboard.actors.owner.START_WINDOW", math.inf):
        yield


@contextmanager
def acknowledge_first() -> Generator[None]:
    """The worker acknowledges its task before the run has ended."""

    async def carry(self: Attempt, owner: Any) -> None:
        await self.task.acknowledge()
        await _carry(self, owner)

    with patch.object(Attempt, "_carry", carry):
        yield


@contextmanager
def fenced_acknowledges() -> Generator[None]:
    """A worker that has lost its run to another acknowledges the task."""

    async def leave(self: Attempt, owner: Any) -> None:
        await _leave(self, owner)
        if not self.mine:
            await self.task.acknowledge()

    with patch.object(Attempt, "_leave", leave):
        yield


@contextmanager
def run_again_in_doubt() -> Generator[None]:
    """A call that must not run twice is started again after a takeover."""

    def none(_state: object) -> tuple[()]:
        return ()

    with patch("callboard.actors.decide.doubts", none), patch("callboard.actors.function.doubts", none):
        yield


@contextmanager
def dispatcher_acknowledges_first() -> Generator[None]:
    """The dispatcher acknowledges an entry before it has done what the entry owes."""

    async def handle(self: Dispatcher, entry: Any, room: Any) -> None:
        await entry.acknowledge()
        await _handle(self, entry, room)

    with patch.object(Dispatcher, "_handle", handle):
        yield


@contextmanager
def timer_acknowledged_first() -> Generator[None]:
    """The dispatcher acknowledges a due timer before its signal is in the journal."""

    async def fire(self: Dispatcher, timer: Any, room: Any) -> None:
        await timer.acknowledge()
        await _fire(self, timer, room)

    with patch.object(Dispatcher, "_fire", fire):
        yield


@contextmanager
def blind_receipt() -> Generator[None]:
    """A receipt says settled as soon as the kill is accepted."""
    with patch("callboard.actors.receipt._settled", lambda _state, accepted_at, _now, _window: ("owner", accepted_at)):
        yield


@contextmanager
def any_task_resumes() -> Generator[None]:
    """Any task claims a suspended run."""

    def judge(state: Any, task: Any) -> Any:
        verdict = _judge(state, task)
        return (
            Claim(creates=False) if isinstance(verdict, Spent) and state.suspended and not state.terminal else verdict
        )

    with patch("callboard.actors.attempt.judge", judge):
        yield


@contextmanager
def any_task_takes_over() -> Generator[None]:
    """Any task claims a run that another task holds."""

    def judge(state: Any, task: Any) -> Any:
        verdict = _judge(state, task)
        return Claim(creates=False) if isinstance(verdict, Spent) and state.owner and not state.terminal else verdict

    with patch("callboard.actors.attempt.judge", judge):
        yield


MUTANTS: dict[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        no_compare_and_set, no_start_window, acknowledge_first, fenced_acknowledges, run_again_in_doubt,
        dispatcher_acknowledges_first, timer_acknowledged_first, blind_receipt, any_task_resumes, any_task_takes_over,
    )
}  # fmt: skip
