"""A kill of a run in a model call: the provider sees its HTTP stream closed, whatever it was doing, on all wires."""

from __future__ import annotations

import gc
import time
from contextlib import aclosing

import anyio
import pytest

from callboard.models.port import ChatRequest, UserText
from callboard.models.registry import Models
from callboard.testing import Fault, Reply, Request, fake_provider
from tests.support.fleet import Fleet
from tests.support.provided import PRICES, WIRES, choice, codes, providers, working

PHASES = {
    "silent before its first byte": Reply("x", first=600.0),
    "speaking slowly": Reply("never ending " * 1_000, pace=0.05),
    "speaking as fast as it can": Reply("never ending " * 3_000, piece=8),
    "thinking": Reply("x", thinking="never ending " * 1_000, pace=0.01),
}
STALLED = "silent in the middle"


async def killed(board: Fleet, agent: str, server, *, chunks: int) -> float:
    """Seconds from a kill to the moment at which the provider saw the stream closed."""
    known = len(server.requests)
    key = await board.submit(agent, "talk")
    await server.until(lambda: len(server.requests) > known and server.requests[known].chunks >= chunks)
    request: Request = server.requests[known]
    assert request.left is None
    at = time.monotonic()
    await board.kill(key)
    await server.until(lambda: request.left is not None)
    assert request.done is None
    assert request.left is not None
    return request.left - at


@pytest.mark.parametrize("phase", [*PHASES, STALLED])
async def test_a_kill_closes_the_stream(phase: str) -> None:
    faults = [Fault("stall", after=4)] if phase == STALLED else []
    reply = PHASES.get(phase, Reply("Hello, this is it. " * 9))
    async with (
        fake_provider(replies=lambda _: reply, faults=faults, prices=PRICES) as server,
        working(codes(), server.url) as board,
    ):
        with anyio.fail_after(60):
            for agent in WIRES:
                took = await killed(board, agent, server, chunks=0 if reply.first else 4)
                assert took > 0
        assert len(server.requests) == len(WIRES), "a call was made again"


@pytest.mark.parametrize("agent", WIRES)
async def test_a_call_that_is_cancelled_at_any_moment_leaves_no_connection_behind(agent: str) -> None:
    reply = Reply("Hello, this is it. " * 9, first=0.005, pace=0.001)
    async with fake_provider(replies=lambda _: reply) as server:
        models = Models(providers(server.url))
        model = models.open(choice(agent))
        with anyio.fail_after(30):
            for moment in range(30):
                request = ChatRequest(choice(agent), "", (UserText("hi"),), (), 1, "m1", "r", "hi", 30.0)
                with anyio.move_on_after(moment * 0.002):
                    async with aclosing(model.stream(request)) as stream:
                        async for _ in stream:
                            pass
            await models.aclose()
            await server.until(lambda: all(_is_over(each) for each in server.requests))
    gc.collect()  # a socket that nobody closed would be an error now


def _is_over(request: Request) -> bool:
    return request.left is not None or request.done is not None
