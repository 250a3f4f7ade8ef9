"""What was said of real runs, live, is what a reducer and a back-test say of their journals afterwards."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from callboard.app.agents import load_agents
from callboard.app.embedded import Embedded, embedded
from callboard.app.guards import Guarding, guarding_of
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import RunKilled, RunSteered, ToolRequested, ToolReturned
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.config.loader import load
from callboard.guards.backtest import judge
from callboard.guards.hosted import Hosted
from tests.guards.conformance.world import plain, said_by, told, up_to_kill
from tests.guards.sidecar.watchers import Journalist

TOOLS = """
from callboard import tool
from tests.guards.conformance.own import Own

@tool(effect="pure")
def stare() -> str:
    '''See the same each time.'''
    return "nothing has changed"
"""
CONFIG = """\
agents:
  starer:
    model: {provider: scripted, loop: true, turns: [{text: Once more., tools: [{name: stare, args: {}}]}]}
    tools: ["staring.py:stare"]
    guards: {loop: {missing: closed}, custom: {own: {use: "staring.py:Own", mode: shadow, missing: open}}}
  busy:
    model:
      provider: scripted
      loop: true
      turns: [{text: a, tools: [{name: stare, args: {}}]}, {text: b, tools: [{name: stare, args: {}}]}]
    tools: ["staring.py:stare"]
    guards: {loop: {mode: shadow}, custom: {own: {use: "staring.py:Own"}}}
  quick:
    model: {provider: scripted, turns: [{tools: [{name: stare, args: {}}]}, {text: Done.}]}
    tools: ["staring.py:stare"]
  short:
    model: {provider: scripted, loop: true, turns: [{tools: [{name: stare, args: {}}]}]}
    tools: ["staring.py:stare"]
    limits: {turns: 2}
"""
ENDS = {"starer": "loop", "busy": "own", "quick": "", "short": ""}


@pytest.mark.timeout(120)
async def test_what_was_said_of_real_runs_is_said_of_their_journals(tmp_path: Path) -> None:
    (tmp_path / "staring.py").write_text(TOOLS)
    (tmp_path / "agents.yaml").write_text(CONFIG)
    config = load(tmp_path / "agents.yaml")
    guarding = guarding_of(config)
    deployment = embedded(
        load_agents(config), data_dir=tmp_path / "data", durability="relaxed", guarding=guarding
    )  # fmt: skip
    async with deployment as here:
        await judging(here, guarding)
        keys = {(await here.board.submit(agent, "go")).key: agent for agent in (*ENDS, *ENDS)}
        for key, agent in keys.items():
            entries = await ended(here, key)
            kills = [event for event in events_in(entries) if isinstance(event, RunKilled)]
            assert [kill.guard for kill in kills] == [ENDS[agent]][: bool(ENDS[agent])]
            for hosted in guarding.hosted:
                await agreed(here, hosted, key, entries)
            await agreed_at_the_gate(here, key, entries)


async def judging(here: Embedded, guarding: Guarding) -> None:
    """Return when all guards judge: what ended before a new guard was there concerns it no more."""
    entries = await ended(here, (await here.board.submit("quick", "go")).key)
    for hosted in guarding.hosted:
        await Journalist(here.board.bus).until_all_judged(entries[-1].sequence, hosted.name)


async def ended(here: Embedded, key: RunKey) -> tuple[Stored, ...]:
    """The journal of a run that is over, and settled."""
    with anyio.fail_after(30):
        async with here.board.bus.watch.follow(key) as entries:
            async for entry in entries:
                if {event.type for event in entry.record.events} & {"run.completed", "run.failed", "run.settled"}:
                    return tuple(await here.board.bus.journals.read(key))
    raise AssertionError("the feed ended")


async def agreed(here: Embedded, hosted: Hosted, key: RunKey, entries: tuple[Stored, ...]) -> None:
    name = hosted.name
    bare = said_by(name, plain(hosted, entries), key=key)
    with anyio.fail_after(20):
        while len(said := await beside(here, name, key)) < len(bare):
            await here.board.bus.connection.barrier()
    assert sorted(map(told, said), key=str) == sorted(bare, key=str)
    trial = judge(hosted, key, entries, until=entries[-1].at)
    again = [] if trial is None else [told(each.event) for each in trial.said]
    assert again == up_to_kill(bare)
    stored = {entry.record.id for entry in entries if entry.record}
    for event in said:
        assert event.acted == (event.id in stored)
        assert not event.acted or (event.mode == "enforce" and event.action in ("nudge", "kill"))
    steers = [event for event in events_in(entries) if isinstance(event, RunSteered) and event.guard == name]
    assert len(steers) == sum(event.acted for event in said if event.action == "nudge")


async def beside(here: Embedded, guard: str, key: RunKey) -> list[GuardEvent]:
    """What the sidecar said: its ids are those of verdicts on entries."""
    return [event for event in await of_run(here, guard, key) if event.id.startswith("g")]


async def of_run(here: Embedded, guard: str, key: RunKey) -> list[GuardEvent]:
    return [event for _, event in await here.board.bus.guard_log.events(guard=guard) if event.run == key.run]


async def agreed_at_the_gate(here: Embedded, key: RunKey, entries: tuple[Stored, ...]) -> None:
    """A call that a gate denied never began, and its outcome says what the guard said."""
    begun = {event.call for event in events_in(entries) if isinstance(event, ToolRequested)}
    refused = {
        event.call: event.problem.message
        for event in events_in(entries)
        if isinstance(event, ToolReturned) and event.problem is not None and event.call not in begun
    }
    with anyio.fail_after(20):
        while refused.items() != (said := await denials(here, key)).items() & refused.items():
            await here.board.bus.connection.barrier()
    assert not begun & set(said)


async def denials(here: Embedded, key: RunKey) -> dict[str, str]:
    events = [event for event in await of_run(here, "*", key) if not event.id.startswith("g")]
    return {event.call: event.reason for event in events if event.action == "deny" and event.acted}


def events_in(entries: tuple[Stored, ...]) -> list:
    return [event for entry in entries if entry.record for event in entry.record.events]
