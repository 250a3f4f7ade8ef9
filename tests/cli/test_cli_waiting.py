"""A run whose closed guard is not there, as a person at a terminal sees it: real processes, start to end."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner

from callboard.bus.subjects import Subjects
from callboard.cli.main import app
from tests.support.bus import bus_url, delete_streams
from tests.support.program import command, environment, started, wait_until

CONFIG = """
agents:
  clerk:
    tools: [list_files, "own_tools.py:stay"]
    model:
      provider: scripted
      turns: [TURNS, {text: done}]
guards:
  loop: {mode: shadow}
  custom: {careful: {use: "own_guards.py:Careful"}}
"""
TURN = "{tools: [{name: list_files, args: {}}], delay: 0.4}"
STAY = "{tools: [{name: stay, args: {}}]}"
TOOLS = """
import time
from pathlib import Path
from callboard import tool
@tool(effect="pure")
def stay() -> str:
    while Path("hold").exists():
        time.sleep(0.01)
    return "on we go"
"""
GUARDS = """
from callboard.guards.kit import Guard
class Careful(Guard[int]):
    name = "careful"
    missing = "closed"
    def start(self, run): return 0
    def observe(self, state, seen): return state, ()
"""


@dataclass(frozen=True)
class Here:
    cwd: Path
    where: tuple[str, ...]

    def said(self, *arguments: str) -> str:
        return CliRunner().invoke(app, [*arguments, *self.where]).stdout

    def ask(self, *arguments: str) -> Any:
        return json.loads(self.said(*arguments, "--json"))

    def turns(self, run: str) -> int:
        return int(self.ask("runs", "show", run)["turns"])


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    prefix = f"t{secrets.token_hex(6)}"
    (tmp_path / "agents.yaml").write_text(CONFIG.replace("TURNS", ", ".join([*[TURN] * 3, STAY, *[TURN] * 7])))
    (tmp_path / "own_tools.py").write_text(TOOLS)
    (tmp_path / "hold").touch()
    (tmp_path / "own_guards.py").write_text(GUARDS)
    yield Here(tmp_path, ("--url", bus_url(), "--prefix", prefix))
    anyio.run(delete_streams, Subjects(prefix))


def _row(here: Here, guard: str) -> list[str]:
    return next(line.split() for line in here.said("guards", "list").splitlines() if line.startswith(guard))


def test_a_run_waits_for_its_closed_guard_and_everything_says_so_until_it_is_there(here: Here) -> None:
    guard = ("guard", "run", "agents.yaml", "--only", "careful", *here.where)
    with started("worker", "agents.yaml", *here.where, cwd=here.cwd):
        run = here.said("submit", "clerk", "go", *here.where).strip()
        watching = subprocess.Popen(
            command("watch", run, *here.where), cwd=here.cwd, env=environment(), stderr=subprocess.PIPE, text=True
        )
        assert watching.stderr is not None
        wait_until(lambda: "waits for guard careful" in here.said("runs", "show", run), within=30)
        (held,) = here.ask("runs", "show", run)["holds"]
        assert (held["kind"], held["guard"], held["reason"]) == (
            "guard", "careful", "none of its processes is heard")  # fmt: skip
        assert "`callboard guards list` shows whether careful is alive" in here.said("runs", "show", run)
        assert "waits for guard careful" in here.said("runs", "list")
        assert "⏸ waits for guard careful: none of its processes is heard" in watching.stderr.readline()

        (strict,) = [each for each in here.ask("guards", "list")["absent"] if each["guard"] == "careful"]
        assert (strict["state"], strict["missing"]) == ("never_seen", "closed")
        assert _row(here, "careful") == ["careful", "never", "seen", "runs", "wait", "for", "it"]
        assert _row(here, "stuck") == ["stuck", "never", "seen", "runs", "go", "on", "without", "it"]

        with started(*guard, cwd=here.cwd) as first:
            wait_until(lambda: here.turns(run) > 1, within=30)
            assert here.ask("runs", "show", run)["holds"] == []
            wait_until(lambda: _row(here, "careful")[1] == "alive", within=30)
            os.kill(first.pid, signal.SIGKILL)
            first.wait(10)
            (here.cwd / "hold").unlink()
            wait_until(lambda: "waits for guard careful" in here.said("runs", "show", run), within=30)
        stopped = here.turns(run)
        wait_until(lambda: _row(here, "careful")[1] == "missing", within=30)
        assert 1 < stopped < 12

        with started(*guard, cwd=here.cwd):
            told = watching.communicate(timeout=30)
            assert (watching.returncode, here.turns(run)) == (0, 12)
        assert here.ask("runs", "show", run)["holds"] == []
    lines = [line for line in told[1].splitlines() if "careful" in line]
    assert [line[0] for line in lines] == ["▶", "⏸", "▶"], told[1]
    assert "guard careful has caught up: the run goes on" in lines[0]
