"""Runs that go from one provider to the other in the middle, with both real adapters on the fake provider."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from callboard.actors.code import AgentCode
from callboard.actors.worker import Worker
from callboard.bus.messages import ModelFailed, ModelRequested, ModelResponded
from callboard.config.guards import Price
from callboard.config.providers import Provider, Providers
from callboard.config.spec import AgentSpec, Limits, ModelChoice
from callboard.models.registry import opened_models
from callboard.testing import Call, FakeProvider, Fault, Rate, Reply, Request, Tokens, fake_provider
from callboard.tools.tool import tool
from tests.support.fleet import Fleet, fleet, ports

PRICE = Price(input=3, output=15)
CLAUDE = ModelChoice(provider="anthropic", name="claude", price=PRICE)
GPT = ModelChoice(provider="openai", name="gpt", price=PRICE)


@tool(effect="pure")
def look(what: str) -> str:
    """Look it up."""
    return f"seen {what}"


def answer(request: Request) -> Reply:
    if request.turn < 2:
        return Reply("hm", calls=(Call("look", {"what": "it"}),), thinking="let me see", tokens=Tokens(100, 20))
    return Reply(f"said by {request.model}", tokens=Tokens(150, 10))


@asynccontextmanager
async def chained(*faults: Fault, replies: Any = answer) -> AsyncGenerator[tuple[Fleet, FakeProvider]]:
    spec = AgentSpec(name="a", model=CLAUDE, fallbacks=(GPT,), tools=(look.spec,), limits=Limits(model_attempts=2))
    code = AgentCode(spec, {"look": look})
    served = fake_provider(replies=replies, faults=faults, prices={"claude": Rate(3, 15), "gpt": Rate(3, 15)})
    async with served as server, fleet(code, workers=0) as board:
        by_name = {
            "anthropic": Provider("anthropic", "PLACEHOLDER", server.url),
            "openai": Provider("openai", "PLACEHOLDER", f"{server.url}/v1"),
        }
        async with (
            opened_models(Providers(by_name), spec.models) as models,
            Worker({"a": code}, ports(board.bus), name="w", open_model=models.open),
        ):
            yield board, server


async def play(board: Fleet) -> tuple[Any, list[Any]]:
    key = await board.submit("a", "x")
    state = await board.over(key)
    return state, [event for entry in await board.bus.journals.read(key) for event in entry.record.events]


def of(events: list[Any], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def is_down(request: Request) -> bool:
    return request.model == "claude" and request.turn == 1


@pytest.mark.parametrize("trouble", ["overloaded", "retired", "quota", "context", "truncate", "drop"])
async def test_a_run_goes_on_with_the_other_provider_in_the_middle_and_the_bill_is_right(trouble):
    async with chained(Fault(trouble, at=is_down)) as (board, server):
        state, events = await play(board)
        answered = {each.call: state.calls[each.call].name for each in of(events, ModelResponded)}
        assert (state.outcome, list(answered)) == ("completed", ["m1", "m2", "m3"])
        assert answered["m1"] == "anthropic/claude"
        assert answered["m2"] == "openai/gpt", "although the history has the blocks of the first"
        failed = of(events, ModelFailed)
        assert failed
        assert failed[-1].left == ("for_good" if trouble in ("retired", "quota", "context") else "for_now")
        assert len(server.requests) == len(of(events, ModelRequested))
        if trouble not in ("truncate", "drop"):
            assert state.accounts.spent.usd_micros == server.total.usd_micros


async def test_a_run_with_the_blocks_of_the_second_provider_stays_with_it_and_the_next_run_begins_with_the_first():
    async with chained(Fault("overloaded", at=lambda request: request.model == "claude" and request.number <= 2)) as (
        board,
        server,
    ):
        state, _ = await play(board)
        assert state.terminal.result.value == "said by gpt"
        assert {call.name for call in state.calls.values() if call.kind == "model"} == {"openai/gpt"}
        assert [each.model for each in server.requests] == ["claude", "claude", "gpt", "gpt", "gpt"]
        state, _ = await play(board)
        assert state.terminal.result.value == "said by claude"


@pytest.mark.parametrize("stop", ["max_tokens", "refusal"])
async def test_an_answer_that_its_provider_cut_off_fails_the_run_with_what_there_is(stop):
    async with chained(replies=lambda _: Reply("half an ans", stop=stop)) as (board, _):
        state, _ = await play(board)
        assert (state.outcome, state.terminal.problem.kind) == ("failed", f"model_{stop}")
