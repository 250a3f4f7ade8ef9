"""Runs that start together on a cold prompt cache, with the real SDKs: one writes it, the others read it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from callboard.actors.code import AgentCode
from callboard.config.spec import AgentSpec, Limits
from callboard.testing import FakeProvider, Fault, Reply, fake_provider
from tests.support.fleet import Fleet
from tests.support.provided import PRICES, Told, choice, told, working

LONG = "Read everything that you are given with great care. " * 500
RUNS = 20


@asynccontextmanager
async def crowd(
    agent: str = "claude", *,
    warm: bool = True, faults: Sequence[Fault] = (), first: float = 0.2, pace: float = 0.0, **limits: Any,
) -> AsyncGenerator[tuple[Fleet, FakeProvider]]:  # fmt: skip
    """A worker for one agent with a long prompt, whose answers take a while to begin."""
    spec = AgentSpec(name=agent, model=choice(agent, warm=warm), system=LONG, limits=Limits(**limits))
    reply = Reply("done, and so on", first=first, pace=pace)
    async with (
        fake_provider(replies=lambda _: reply, faults=faults, prices=PRICES) as server,
        working({agent: AgentCode(spec)}, server.url) as board,
    ):
        yield board, server


async def all_over(board: Fleet, keys: Sequence[Any]) -> list[Told]:
    return [await told(board, key) for key in keys]


@pytest.mark.parametrize("agent", ["claude", "gpt"])
async def test_of_runs_that_start_together_one_writes_the_cache_and_the_others_read_it(agent):
    async with crowd(agent) as (board, server):
        runs = await all_over(board, [await board.submit(agent, f"task {number}") for number in range(RUNS)])
        assert {run.end for run in runs} == {"completed"}
        assert len(server.requests) == RUNS
        assert sum(request.tokens.cached > 4_000 for request in server.requests) == RUNS - 1
        if agent == "claude":
            assert sum(run.responded[0].usage.written_tokens > 4_000 for run in runs) == 1


async def test_without_warm_nobody_waits_and_each_of_them_writes_it():
    async with crowd(warm=False, first=60.0) as (board, server):
        for number in range(RUNS):
            await board.submit("claude", f"task {number}")
        with anyio.fail_after(30):
            await server.until(lambda: len(server.requests) == RUNS)
        assert sum(request.tokens.written > 4_000 for request in server.requests) >= RUNS - 1, "the last is just there"


async def test_the_others_go_on_when_the_first_answer_has_begun_not_when_it_is_over():
    async with crowd(first=0.1, pace=60.0) as (board, server):
        for number in range(3):
            await board.submit("claude", f"task {number}")
        with anyio.fail_after(30):
            await server.until(lambda: len(server.requests) == 3)
        assert server.requests[0].done is None


async def test_when_the_first_fails_the_next_goes_ahead_and_all_of_them_end_well():
    failing = Fault("overloaded", at=lambda request: request.number <= 2)
    async with crowd(faults=[failing]) as (board, server):
        runs = await all_over(board, [await board.submit("claude", f"task {number}") for number in range(6)])
        assert {run.end for run in runs} == {"completed"}
        assert len(server.requests) == 8
        assert sum(request.tokens.cached > 4_000 for request in server.requests) == 5


async def test_a_run_that_waits_is_seen_can_be_killed_at_once_and_asks_nobody():
    async with crowd(first=60.0) as (board, server):
        ahead = await board.submit("claude", "ahead")
        with anyio.fail_after(20):
            await server.until(lambda: len(server.requests) == 1)
        behind = await board.submit("claude", "behind")
        state = await board.until(behind, lambda state: state.status == "running")
        assert not state.calls, "nothing is announced or reserved"
        assert (await board.kill(behind)).outcome == "killed"
        assert (await board.kill(ahead)).outcome == "killed"
        assert not (await board.state(behind)).calls
        assert len(server.requests) == 1


async def test_nobody_waits_longer_than_for_a_first_token():
    patient, hasty = (
        AgentSpec(name=name, model=choice("gpt", warm=True), system=LONG, limits=Limits(first_token_timeout=seconds))
        for name, seconds in (("patient", 60.0), ("hasty", 1.0))
    )
    async with (
        fake_provider(replies=[Reply("done", first=60.0), Reply("done")], prices=PRICES) as server,
        working({"patient": AgentCode(patient), "hasty": AgentCode(hasty)}, server.url) as board,
    ):
        await board.submit("patient", "ahead")
        with anyio.fail_after(20):
            await server.until(lambda: len(server.requests) == 1)
        assert (await told(board, await board.submit("hasty", "behind"))).end == "completed"
        assert server.requests[0].done is None, "the one ahead has not begun"
