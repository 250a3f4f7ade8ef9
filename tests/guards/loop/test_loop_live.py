"""The loop guard on the real bus: an agent that loops reads the note, is denied the repeat, and is killed."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from callboard.app.agents import load_agents
from callboard.app.embedded import embedded
from callboard.app.guards import guarding_of
from callboard.bus.messages import RunKilled as Killed
from callboard.bus.messages import RunSteered, ToolRequested, ToolReturned
from callboard.config.loader import load
from callboard.errors import RunKilled

TOOLS = """
from callboard import tool

@tool(effect="pure")
def stare() -> str:
    '''See the same each time.'''
    return "nothing has changed"
"""
STUBBORN = """\
agents:
  starer:
    model:
      provider: scripted
      loop: true
      turns: [{text: Once more., tools: [{name: stare, args: {}}], delay: 50ms}]
    tools: ["staring.py:stare"]
"""
SENSIBLE = STUBBORN.replace("turns: [{", "turns: [[{when: 'Use what you have|not again', text: I stop.}, {").replace(
    "50ms}]", "50ms}]]"
)


async def played(path: Path, file: str):
    """The events of the run's journal, and how it ended."""
    (path / "staring.py").write_text(TOOLS)
    (path / "agents.yaml").write_text(file)
    config = load(path / "agents.yaml")
    deployment = embedded(
        load_agents(config), data_dir=path / "data", durability="relaxed", guarding=guarding_of(config)
    )
    async with deployment as here:
        run = await here.board.submit("starer", "go")
        ended = None
        try:
            ended = await run.result(timeout=60)
        except RunKilled as error:
            ended = error
        with anyio.fail_after(20):
            entries = await here.board.bus.journals.read(run.key)
        return [event for entry in entries if entry.record for event in entry.record.events], ended


@pytest.mark.timeout(120)
async def test_an_agent_that_loops_reads_the_note_is_denied_the_repeat_and_is_killed(tmp_path: Path) -> None:
    events, ended = await played(tmp_path, STUBBORN)
    (note,) = [event for event in events if isinstance(event, RunSteered)]
    assert note.guard == "loop"
    assert note.text.startswith("You called stare ")
    denied = [event.problem for event in events if isinstance(event, ToolReturned) and event.problem]
    assert denied
    assert denied[0].kind == "denied"
    assert "always with the same result: not again" in denied[0].message
    started = sum(isinstance(event, ToolRequested) for event in events)
    assert started <= 6
    assert isinstance(ended, RunKilled)
    (killed,) = [event for event in events if isinstance(event, Killed)]
    assert killed.guard == "loop"
    assert events.index(note) < events.index(killed)


@pytest.mark.timeout(120)
async def test_an_agent_that_heeds_the_note_or_the_denial_ends_well(tmp_path: Path) -> None:
    events, ended = await played(tmp_path, SENSIBLE)
    assert ended == "I stop."
    assert not [event for event in events if isinstance(event, Killed)]
