"""Shell: which nats-server to start, and how it is tied to this process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio

from callboard.bus.client import OLDEST_SERVER
from callboard.errors import ConfigError

_INSTALL: Final = "`pip install 'callboard[server]'` brings one"
_ANSWER_WITHIN: Final = 10.0
_VERSION: Final = re.compile(r"\bv?(\d+)\.(\d+)\.(\d+)")
_TIE: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):  # the parent was gone before the call
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


async def find_binary() -> Path:
    """The nats-server of this Python environment, else the first on PATH.

    Raises ``ConfigError`` if there is none, or if it is too old.
    """
    binary = _first_found()
    if binary is None:
        raise ConfigError(f"no nats-server found beside {sys.executable!r} or on PATH: {_INSTALL}")
    try:
        with anyio.fail_after(_ANSWER_WITHIN):
            said = (await anyio.run_process([str(binary), "--version"])).stdout.decode("utf-8", "replace")
    except (OSError, TimeoutError, subprocess.CalledProcessError) as error:
        raise ConfigError(f"{str(binary)!r} does not tell its version ({error!r}): {_INSTALL}") from error
    found = _VERSION.search(said)
    if found is None or tuple(map(int, found.groups())) < OLDEST_SERVER:
        needed = ".".join(map(str, OLDEST_SERVER))
        version = found[0] if found else repr(said[:80])
        raise ConfigError(f"{str(binary)!r} is {version}, callboard needs {needed} or newer: {_INSTALL}")
    return binary


def tied(command: Sequence[str]) -> list[str]:
    """``command`` so that, on Linux, SIGTERM reaches it when the thread that starts it ends, however it ends.

    By way of a small Python that executes it, and not ``preexec_fn``, which may deadlock in a process with threads.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), *command]


def _first_found() -> Path | None:
    for directory in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if os.access(directory / "nats-server", os.X_OK):
            return directory / "nats-server"
    on_path = shutil.which("nats-server")
    return None if on_path is None else Path(on_path).resolve()
