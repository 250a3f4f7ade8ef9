"""Who configures nothing cannot burn $300: files without a word about guards, and agents that never end."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from callboard.app.agents import load_agents
from callboard.app.embedded import embedded
from callboard.app.guards import guarding_of
from callboard.bus.guard_messages import GuardEvent
from callboard.config.loader import load
from callboard.errors import RunFailed, RunKilled

CAP = 2_000_000
SPENDER = """\
agents:
  spender:
    model:
      provider: scripted
      loop: true
      turns: [{text: Once more., tools: [{name: look, args: {}}], cost_usd: 0.30, usage: {input: 9000, output: 300}}]
    tools: ["looking.py:look"]
"""
LOOPER = SPENDER.replace("look, args", "stare, args").replace(":look", ":stare").replace("0.30", "0.01, delay: 0.1")
"""Open guards let a run go on while they start: its turns take their time, as those of a real model do."""
LOOKING = """
from itertools import count
from callboard import tool

numbers = count()

@tool(effect="pure")
def look() -> str:
    '''See something new each time.'''
    return " ".join(f"{next(numbers) * 7919:x}" for _ in range(20))

@tool(effect="pure")
def stare() -> str:
    '''See the same each time.'''
    return "nothing has changed"
"""


async def outcome_of(path: Path, file: str, last: str) -> tuple[RunFailed | RunKilled, int, list[GuardEvent]]:
    """How the run ended, what it cost in micro-dollars, and what guards said of it up to the action ``last``."""
    (path / "looking.py").write_text(LOOKING)
    (path / "agents.yaml").write_text(file)
    config = load(path / "agents.yaml")
    deployment = embedded(
        load_agents(config), data_dir=path / "data", durability="relaxed", guarding=guarding_of(config)
    )
    async with deployment as here:
        run = await here.board.submit("spender", "go")
        with pytest.raises((RunFailed, RunKilled)) as ended:
            await run.result(timeout=60)
        (summary,) = await here.board.runs()
        said: list[GuardEvent] = []
        with anyio.fail_after(20):
            while not any(event.action == last for event in said):
                said = [event for _, event in await here.board.bus.guard_log.events()]
        assert all(event.run == run.id for event in said)
        return ended.value, summary.cost_usd_micros, said


async def test_an_agent_that_spends_for_ever_ends_by_itself_below_two_dollars(tmp_path: Path) -> None:
    error, cost, said = await outcome_of(tmp_path, SPENDER, "deny")
    assert isinstance(error, RunFailed)
    assert error.kind == "budget"
    assert 0.5 * CAP < cost <= CAP
    actions = [(event.guard, event.action, event.acted) for event in said]
    assert ("budget", "deny", True) in actions
    assert ("budget", "nudge", True) in actions
    assert {event.mode for event in said} == {"enforce"}


async def test_an_agent_that_does_the_same_for_ever_is_stopped_long_before_it_has_spent_that(tmp_path: Path) -> None:
    error, cost, said = await outcome_of(tmp_path, LOOPER, "kill")
    assert isinstance(error, RunKilled)
    assert error.by == "guard:loop"
    assert cost < CAP / 4
    kinds = {(event.guard, event.action) for event in said}
    assert {("loop", "nudge"), ("loop", "kill")} <= kinds


async def test_it_is_the_default_that_stops_it_and_nothing_else(tmp_path: Path) -> None:
    more = "guards: {budget: {run: {usd: 300, tool_calls: 12}}}\n"
    error, cost, _ = await outcome_of(tmp_path, SPENDER + more, "deny")
    assert isinstance(error, RunFailed)
    assert cost > CAP
