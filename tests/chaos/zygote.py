"""Shell: forks processes from one that has imported everything: a new worker is ready in milliseconds.

They are real processes: SIGKILL and SIGSTOP do to them what they do to any worker. All of them end with their zygote,
and the zygote ends with whoever started it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import anyio

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Role:
    """What a process is. It works in ``folder``: its log and the starts of effects are there."""

    kind: Literal["worker", "dispatcher", "guard", "none"]
    """``none`` is nobody: what ``code`` needs is imported."""
    name: str
    folder: str
    urls: Sequence[str]
    prefix: str
    code: str = "chaos"
    """``chaos``, ``kill``, or the path of a configuration file."""
    fault: str = ""
    """``before:3``, ``stored:3`` (but no acknowledgement seen), ``after:3``: SIGKILL itself at its third write.

    ``during:3``: in its third effect. ``amid:3``: in the third answer of a model that has begun.
    ``freeze:3``: SIGSTOP itself when the third write is stored.
    """
    mutant: str = ""
    replicas: int = 1


class Process:
    """A process by its pidfd: a signal never reaches another one that has got the same pid."""

    def __init__(self, role: Role, pid: int) -> None:
        self.role = role
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    @property
    def alive(self) -> bool:
        return self._fd >= 0 and not select.select((self._fd,), (), (), 0)[0]

    def send(self, what: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, what)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    async def gone(self) -> None:
        """Return when it has ended."""
        await anyio.wait_readable(self._fd)

    async def stopped(self) -> None:
        """Return when it has stopped itself."""
        while self._state != "T":  # noqa: ASYNC110 - not our child: nobody tells
            await anyio.sleep(0.01)

    @property
    def _state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    @property
    def log(self) -> str:
        return (Path(self.role.folder) / f"{self.role.name}.log").read_text()


class Zygote:
    """Spawns processes by their role."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.spawned: list[Process] = []

    def spawn(self, role: Role) -> Process:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(role)).encode() + b"\n")
        self._process.stdin.flush()
        process = Process(role, int(self._process.stdout.readline()))
        self.spawned.append(process)
        return process


@contextmanager
def zygote() -> Generator[Zygote]:
    """A zygote; everything that it has spawned is killed at the end."""
    command = [sys.executable, "-m", "tests.chaos.zygote"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        made = Zygote(process)
        try:
            yield made
        finally:
            for each in made.spawned:
                each.kill()
            process.kill()


def main() -> None:
    """Read roles, one a line; fork; answer with the pid."""
    from tests.chaos.worker_main import code_of, models_of, preload, run

    die_with_parent()
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    for line in sys.stdin.buffer:
        role, parent = Role(**json.loads(line)), os.getpid()
        code_of(role.code)
        models_of(role.code)
        if role.kind == "none":
            sys.stdout.write(f"{parent}\n")
            sys.stdout.flush()
            continue
        gc.freeze()  # what is shared stays shared
        pid = os.fork()
        if pid == 0:
            die_with_parent(parent)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become(role, run)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become(role: Role, run) -> None:
    os.chdir(role.folder)
    log = os.open(f"{role.name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(target, stream)
    code = 1
    try:
        run(role)
        code = 0
    except BaseException:  # noqa: BLE001 - a child must never return into its zygote's loop
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def die_with_parent(parent: int | None = None) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if parent is not None and os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
