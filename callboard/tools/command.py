"""Shell: a command as a child process of which nothing is left when the call returns, however it returns."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import anyio

from callboard.config.times import duration
from callboard.errors import ToolError
from callboard.tools.context import ToolContext

KEPT: Final = 1_000_000
"""Bytes of each output stream that are kept; the rest is read and counted."""
_DYING: Final = 2.0
"""Seconds to wait for killed processes; only one that hangs in the kernel takes longer."""
_DRAINING: Final = 0.5
"""Seconds to wait for the end of the output, once nothing of the group is left to write it."""
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
"""Loaded before any fork: the child may not import or load anything."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended. ``code`` is its exit status, or minus the signal. A cut output says so at its end."""

    code: int
    stdout: str
    stderr: str


async def run_command(
    argv: Sequence[str],
    *,
    context: ToolContext,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | bytes = b"",  # noqa: A002  # the name that subprocess uses
    timeout: float | None = None,
    keep: int = KEPT,
) -> CommandResult:
    """Run ``argv`` (no shell) in a session of its own; ``env`` None inherits ours. ``timeout`` in seconds.

    When the command itself has exited, on timeout and on cancellation, its whole process group gets SIGKILL, and the
    call returns when the group is gone. A process that leaves the group (``setsid``) is out of reach. On Linux the
    command also dies with this process. Raises ``ToolError``: ``timeout``, ``not_started``.
    """
    seconds = context.deadline if timeout is None else min(timeout, context.deadline)
    output = _Output(keep)
    transport: asyncio.SubprocessTransport | None = None
    with anyio.CancelScope(shield=True):  # cancelled half way, a child would be there that nobody knows
        transport = await _start(argv, output, cwd=cwd, env=env)
    assert transport is not None
    try:
        with anyio.move_on_after(seconds) as scope:
            _feed(transport, input.encode() if isinstance(input, str) else input)
            await output.exited.wait()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(transport, output)
    if scope.cancelled_caught:
        raise ToolError("timeout", f"{argv[0]!r} took longer than {duration(seconds)} and was killed")
    code = transport.get_returncode()
    assert code is not None
    return CommandResult(code, output.text(1), output.text(2))


class _Output(asyncio.SubprocessProtocol):
    """What the child writes, and when it is over. asyncio's protocol class is the port that subprocesses have."""

    def __init__(self, keep: int) -> None:
        self.exited = anyio.Event()
        self.closed = anyio.Event()
        self._keep = keep
        self._kept = {1: bytearray(), 2: bytearray()}
        self._sizes = {1: 0, 2: 0}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._sizes[fd] += len(data)
        self._kept[fd] += data[: self._keep - len(self._kept[fd])]

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol passes it
        self.closed.set()

    def text(self, fd: int) -> str:
        kept, size = self._kept[fd], self._sizes[fd]
        note = f"… {size:,} bytes in all, cut" if size > len(kept) else ""
        return kept.decode(errors="replace") + note


async def _start(
    argv: Sequence[str], output: _Output, *, cwd: str | Path | None, env: Mapping[str, str] | None
) -> asyncio.SubprocessTransport:
    try:
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: output,
            *argv,
            cwd=cwd,
            env=env,
            start_new_session=True,
            preexec_fn=functools.partial(_die_with_parent, os.getpid()) if _LIBC else None,
        )
    except (OSError, ValueError) as error:
        raise ToolError("not_started", f"{argv[0]!r} could not be started: {error}") from error
    return transport


def _die_with_parent(parent: int) -> None:
    """In the child, before exec. One system call on a library that is loaded, so that no lock of ours is needed."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be watched
        os._exit(1)


def _feed(transport: asyncio.SubprocessTransport, data: bytes) -> None:
    pipe = cast("asyncio.WriteTransport | None", transport.get_pipe_transport(0))
    assert pipe is not None
    pipe.write(data)
    pipe.close()


async def _end(transport: asyncio.SubprocessTransport, output: _Output) -> None:
    group = transport.get_pid()
    _signal_group(group, signal.SIGKILL)
    await output.exited.wait()
    with anyio.move_on_after(_DYING):
        while _is_alive(group):  # noqa: ASYNC110  # nothing announces the end of a group
            await anyio.sleep(0.005)
    with anyio.move_on_after(_DRAINING):
        # Only a process that left the group can still hold the pipes open.
        await output.closed.wait()
    transport.close()


def _is_alive(group: int) -> bool:
    """Whether a process of the group can still do anything. Orphans may stay zombies: not every PID 1 reaps them."""
    if not _signal_group(group, 0):
        return False
    states = (_state_in(group, stat) for stat in Path("/proc").glob("[0-9]*/stat"))
    return not _LIBC or any(state not in {"", "Z", "X"} for state in states)


def _state_in(group: int, stat: Path) -> str:
    """The state letter of a process of the group, ``""`` for all others. Fields as in proc(5)."""
    try:
        state, _, group_of_process, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):  # it ended meanwhile
        return ""
    return state if int(group_of_process) == group else ""


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
