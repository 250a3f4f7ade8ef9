"""``callboard`` as a real process, for tests of the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
_SET_BY_USERS = ("CALLBOARD_URL", "CALLBOARD_PREFIX", "CALLBOARD_TENANT", "CALLBOARD_LOG_LEVEL", "CALLBOARD_LOG_FORMAT")


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that is to import this tree from wherever it runs."""
    kept = {name: value for name, value in os.environ.items() if name not in _SET_BY_USERS}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **more}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "callboard", *arguments]


def callboard(*arguments: str, cwd: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def document(done: subprocess.CompletedProcess[str], *, code: int = 0) -> Any:
    """The one JSON document that a command printed."""
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@contextmanager
def started(*arguments: str, cwd: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A command that runs as long as the body; SIGTERM ends it, and it must obey."""
    log = (cwd / "stderr.log").open("a")
    process = subprocess.Popen(
        command(*arguments), cwd=cwd, env=environment(**env), stdout=subprocess.PIPE, stderr=log, text=True
    )
    try:
        yield process
    finally:
        log.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def wait_until(condition: Any, *, within: float = 20.0) -> None:
    """Look every few milliseconds until ``condition()``: what other processes do cannot be waited for otherwise."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
