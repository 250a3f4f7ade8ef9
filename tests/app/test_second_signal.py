"""Who has read that a process leaves may send the second signal: it is heard, however soon it comes."""

from __future__ import annotations

import signal
import subprocess
import sys

LEAVING = """
import logging, os, signal
import anyio
from callboard.app.process import serve

class AtOnce(logging.Handler):
    def emit(self, record):
        os.kill(os.getpid(), signal.SIGTERM)

async def tree(ready):
    ready.set()
    logging.getLogger().addHandler(AtOnce())
    logging.getLogger().setLevel(logging.INFO)
    await anyio.wait_all_tasks_blocked()  # somebody listens for signals
    os.kill(os.getpid(), signal.SIGINT)
    await anyio.sleep_forever()

anyio.run(lambda: serve(tree, anyio.Event(), linger=10.0))
"""


def test_a_second_signal_in_the_very_moment_of_the_first_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVING], timeout=60, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")
