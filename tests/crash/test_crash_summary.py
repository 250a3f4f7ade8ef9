"""SIGKILL of a worker while a model sums up old turns for it, and around that: the run goes on with one summary."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from callboard.bus.messages import ContextRelieved, ModelResponded
from callboard.testing import Call, Rate, Reply, Request, fake_provider
from tests.chaos.zygote import Role, zygote
from tests.crash.matrix import KEY, Ending, Matrix, all_cells, judge

pytestmark = pytest.mark.timeout(180)
WINDOW, ANSWER, PAGES = 6_000, 600, 8
CONFIG = """
providers:
  local: {{kind: openai-chat, base_url: "{url}/v1"}}
agents:
  reader:
    model: {{provider: local, name: open, context: {window}, max_output: {answer}}}
    tools: ["tools.py:read_page"]
prices:
  local/open: {{input: 3, output: 15}}
"""
TOOLS = """
from callboard import tool

@tool(effect="pure")
def read_page(number: int) -> str:
    "Read a page."
    return f"page {number}: " + f"nothing happened on day {number}, and nobody came. " * 100
"""


def sums_up(request: Request) -> bool:
    return "You sum up the work" in json.dumps(request.body)


def reader(request: Request) -> Reply:
    if sums_up(request):
        return Reply('{"goal": "read all pages", "facts": ["they are dull"]}', pace=0.001)
    calls = [call for message in request.body["messages"] for call in message.get("tool_calls", ())]
    last = max((json.loads(call["function"]["arguments"])["number"] for call in calls), default=0)
    if last == PAGES:
        return Reply("All pages are dull.")
    return Reply("I wonder. " * 180, (Call("read_page", {"number": last + 1}),), piece=600)


def answers(ending: Ending) -> list[ModelResponded]:
    events = [event for entry in ending.evidence.journals[KEY] for event in entry.record.events]  # type: ignore[union-attr]
    assert sum(isinstance(event, ContextRelieved) and bool(event.through) for event in events) == len(
        [event for event in events if isinstance(event, ModelResponded) and event.purpose == "summary"]
    )
    return [event for event in events if isinstance(event, ModelResponded)]


async def test_a_worker_killed_while_a_model_sums_up_is_replaced_and_the_run_goes_on(tmp_path: Path) -> None:
    cells = tmp_path / "cells"
    cells.mkdir()
    (tmp_path / "tools.py").write_text(TOOLS)
    async with fake_provider(replies=reader, prices={"open": Rate(3, 15)}) as server:
        text = CONFIG.format(url=server.url, window=WINDOW, answer=ANSWER)
        (tmp_path / "agents.yaml").write_text(text)
        with zygote() as forks:
            board = Matrix("reader", tmp_path / "agents.yaml", lambda place: f"<{place}>", cells, forks)
            nobody = Role("none", "none", str(cells), (), "none", code=str(board.config))
            await anyio.to_thread.run_sync(forks.spawn, nobody)  # it imports the SDK
            calm = await board.cell("count:0", within=60)
            order = [event.call for event in answers(calm)]
            place = f"amid:{order.index('s1') + 1}"
            endings = await all_cells(board, [place])
        assert not judge(calm, calm, "calm") + judge(endings[place], calm, place)
        assert endings[place].died
        assert [event.call for event in answers(endings[place])] == order
        assert endings[place].state.calls["s1"].attempt == 2
        for where, ending in {"count:0": calm, **endings}.items():
            asked = [each for each in server.requests if f"<{where}>" in str(each.body)]
            assert all(each.tokens.input + ANSWER <= WINDOW for each in asked)
            cost, bill = ending.state.accounts.own.usd_micros, sum(each.usd_micros for each in asked)
            assert cost == bill if where == "count:0" else cost > bill  # what was lost is charged as reserved
            assert len(asked) == len(order) + ending.died
