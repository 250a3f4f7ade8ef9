"""What a terminal shows, and what the commands show that run until they are told to end."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from callboard.app.board import Run
from callboard.app.follow import TreeEvent
from callboard.app.run_event import TextEvent
from callboard.bus.deltas import ModelDelta, TextReplaced
from callboard.bus.server import live_server
from callboard.bus.subjects import RunKey
from callboard.cli.screen import Screen
from tests.support.program import callboard, command, document, environment, started

CONFIG = """
agents:
  lead:
    team: [helper]
    model:
      provider: scripted
      turns: [{tools: [{name: delegate, args: {agent: helper, task: go}}]}, {text: "joined"}]
  helper: {model: {provider: scripted, turns: [{text: "helped\\e[31m", delay: 0.5}]}}
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "agents.yaml").write_text(CONFIG)
    return tmp_path


def test_a_terminal_gets_a_live_display_and_no_escape_of_a_model(here: Path) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        command("run", "agents.yaml", "lead", "x"),
        cwd=here, env=environment(TERM="xterm-256color"), stdout=terminal, stderr=terminal, stdin=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = "".join(_read(controller))
    os.close(controller)
    assert process.wait(timeout=20) == 0
    assert "\x1b[" in shown
    assert "⠋" in shown
    assert "model scripted" in shown
    assert "helped�[31m" in shown
    assert "   \x1b[1m▶\x1b[0m helper" in shown


def test_a_terminal_shows_what_a_model_says_as_it_grows(here: Path) -> None:
    words = " ".join(f"w{number}" for number in range(40))
    (here / "agents.yaml").write_text(
        f"agents: {{a: {{model: {{provider: scripted, turns: [{{text: '{words}', chunks: 10, delay: 2}}]}}}}}}"
    )
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        command("run", "agents.yaml", "a", "x"),
        cwd=here, env=environment(TERM="xterm-256color"), stdout=terminal, stderr=terminal, stdin=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = "".join(_read(controller))
    os.close(controller)
    assert process.wait(timeout=20) == 0
    live, answered, _ = shown.partition("✓")
    assert answered
    assert "│ w0 w1 w2" in live
    assert live.count("│ w0") > 2  # again and again, longer each time


def test_text_that_does_not_count_is_marked_and_pieces_are_no_lines_of_their_own() -> None:
    log = io.StringIO()
    screen = Screen(file=log)
    run = Run(cast("Any", None), RunKey("default", "r1"), by="test")
    screen.show(TreeEvent(run, 0, TextEvent(3, ModelDelta(call="m1", attempt=1, n=0, text="half"))))
    screen.show(TreeEvent(run, 0, TextEvent(3, TextReplaced(call="m1", attempt=1))))
    assert log.getvalue() == "↻ model: what attempt 1 said does not count, it is replaced\n"


def test_watch_tells_pieces_of_text_as_json_if_asked(here: Path) -> None:
    (here / "agents.yaml").write_text(
        "agents: {a: {model: {provider: scripted, turns: [{text: one two three, chunks: 3, delay: 1}]}}}"
    )
    with started("up", "agents.yaml", "--durability", "relaxed", cwd=here) as bus:
        assert bus.stdout is not None
        bus.stdout.readline()
        run = callboard("submit", "a", "x", cwd=here).stdout.strip()
        done = callboard("watch", run, "--json", "--tokens", cwd=here)
        told = [json.loads(line) for line in done.stdout.splitlines()]
        pieces = [each for each in told if each["type"] == "model.delta"]
        assert "".join(each["text"] for each in pieces) == "one two three", done.stderr
        assert {"sequence", "call", "attempt", "n", "text"} <= set(pieces[0])
    assert callboard("watch", run, "--tokens", cwd=here).returncode == 2


def _read(descriptor: int) -> Iterator[str]:
    parts = b""
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # Linux: the last process at the other end has gone
            break
        if not part:
            break
        parts += part
    yield parts.decode(errors="replace")


def test_up_without_workers_and_its_parts_as_commands_of_their_own(here: Path) -> None:
    with started("up", "--durability", "relaxed", cwd=here) as bus:
        assert bus.stdout is not None
        assert "0 workers" in bus.stdout.readline()
        url = live_server(here / ".callboard")
        assert url is not None
        options = ("--url", url, "--prefix", "mine")
        with (
            started("supervisor", *options, cwd=here),
            started("worker", "agents.yaml", *options, "--log-format", "json", cwd=here) as worker,
            started("watch", "--all", "--json", *options, cwd=here) as watch,
        ):
            assert watch.stdout is not None
            watching = False
            while not watching:  # it says nothing before something happens
                done = callboard("submit", "lead", "x", "--wait", *options, cwd=here)
                assert done.stdout == "joined\n", done.stderr
                watching = bool(select.select([watch.stdout], [], [], 1.0)[0])
            worker.send_signal(signal.SIGINT)
            assert worker.wait(timeout=20) == 0
            seen = json.loads(watch.stdout.readline())
            assert {"run", "tenant", "sequence", "type"} <= set(seen)
            watch.send_signal(signal.SIGINT)
            assert watch.wait(timeout=20) == 130


def test_every_line_that_a_run_logs_names_the_run_and_its_tenant(here: Path) -> None:
    (here / "jobs.yaml").write_text("functions: [jobs.py]\n")
    (here / "jobs.py").write_text(
        "from callboard import worker\n"
        "@worker('job')\n"
        "async def job(task, run):\n"
        "    run.log.info('working', on=task)\n"
    )
    options = ("--log-format", "json", "--log-level", "info", "--tenant", "acme", "--json")
    done = callboard("run", "jobs.yaml", "job", "x", *options, cwd=here)
    run = document(done)["run"]
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    (line,) = (each for each in lines if each["event"] == "working")
    assert (line["run"], line["tenant"], line["on"]) == (run, "acme", "x")
