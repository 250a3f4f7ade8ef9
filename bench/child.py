"""Shell: the processes of a measurement, as real as in production, and what they cost."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from callboard.bus.server_binary import tied

_ROOT = Path(__file__).resolve().parent.parent
_TICK = os.sysconf("SC_CLK_TCK")
_READY_WITHIN = 30.0
_HEARD_WITHIN = 60.0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss_mib(pid: int) -> float:
    """Resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no VmRSS: it ended")


class Child:
    """A process that this one has started."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far."""
        return cpu_seconds(self.pid)

    @property
    def rss(self) -> float:
        """MiB resident now."""
        return rss_mib(self.pid)

    def kill(self) -> None:
        """SIGKILL; fine to repeat."""
        with suppress(ProcessLookupError):
            self._process.kill()


class Heard:
    """What processes said in lines of ``<what> <which> <ns>``."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, int]] = {}
        self._changed = anyio.Event()

    def __call__(self, line: str) -> None:
        """A line of a process."""
        what, which, at = line.split()
        self.note(what, which, int(at))

    def note(self, what: str, which: str, at: int) -> None:
        """It was said so; only the first time counts."""
        self._said.setdefault(what, {}).setdefault(which, at)
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def of(self, what: str) -> dict[str, int]:
        """All that was said of ``what``."""
        return self._said.get(what, {})

    async def until(self, true: Callable[[], bool]) -> None:
        """Return when ``true()``. Raises ``TimeoutError``."""
        with anyio.fail_after(_HEARD_WITHIN):
            while not true():
                await self._changed.wait()


@asynccontextmanager
async def child(*arguments: str, heard: Callable[[str], None] | None = None) -> AsyncGenerator[Child]:
    """``python -m bench.role ARGUMENTS`` from its line ``ready`` on; killed at the end.

    ``heard`` is called with every later line of its output.
    """
    command = tied([sys.executable, "-m", "bench.role", *arguments])
    process = await anyio.open_process(command, stdin=DEVNULL, stderr=None, cwd=_ROOT)
    started = Child(process)
    try:
        assert process.stdout is not None
        lines = BufferedByteReceiveStream(process.stdout)
        with anyio.fail_after(_READY_WITHIN):
            first = (await lines.receive_until(b"\n", 200)).decode()
        if first != "ready":
            raise RuntimeError(f"bench.role {arguments} said {first!r} instead of 'ready'")
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, lines, heard)
            yield started
            group.cancel_scope.cancel()
    finally:
        started.kill()
        with anyio.CancelScope(shield=True):
            await process.wait()
            await process.aclose()


async def _listen(lines: BufferedByteReceiveStream, heard: Callable[[str], None] | None) -> None:
    with suppress(anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError):
        while True:
            line = (await lines.receive_until(b"\n", 10_000)).decode()
            if heard is not None:
                heard(line)
