"""Runs that read more than their model's context window holds, through the real SDKs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from callboard.actors.code import AgentCode
from callboard.bus.messages import ContextRelieved
from callboard.config.spec import AgentSpec, Limits
from callboard.testing import Call, FakeProvider, Fault, Reply, Request, fake_provider
from callboard.tools.recall import recall
from callboard.tools.tool import AnyTool, tool
from tests.support.fleet import Fleet
from tests.support.provided import PRICES, WIRES, charged, choice, told, working

WINDOW, ANSWER, PAGES = 6_000, 600, 16
SUMMARY = {"goal": "read all pages", "facts": ["pages 1 to 9 are dull"], "open_items": ["the rest"]}


@tool(effect="pure")
def read_page(number: int) -> str:
    """Read a page."""
    return f"page {number}: " + f"nothing happened on day {number}, and nobody came. " * 100


def pages(request: Request) -> list[int]:
    """The pages that the request says were asked for."""
    text = json.dumps(request.body).replace("\\\\", "").replace('\\"', '"')
    return [number for number in range(1, PAGES + 1) if f'{{"number": {number}}}' in text]


def sums_up(request: Request) -> bool:
    return "You sum up the work" in json.dumps(request.body)


def reader(request: Request) -> Reply:
    """Page by page to the last one; it thinks aloud, which nobody can clear."""
    if sums_up(request):
        return Reply(json.dumps(SUMMARY))
    last = max(pages(request), default=0)
    if last == PAGES:
        return Reply("All pages are dull.")
    return Reply(f"On to page {last + 1}. " + "I wonder. " * 90, (Call("read_page", {"number": last + 1}),))


class First:
    """The first requests that are turns, or go to another model, and of which something holds."""

    def __init__(self, count: int, holds: Callable[[Request], bool]) -> None:
        self.left, self.holds = count, holds

    def __call__(self, request: Request) -> bool:
        hit = self.left > 0 and self.holds(request) and (request.model == "open" or not sums_up(request))
        self.left -= hit
        return hit


def agent(name: str, *, tools: Sequence[AnyTool] = (read_page,), **more: Any) -> AgentCode:
    model = choice(name, context=WINDOW, max_output=ANSWER)
    spec = AgentSpec(name=name, model=model, tools=tuple(each.spec for each in tools), limits=Limits(turns=40), **more)
    return AgentCode(spec, {each.spec.name: each for each in tools})


def within(server: FakeProvider) -> None:
    """No request was beyond the window, as the provider counts."""
    for request in server.requests:
        tokens = request.tokens
        assert tokens.input + tokens.cached + tokens.written + ANSWER <= WINDOW


async def reliefs(board: Fleet, run: Any) -> list[ContextRelieved]:
    entries = await board.bus.journals.read(run.key)
    return [event for entry in entries for event in entry.record.events if isinstance(event, ContextRelieved)]


@pytest.mark.parametrize("name", WIRES)
async def test_a_run_reads_far_more_than_its_window_holds_and_pays_what_the_provider_bills(name: str) -> None:
    async with (
        fake_provider(replies=reader, prices=PRICES) as server,
        working({name: agent(name)}, server.url) as board,
    ):
        run = await told(board, await board.submit(name, "read it all"), within=90)
        assert run.end == "completed"
        within(server)
        assert await charged(board, run, name) == server.bill[name].usd_micros
        done = await reliefs(board, run)
        assert any(event.cleared for event in done)
        summed_up = [event for event in done if event.through]
        assert summed_up
        assert all(event.summary.value == SUMMARY for event in summed_up)
        assert len([each for each in run.responded if each.purpose == "turn"]) == PAGES + 1
        assert sum(sums_up(request) for request in server.requests) == len(summed_up)


async def test_a_summary_is_made_by_its_own_model_and_by_the_agents_when_that_one_is_down() -> None:
    code = agent("gpt", summary=choice("open", max_output=ANSWER))
    down = Fault("auth", at=First(1, lambda request: request.model == "open"))
    async with (
        fake_provider(replies=reader, prices=PRICES, faults=(down,)) as server,
        working({"gpt": code}, server.url) as board,
    ):
        run = await told(board, await board.submit("gpt", "read it all"), within=90)
        assert run.end == "completed"
        asked = [each.model for each in run.requested if each.purpose == "summary"]
        assert asked[:3] == ["openai-chat/open", "openai/gpt", "openai-chat/open"]
        assert [each.entry for each in run.requested if each.purpose == "summary"][:3] == [1, 0, 1]
        assert run.state.accounts.own.usd_micros == server.total.usd_micros


@pytest.mark.parametrize(("refused", "end"), [(2, "completed"), (3, "model_context")])
async def test_a_window_that_nobody_knows_is_found_out_by_a_refusal_twice_at_most(refused: int, end: str) -> None:
    code = agent("claude")
    assert code.spec.model is not None
    unknown = code.spec.model_copy(update={"model": code.spec.model.model_copy(update={"context": None})})
    too_large = Fault("context", at=First(refused, lambda request: max(pages(request), default=0) == 8))
    async with (
        fake_provider(replies=reader, prices=PRICES, faults=(too_large,)) as server,
        working({"claude": replace(code, spec=unknown)}, server.url) as board,
    ):
        run = await told(board, await board.submit("claude", "read it all"), within=90)
        assert run.end == end
        done = await reliefs(board, run)
        assert [event.window for event in done] == [0, 0]
        assert all(event.after <= share * event.before for event, share in zip(done, (0.5, 0.9), strict=True))
        assert {event.call for event in done} == {"m9"}
        assert await charged(board, run, "claude") == server.bill["claude"].usd_micros


async def test_what_was_cleared_can_be_recalled_from_the_journal() -> None:
    def curious(request: Request) -> Reply:
        body = json.dumps(request.body)
        if sums_up(request) or max(pages(request), default=0) < PAGES:
            return reader(request)
        asked = '"name": "recall"' in body.replace('"tools"', "", 1).split('"messages"')[-1]
        return Reply("Now I know.") if asked else Reply("", (Call("recall", {"call": "m2.0"}),))

    async with (
        fake_provider(replies=curious, prices=PRICES) as server,
        working({"claude": agent("claude", tools=(read_page, recall))}, server.url) as board,
    ):
        run = await told(board, await board.submit("claude", "read it all"), within=90)
        assert run.end == "completed"
        (call,) = [call for call in run.state.calls.values() if call.name == "recall"]
        assert call.result.value == read_page(2)
        assert "m2.0" in run.state.relief.cleared or run.state.relief.through
