"""Shell: a child of a supervisor that is an OS process, and the heartbeat that shows its event loop alive.

A process whose event loop stalls is as dead as one that crashed, so it has to beat: it inherits the write end of a pipe
(its number is in ``CALLBOARD_BEAT_FD``) and runs ``beat()`` on its event loop. The first beat says that it is ready.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import anyio
from anyio import CancelScope, create_task_group, move_on_after

from callboard.actors.actor import Run
from callboard.errors import CallboardError, ConfigError

BEAT_FD = "CALLBOARD_BEAT_FD"
BEAT_EVERY = 0.25
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class ProcessDied(CallboardError):
    """The process ended by itself, and not with exit code 0. ``code`` is negative for a signal, as in subprocess."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ProcessStalled(CallboardError):
    """The process was alive and did not beat: its event loop was blocked, or it was frozen. It has been killed."""


class SupervisorGone(CallboardError):
    """Nobody reads this process's beats: its supervisor has ended, and so should this process."""


def process_child(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, grace: float = 5.0, stall_after: float = 10.0
) -> Run:
    """A child that runs ``argv`` in a session of its own until it ends, and ends with this process (Linux: even by -9).

    Stopping it is SIGTERM, and SIGKILL to its whole group after ``grace`` seconds (not more than its spec's
    ``shutdown``). After its first beat, ``stall_after`` seconds without one are SIGKILL and ``ProcessStalled``.
    ``env`` replaces the environment. Whatever it leaves in its process group is killed.
    """

    async def run(ready: anyio.Event) -> None:
        reading, writing = os.pipe()
        try:
            os.set_blocking(reading, False)
            try:
                process = await _spawn(argv, os.environ if env is None else env, writing)
            finally:
                os.close(writing)
            try:
                await _watch(process, reading, ready, stall_after)
            finally:
                with CancelScope(shield=True):
                    await _end(process, grace)
        finally:
            os.close(reading)

    return run


async def beat() -> None:
    """Show the supervisor, for as long as it runs, that this event loop turns. Not under a supervisor: nothing.

    Start it when the process is ready. Raises ``SupervisorGone`` when the supervisor has ended.
    """
    # Taken out of the environment: the processes that this one starts must not beat in its place.
    given = os.environ.pop(BEAT_FD, None)
    if given is None:
        return
    if not given.isdecimal():
        raise ConfigError(f"{BEAT_FD} is {given!r}: leave it to the supervisor, or unset it")
    pipe = int(given)
    os.set_inheritable(pipe, False)
    os.set_blocking(pipe, False)
    while True:
        try:
            with suppress(BlockingIOError):  # the supervisor is slow to read; what is in the pipe is proof enough
                os.write(pipe, b".")
        except BrokenPipeError as error:
            raise SupervisorGone("the supervisor of this process has ended: end too") from error
        await anyio.sleep(BEAT_EVERY)


async def _spawn(argv: Sequence[str], env: Mapping[str, str], writing: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        env={**env, BEAT_FD: str(writing)},
        pass_fds=(writing,),
        start_new_session=True,
        preexec_fn=_die_with_parent(os.getpid()),
    )


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    """What the child does between fork and exec. Only system calls: other threads' locks may be held for ever there."""
    if sys.platform != "linux":
        return None

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)

    return prepare


async def _watch(process: asyncio.subprocess.Process, reading: int, ready: anyio.Event, stall_after: float) -> None:
    """Until the process has ended; raise why if not normally."""
    stalled = False

    async def watch_beats() -> None:
        nonlocal stalled
        await _beats_stop(reading, ready, stall_after)
        stalled = True
        _kill_group(process)

    async with create_task_group() as tasks:
        tasks.start_soon(watch_beats)
        await process.wait()
        tasks.cancel_scope.cancel()
    if stalled:
        raise ProcessStalled(f"process {process.pid} did not beat for {stall_after!r} s: killed")
    if code := process.returncode:
        how = f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exit code {code}"
        raise ProcessDied(f"process {process.pid} ended with {how}", code)


async def _beats_stop(reading: int, ready: anyio.Event, stall_after: float) -> None:
    """Return when the process has beaten at least once and then not for ``stall_after`` seconds."""
    await anyio.wait_readable(reading)
    while True:
        try:
            if os.read(reading, 65536):
                ready.set()
            else:  # closed: it ends now, or it has not ended when it should have beaten
                await anyio.sleep(stall_after)
                return
        except BlockingIOError:
            return
        # After the deadline the pipe is read once more: a frozen supervisor must not take its own silence for theirs.
        with move_on_after(stall_after):
            await anyio.wait_readable(reading)


async def _end(process: asyncio.subprocess.Process, grace: float) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with move_on_after(grace):
            await process.wait()
    _kill_group(process)
    await process.wait()


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, when only zombies are left
        os.killpg(process.pid, signal.SIGKILL)
