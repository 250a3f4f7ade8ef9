"""The first provider is away for a while, with both real SDKs: runs go on with the other one, and come back."""

from __future__ import annotations

import anyio

from callboard.actors.code import AgentCode
from callboard.app.guards import Guarding
from callboard.config.guards import Breaker
from callboard.config.spec import AgentSpec, Limits
from callboard.testing import Call, FakeProvider, Fault, Reply, Request, Tokens, fake_provider
from callboard.tools.tool import tool
from tests.support.fleet import Fleet
from tests.support.provided import PRICES, Told, choice, told, working

CROWD = 12
OPEN_FOR = 0.4
"""Seconds that a circuit stays open before a call is let through to look."""


@tool(effect="pure")
def look(what: str) -> str:
    """Look it up."""
    return f"seen {what}"


def answer(request: Request) -> Reply:
    if request.turn == 0:
        return Reply("hm", (Call("look", {"what": "it"}),), thinking="let me see", tokens=Tokens(100, 20))
    return Reply(request.model, tokens=Tokens(150, 10))


def agent() -> AgentCode:
    first, second = choice("claude"), choice("gpt")
    spec = AgentSpec(name="a", model=first, fallbacks=(second,), tools=(look.spec,), limits=Limits(model_attempts=2))
    return AgentCode(spec, {"look": look})


async def crowd(board: Fleet, count: int = CROWD) -> list[Told]:
    runs: list[Told] = []

    async def user() -> None:
        runs.append(await told(board, await board.submit("a", "where is it?")))

    async with anyio.create_task_group() as users:
        for _ in range(count):
            users.start_soon(user)
    return runs


def answered_by(runs: list[Told]) -> set[str]:
    assert {run.end for run in runs} == {"completed"}
    return {str(run.state.terminal.result.value) for run in runs}  # type: ignore[union-attr]


def asked(server: FakeProvider, model: str) -> int:
    return sum(each.model == model for each in server.requests)


async def test_nobody_is_lost_in_an_outage_and_afterwards_the_first_provider_is_asked_again() -> None:
    guarding = Guarding(hosted=(), breaker=Breaker(open_for=OPEN_FOR, open_at_most=OPEN_FOR))
    async with (
        fake_provider(replies=answer, prices=PRICES) as server,
        working({"a": agent()}, server.url, guarding=guarding, workers=2) as board,
    ):
        runs = await crowd(board)
        assert answered_by(runs) == {"claude"}
        before = asked(server, "claude")

        server.faults.append(Fault("unavailable", at=lambda request: request.model == "claude"))
        for _ in range(3):
            away = await crowd(board)
            assert answered_by(away) == {"gpt"}
            runs += away
        vain = asked(server, "claude") - before
        assert 0 < vain < 3 * CROWD, "the circuit did not keep calls from a dead provider"

        server.faults.clear()
        with anyio.fail_after(60):
            while answered_by(back := await crowd(board, 1)) != {"claude"}:
                runs += back
        runs += back
        assert sum(run.state.accounts.own.usd_micros for run in runs) >= server.total.usd_micros
        assert all(each.usage.cost_usd_micros == 0 for run in runs for each in run.failed), (
            "who is refused pays nothing"
        )
