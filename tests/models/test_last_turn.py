"""The last turn of a run whose budget is used up: it calls nothing, and reads from the cache what all turns share."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from callboard.bus.messages import RunFailed
from callboard.config.guards import BudgetSettings, GuardSettings, RunBudget
from callboard.testing import Call, Reply, Request, fake_provider
from callboard.tools.tool import tool
from tests.support.provided import NO_GUARDS, PRICES, WIRES, charged, codes, told, working

LONG = "Read everything that you are given with great care. " * 200


@tool(effect="pure")
def look(at: int) -> str:
    """Look at a number."""
    return f"{at} is a fine number. " * 200


def never_ends(request: Request) -> Reply:
    """It calls a tool, whatever it is told."""
    return Reply(f"so far {request.turn}", calls=(Call("look", {"at": request.turn}),))


@pytest.mark.parametrize("agent", WIRES)
async def test_the_last_turn_tells_the_same_tools_and_reads_from_the_cache(agent: str) -> None:
    capped = GuardSettings(budget=BudgetSettings(run=RunBudget(model_calls=3)))
    code = codes([look], system=LONG)[agent]
    code = replace(code, spec=code.spec.model_copy(update={"guards": capped}))
    async with (
        fake_provider(replies=never_ends, prices=PRICES) as server,
        working({agent: code}, server.url, guarding=NO_GUARDS) as board,
    ):
        with anyio.fail_after(60):
            run = await told(board, await board.submit(agent, "look at all numbers"))
        assert isinstance(run.state.terminal, RunFailed)
        assert (run.end, run.state.terminal.guard) == ("budget", "budget")
        assert run.state.terminal.partial is not None
        assert run.state.terminal.partial.value == "so far 2", "a call in it is not made"
        assert len(run.returned) == 2
        *_, before, last = server.requests
        assert [each.wrap_up for each in run.requested] == [False, False, True]
        assert last.body["tools"] == before.body["tools"]
        assert last.body["tool_choice"] == ({"type": "none"} if agent == "claude" else "none")
        shared = 2_000 if agent == "claude" else before.tokens.prompt - 128
        assert last.tokens.cached >= shared, "of Claude, the tools and the system prompt: a choice changes its messages"
        assert await charged(board, run, agent) == server.total.usd_micros
