"""What the README and Getting started show is done here, against the real thing."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.page import Block, blocks, missing

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/getting-started.md")
WITHIN = 60.0
pytestmark = pytest.mark.timeout(180)


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    """A shell in ``folder``; what runs in the background ends with it."""
    opened = Session(folder)
    try:
        yield opened
    finally:
        opened.close()


class Session:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD_", "PYTEST_"))}
        self.environment = {**kept, "PATH": path, "COLUMNS": "200", "NO_COLOR": "1", "PYTHONPATH": f"{folder}:{ROOT}"}
        self._background: list[subprocess.Popen[str]] = []

    def play(self, block: Block) -> None:
        match block.kind:
            case "file":
                (self.folder / block.argument).write_text(block.text, encoding="utf-8")
            case "background":
                ((command, _),) = block.commands
                self._start(command, block.argument)
            case "run":
                for command, lines in block.commands:
                    output = self._publish(command) if command.startswith("nats pub ") else self._run(command)
                    assert not missing(lines, output), f"{command}\nprinted\n{output}\nwithout {missing(lines, output)}"
            case _:
                raise AssertionError(f"unknown mark {block.kind!r}")

    def close(self) -> None:
        for process in self._background:
            process.send_signal(signal.SIGTERM)
            process.wait(WITHIN)

    def _run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _start(self, command: str, ready: str) -> None:
        log = self.folder / "background.log"
        with log.open("w") as out:
            argv = shlex.split(command)
            process = subprocess.Popen(argv, cwd=self.folder, env=self.environment, stdout=out, stderr=out, text=True)
        self._background.append(process)
        deadline = time.monotonic() + WITHIN
        while ready not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def _publish(self, command: str) -> str:
        """As the ``nats`` command would: a plain publish, by the protocol of the wire."""
        _, _, subject, text = shlex.split(command)
        state = json.loads((self.folder / ".callboard/callboard-server.json").read_text())
        server = urlsplit(state["url"])
        payload = text.encode()
        with socket.create_connection((server.hostname, server.port), timeout=WITHIN) as connection:
            head = f'CONNECT {{"verbose": false}}\r\nPUB {subject} {len(payload)}\r\n'
            connection.sendall(head.encode() + payload + b"\r\nPING\r\n")
            with connection.makefile() as answers:
                while not answers.readline().startswith("PONG"):
                    pass
        return ""


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_what_happens(page: str, tmp_path: Path) -> None:
    with session(tmp_path) as shell:
        for block in blocks((ROOT / page).read_text(encoding="utf-8")):
            shell.play(block)


def test_lines_that_a_command_does_not_print_are_found() -> None:
    assert missing(["b", "c"], "a b\nd") == ["c"]
    assert missing(["c", "b"], "b c") == ["b"]
    assert missing(["2 passed in …"], "2  passed in 0.1s") == []
