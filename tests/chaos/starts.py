"""Shell: what physically started. One line per start, appended in one write: ``tenant/run call key pid time``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from callboard.actors.history import EffectStart
from callboard.bus.subjects import RunKey

FILE = "starts"


class Recorder:
    """Writes starts to ``starts`` in the current directory.

    ``then`` is called after each of them, ``amid`` when the answer of a model has begun.
    """

    def __init__(self) -> None:
        self.then: Callable[[], None] = lambda: None
        self.amid: Callable[[], None] = lambda: None
        self._file = -1

    def open(self) -> None:
        self._file = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self, run: RunKey, call: str, key: str = "") -> None:
        line = f"{run} {call.replace(' ', '~')} {key or '-'} {os.getpid()} {time.time():.6f}\n"
        os.write(self._file, line.encode())
        self.then()


RECORDER = Recorder()


def read_starts(folder: Path) -> tuple[EffectStart, ...]:
    """Every start that processes in ``folder`` have recorded, in its order."""
    file = folder / FILE
    lines = file.read_text().splitlines() if file.exists() else []
    return tuple(_start(*line.split(" ")) for line in lines)


def _start(run: str, call: str, key: str, pid: str, at: str) -> EffectStart:
    tenant, _, name = run.partition("/")
    return EffectStart(RunKey(tenant, name), call.replace("~", " "), "" if key == "-" else key, float(at), pid=int(pid))
