"""What an answer costs that is cut off by a kill, or because its worker leaves: what its provider has counted."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from callboard.actors import attempt
from callboard.actors.worker import Drain
from callboard.bus.client import Reply as Message
from callboard.bus.deltas import decode_delta
from callboard.bus.messages import ModelFailed, ModelLateUsage, Usage
from callboard.bus.subjects import RunKey
from callboard.testing import FakeProvider, Fault, Reply, Request, Tokens, fake_provider
from tests.support.fleet import Fleet
from tests.support.provided import PRICES, RATE, charged, codes, told, working

SYSTEM = "You know where things are. " * 300
"""Long enough for the prompt cache."""
SAID = "It is on the table, where it always was, and so is the lamp, yes"
"""What the model has said when it falls silent, in four pieces. It has more to say."""
REPLY = Reply(SAID + ", and that is not all. " * 9)
BEFORE = {"claude": 3, "open": 1}
"""Chunks of an answer that come before its text. Both count their input at once; ``open`` counts with every chunk."""
SETTINGS = {"open": {"continuous_usage_stats": True}}
BLOCK = len('{"type":"text","text":""}')
"""How a text begins at Anthropic: that is heard, too."""


def expected(agent: str, billed: Tokens) -> Usage:
    """What the provider has counted, and for what it said since then, a token for two bytes."""
    output = 1 + -(-(BLOCK + len(SAID)) // 2) if agent == "claude" else billed.output
    return Usage(
        input_tokens=billed.input,
        cached_tokens=billed.cached,
        written_tokens=billed.written,
        output_tokens=output,
        cost_usd_micros=RATE.micros(replace(billed, output=output)),
    )


@asynccontextmanager
async def speaking(board: Fleet, agent: str) -> AsyncGenerator[RunKey]:
    """A run whose model has said ``SAID``, and its worker has heard it."""
    key, heard, text = RunKey("default", f"cut-{agent}"), anyio.Event(), ""

    def deliver(message: Message) -> None:
        nonlocal text
        delta = decode_delta(message.payload)
        assert delta is not None
        text = text[: delta.n] + delta.text
        if text == SAID:
            heard.set()

    connection = board.bus.connection
    async with connection.subscribe(board.subjects.tokens(key), deliver):
        await connection.barrier()
        await board.submit(agent, "Where is the lamp?", run=key.run)
        with anyio.fail_after(30):
            await heard.wait()
        yield key


@asynccontextmanager
async def falling_silent(agent: str, *, workers: int = 1) -> AsyncGenerator[tuple[Fleet, FakeProvider]]:
    """A provider whose first answer stops behind ``SAID``."""
    first = Fault("stall", at=1, after=BEFORE[agent] + 4)
    agents = codes(system=SYSTEM, settings=SETTINGS)
    async with (
        fake_provider(replies=lambda _: REPLY, faults=[first], prices=PRICES) as server,
        working(agents, server.url, workers=workers) as board,
    ):
        yield board, server


async def billed(server: FakeProvider) -> Request:
    request = server.requests[0]
    with anyio.fail_after(30):
        await server.until(lambda: request.billed)
    assert 0 < request.tokens.output < 40, "it had more to say"
    assert request.tokens.written or request.tokens.cached or request.wire != "anthropic"
    return request


@pytest.mark.parametrize("agent", BEFORE)
async def test_a_call_that_a_kill_cuts_off_costs_what_its_provider_has_counted(agent: str) -> None:
    async with falling_silent(agent) as (board, server):
        async with speaking(board, agent) as key:
            await board.kill(key)
        settled = await board.until(key, lambda state: state.terminal and not state.accounts.pending)
        request = await billed(server)
        entries = await board.bus.journals.read(key)
        (late,) = [each for entry in entries for each in entry.record.events if isinstance(each, ModelLateUsage)]
        assert late.usage == expected(agent, request.tokens)
        cost = await charged(board, replace(await told(board, key), state=settled), agent)
        assert cost == late.usage.cost_usd_micros
        assert cost == request.usd_micros if agent == "open" else 0 <= cost - request.usd_micros <= 30 * 15
        assert len(server.requests) == 1


@pytest.mark.parametrize("agent", BEFORE)
async def test_a_call_that_its_leaving_worker_cuts_off_costs_the_same_and_is_made_again(
    agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_STOP_SECONDS", 30.0)  # a busy machine may take long to close the stream
    async with falling_silent(agent, workers=2) as (board, server):
        async with speaking(board, agent) as key:
            state = await board.state(key)
            worker = board.workers[int(state.worker.removeprefix("w"))]
            worker.address.tell(Drain(grace=0.05))
            over = await told(board, key)
        request = await billed(server)
        assert over.end == "completed"
        (cut,) = over.failed
        assert isinstance(cut, ModelFailed)
        assert (cut.problem.kind, cut.usage) == ("cut_short", expected(agent, request.tokens))
        (answered,) = over.responded
        assert answered.usage.cost_usd_micros == server.requests[1].usd_micros
        assert await charged(board, over, agent) == cut.usage.cost_usd_micros + answered.usage.cost_usd_micros
