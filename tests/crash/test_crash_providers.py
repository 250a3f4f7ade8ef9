"""SIGKILL of a worker at every boundary while it calls a provider through its SDK; the provider counts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from callboard.bus.messages import ModelResponded
from callboard.testing import Call, FakeProvider, Rate, Reply, Request, Tokens, fake_provider
from tests.chaos.evidence import SKEW
from tests.chaos.zygote import Role, zygote
from tests.crash.matrix import KEY, WHEN, Ending, Matrix, all_cells, judge

AGENTS = {"claude": "anthropic/claude", "gpt": "openai/gpt", "open": "local/open"}
CONFIG = """
providers:
  anthropic: {{base_url: "{url}", api_key: "${{file:key}}"}}
  openai: {{base_url: "{url}/v1", api_key: "${{file:key}}"}}
  local: {{kind: openai-chat, base_url: "{url}/v1"}}
agents:
  claude: {{model: anthropic/claude, tools: ["tools.py:look"]}}
  gpt: {{model: openai/gpt, tools: ["tools.py:look"]}}
  open: {{model: local/open, tools: ["tools.py:look"]}}
prices:
  anthropic/claude: &price {{input: 3, output: 15}}
  openai/gpt: *price
  local/open: *price
"""
TOOLS = """
from callboard import tool

@tool(effect="pure")
def look(what: str) -> str:
    "Look it up."
    return f"seen {what}"
"""
TURNS = 3


def answer(request: Request) -> Reply:
    if request.turn < TURNS - 1:
        call = Call("look", {"what": f"it, for the {request.turn}. time"})
        return Reply("hm", (call,), thinking="where may it be?", tokens=Tokens(100, 20), pace=0.001)
    return Reply("It is there.", thinking="so it is there", tokens=Tokens(200, 30), pace=0.001)


@contextmanager
def matrices(folder: Path, url: str) -> Iterator[dict[str, Matrix]]:
    """One for each wire; in each cell the run is asked with the name of the place."""
    (folder / "key").write_text("sk-" + "PLACEHOLDER")
    (folder / "tools.py").write_text(TOOLS)
    config, cells = folder / "agents.yaml", folder / "cells"
    config.write_text(CONFIG.format(url=url))
    cells.mkdir()
    with zygote() as forks:
        yield {agent: Matrix(agent, config, lambda place: f"<{place}>", cells, forks) for agent in AGENTS}


def asked_again(server: FakeProvider, agent: str, place: str, ending: Ending, *, deaths: int) -> list[str]:
    """What the provider can say against it: no answer that is in a journal was asked for again."""
    asked = [each for each in server.requests if each.model == agent and f"<{place}>" in str(each.body)]
    turns = [each.turn for each in asked]
    wrong = [] if len(turns) <= TURNS + deaths and set(turns) == set(range(TURNS)) else [f"it was asked for {turns}"]
    wall = time.time() - time.monotonic()
    for entry in ending.evidence.journals[KEY]:
        for event in entry.record.events if entry.record else ():
            if isinstance(event, ModelResponded) and entry.at is not None:
                late = entry.at.timestamp() + SKEW
                wrong += [f"{event.call} was asked again" for each in asked
                    if each.turn == int(event.call[1:]) - 1 and each.at + wall > late]  # fmt: skip
    cost, bill = ending.state.accounts.own.usd_micros, sum(each.usd_micros for each in asked)
    if cost < bill or (not deaths and cost != bill):
        wrong.append(f"it costs {cost}, the provider bills {bill}")
    return [f"{agent}, {place}: {each}" for each in wrong]


async def judged(board: Matrix, server: FakeProvider, places: Sequence[str] = ()) -> list[str]:
    """What is wrong in the cells of one wire; without ``places``, everywhere.

    At each write of each wire its worker dies: before it, when it is stored, or after it, which is another one on each
    wire. What a write is for does not depend on the wire; ``test_crash_matrix`` has all of them.
    """
    calm = await board.cell("count:0")
    found = judge(calm, calm, "calm") + asked_again(server, board.agent, "count:0", calm, deaths=0)
    turned = tuple(AGENTS).index(board.agent)
    everywhere = [
        *(f"{WHEN[(n + turned) % len(WHEN)]}:{n + 1}" for n in range(calm.writes)),
        *(f"during:{n + 1}" for n in range(calm.starts)),
        *(f"amid:{n + 1}" for n in range(TURNS)),
    ]
    endings = await all_cells(board, list(places) or everywhere)
    for place, ending in endings.items():
        found += judge(ending, calm, f"{board.agent}, {place}")
        found += asked_again(server, board.agent, place, ending, deaths=1)
    missed = [place for place, ending in endings.items() if not ending.died]
    if len(missed) > len(endings) // 5:  # facts that wait together share a write
        found.append(f"nobody died at {missed}")
    return found


async def imported(board: Matrix) -> None:
    """The zygote has the SDKs: that takes seconds, in which nothing else can be done with it."""
    nobody = Role("none", "none", str(board.cells), (), "none", code=str(board.config))
    await anyio.to_thread.run_sync(board.zygote.spawn, nobody)


async def crash(folder: Path, places: dict[str, Sequence[str]]) -> list[str]:
    prices = dict.fromkeys(AGENTS, Rate(3, 15))
    found: list[str] = []
    async with fake_provider(replies=answer, prices=prices) as server:
        with matrices(folder, server.url) as boards:

            async def one(agent: str) -> None:
                found.extend(await judged(boards[agent], server, places[agent]))

            await imported(next(iter(boards.values())))
            async with anyio.create_task_group() as wires:
                for agent in places:
                    wires.start_soon(one, agent)
    return found


async def test_no_completed_call_is_repeated_wherever_a_worker_is_killed_in_a_selection(tmp_path: Path) -> None:
    places = {
        "claude": ("amid:2", "stored:3"),
        "gpt": ("amid:3", "before:5"),
        "open": ("amid:1", "after:4"),
    }  # fmt: skip
    found = await crash(tmp_path, places)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("agent", AGENTS)
async def test_no_completed_call_is_repeated_wherever_a_worker_is_killed(agent: str, tmp_path: Path) -> None:
    found = await crash(tmp_path, {agent: ()})
    assert not found, "\n".join(found)
