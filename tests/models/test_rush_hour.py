"""Twenty users at six o'clock, and twenty more: no rate limit of the provider reaches one of them.

One worker, which keeps the limits by itself: how workers share them is tested in tests/guards/rate.
"""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from callboard.config.guards import RateLimit
from callboard.guards.rate import gate, gcra
from callboard.testing import Call, FakeProvider, Fault, Limit, Reply, Request, Tokens, fake_provider
from callboard.tools.tool import tool
from tests.support.fleet import Fleet
from tests.support.provided import NO_GUARDS, PRICES, Told, charged, codes, told, working

USERS = 20
ALLOWED = 60
"""Requests a minute; two waves of twenty users have eighty."""
MINUTE, SPARE = 3.0, 2.0
"""Seconds of a minute here, and those that the limiter spares for calls that arrive later than they were let go."""


@tool(effect="pure")
def look(what: str) -> str:
    """Look it up."""
    return f"seen {what}"


def answer(request: Request) -> Reply:
    if request.turn == 0:
        return Reply("Let me look.", (Call("look", {"what": "it"}),), tokens=Tokens(100, 20))
    return Reply("It is there.", tokens=Tokens(150, 10))


async def crowd(board: Fleet, agent: str, *, within: float) -> list[Told]:
    """Two waves: the second one comes when the first of the first wave is served."""
    runs: list[Told] = []
    served = anyio.Event()

    async def user() -> None:
        runs.append(await told(board, await board.submit(agent, "where is it?"), within=within))
        served.set()

    async with anyio.create_task_group() as users:
        for _ in range(USERS):
            users.start_soon(user)
        await served.wait()
        for _ in range(USERS):
            users.start_soon(user)
    return runs


async def settled(board: Fleet, agent: str, runs: list[Told], server: FakeProvider) -> None:
    """Every user has an answer, and pays what the provider bills; more where a worker that was late lost a run."""
    assert [run.end for run in runs] == ["completed"] * 2 * USERS
    cost, bill = sum([await charged(board, run, agent) for run in runs]), server.bill[agent]
    assert cost == bill.usd_micros if bill.calls == 4 * USERS else cost > bill.usd_micros


def refused(server: FakeProvider) -> int:
    return sum(request.status == 429 for request in server.requests)


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes are short, and nobody waits long for a limiter that is not there."""
    monkeypatch.setattr(gcra, "_MINUTE", MINUTE + SPARE)
    monkeypatch.setattr(gate, "GONE", 0.3)


async def test_with_the_providers_limits_configured_it_has_nobody_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch)
    limits = {"openai/gpt": RateLimit(requests=ALLOWED)}
    served = fake_provider(replies=answer, prices=PRICES, limit=Limit(requests=ALLOWED, window=MINUTE))
    guarding = replace(NO_GUARDS, rate_limits=limits)
    async with served as server, working(codes((look,)), server.url, guarding=guarding) as board:
        runs = await crowd(board, "gpt", within=120)
        assert refused(server) == 0
        await settled(board, "gpt", runs, server)
        span = server.requests[-1].at - server.requests[0].at
        assert span > MINUTE, "all of them fitted into one minute: the limit was never reached"


async def test_tokens_are_kept_to_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch)
    limits = {"anthropic/claude": RateLimit(input_tokens=12_000)}
    served = fake_provider(replies=answer, prices=PRICES, limit=Limit(tokens=12_000, window=MINUTE))
    guarding = replace(NO_GUARDS, rate_limits=limits)
    async with served as server, working(codes((look,)), server.url, guarding=guarding) as board:
        runs = await crowd(board, "claude", within=120)
        assert refused(server) == 0
        await settled(board, "claude", runs, server)


async def test_without_configured_limits_refused_calls_are_made_again_and_no_user_sees_it() -> None:
    busy = Fault("rate", at=range(1, 9), retry_after=0.3)  # however slow this machine is
    served = fake_provider(replies=answer, faults=[busy], prices=PRICES, limit=Limit(requests=30, window=1.0))
    async with served as server, working(codes((look,)), server.url, workers=2) as board:
        runs = await crowd(board, "claude", within=120)
        assert refused(server) == sum(len(run.failed) for run in runs) >= len(range(1, 9))
        assert {each.problem.kind for run in runs for each in run.failed} == {"model_rate"}
        await settled(board, "claude", runs, server)
