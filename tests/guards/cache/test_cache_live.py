"""Runs on the real bus, a real adapter, and a provider that loses its cache: the guard says so, and what it cost."""

from __future__ import annotations

import anyio
import pytest

from callboard.guards.catalogue import BUILTIN
from callboard.testing import Call, Fault, Reply, Request, fake_provider
from callboard.tools.tool import tool
from tests.guards.sidecar.watchers import journalist, sidecar
from tests.support.provided import PRICES, WIRES, codes, told, working

CACHE = tuple(hosted for hosted in BUILTIN if hosted.name == "cache")
LONG = "Read everything that you are given with great care. " * 500
TURNS = 3


@tool(effect="pure")
def look(what: str) -> str:
    """Look it up."""
    return f"seen {what}"


def looks(request: Request) -> Reply:
    """The same for each run: it looks three times, then it is done."""
    return Reply("done") if request.turn >= TURNS else Reply(calls=(Call("look", {"what": f"{request.turn}"}),))


@pytest.mark.parametrize("agent", WIRES)
async def test_a_cache_that_the_provider_loses_is_said_once_with_its_cost_and_one_that_it_keeps_is_not(agent):
    def loses(request: Request) -> bool:
        return request.turn >= 2 and "lose it" in str(request.body)

    fault = Fault("cache_miss", at=loses)
    async with fake_provider(replies=looks, faults=[fault], prices=PRICES) as server:
        async with (
            working(codes((look,), system=LONG), server.url) as board,
            sidecar(board.subjects, *CACHE),
            journalist(board.subjects) as here,
        ):
            kept = await told(board, await board.submit(agent, "keep it"))
            lost = await told(board, await board.submit(agent, "lose it"))
            with anyio.fail_after(20):
                while not (said := await here.said("cache")):
                    await board.bus.connection.barrier()
            await here.until_all_judged(lost.state.sequence, "cache")
            (verdict,) = await here.said("cache")
        assert (kept.end, lost.end) == ("completed", "completed")
        assert all(event.prefix is not None for event in (*kept.requested, *lost.requested))
        assert verdict == said[0]
        assert (verdict.run, verdict.action, verdict.mode, verdict.acted) == (lost.key.run, "warn", "warn", False)
        assert (verdict.call, verdict.data["part"], verdict.value) == ("m3", "lost", 0.0)
        before, missed = (each.usage for each in lost.responded[1:3])
        assert before.cached_tokens > 4_096
        prompt = before.input_tokens + before.cached_tokens + before.written_tokens
        assert verdict.data["missed_tokens"] == prompt
        dearer = missed.cost_usd_micros - lost.responded[1].usage.cost_usd_micros
        assert verdict.data["cost_usd_micros"] == pytest.approx(dearer, rel=0.1)
