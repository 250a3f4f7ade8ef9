"""What a provider says of its limits reaches the limiter, and a call that was put off keeps its place there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import anyio
import pytest

from callboard.actors.code import AgentCode
from callboard.actors.fold import replay
from callboard.actors.gate import Ending, Refusal
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.messages import Task, Usage
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.config.guards import RateLimit
from callboard.guards.rate import gate
from tests.guards.rate.stage import ASK, CHOICE, GOOD, Board, ask, board, of
from tests.support.bus import bus_url
from tests.support.fleet import ports, scripted

USED_UP = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h0m0s"}
SMALL = {"anthropic-ratelimit-requests-limit": "1"}


async def play(here: Board, *turns: Mapping[str, Any], calls: int) -> None:
    """A run of the scripted model until it has made so many calls."""
    made = scripted("a", *turns)
    choice = CHOICE.model_copy(update={"settings": {"turns": list(turns)}})
    code = AgentCode(made.spec.model_copy(update={"model": choice}), made.tools)
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(open_bus(bus_url(), subjects=here.subjects, name="x"))
        around = replace(ports(bus), gates=here.gates[0])
        await stack.enter_async_context(Worker({"a": code}, around, name="x"))
        await bus.tasks.publish(TaskAddress("t", "a", "normal", "r"), Task(input="go"))
        with anyio.fail_after(30):
            async with here.bus.watch.follow(RunKey("t", "r")) as entries:
                state = replay(())
                async for entry in entries:
                    state = replay((entry,), state)
                    ended = [call for call in state.calls.values() if call.status in ("done", "failed")]
                    if len(ended) >= calls:
                        return


@pytest.mark.parametrize(
    "turn",
    [
        {"text": "x", "limits": USED_UP},
        {"text": "x", "limits": USED_UP, "fail": {"kind": "overload"}},
        {"text": "x", "limits": USED_UP, "fail": {"kind": "bad_request"}},
    ],
)
async def test_what_stands_beside_an_answer_or_a_failure_of_the_model_holds_for_all_workers(turn):
    async with board(RateLimit(requests=1_000_000)) as here, here.limiter():
        await here.shared()
        assert (await ask(here)).status == "granted"
        await play(here, turn, calls=1)
        await here.buses[0].connection.barrier()
        answer = await ask(here)
        assert answer.status == "queued"
        assert answer.wait > 3_000


async def test_a_limit_of_the_provider_holds_where_none_is_configured_and_only_in_its_line():
    async with board(RateLimit()) as here, here.limiter():
        await here.shared()
        await play(here, {"text": "x", "limits": SMALL}, calls=1)
        await here.buses[0].connection.barrier()
        first, second = await ask(here), await ask(here)
        assert (first.status, second.status) == ("granted", "granted"), "what never started is given back"
        grant = await here.gates[0].admit(of())
        assert (await ask(here)).status == "queued"
        assert (await ask(here, "scripted:batch/m")).status == "granted", "another key has its own"
        await here.gates[0].done(of(), grant, GOOD)


async def test_a_call_that_was_put_off_keeps_its_place_and_another_worker_finds_it(monkeypatch):
    monkeypatch.setattr(gate, "PATIENCE", 1.0)
    async with board(RateLimit(concurrency=1), workers=2) as here, here.limiter():
        await here.shared()
        one, two = here.gates
        first, off, late = of("a"), of("b"), of("c")
        grant = await one.admit(first)
        assert isinstance(await one.admit(off), Refusal)
        assert isinstance(await two.admit(late), Refusal)
        await one.done(first, grant, GOOD)
        assert (await ask(here)).status == "queued", "it is the turn of who was put off"
        monkeypatch.setattr(gate, "PATIENCE", 30.0)
        grant = await two.admit(off)
        assert grant.shared
        await two.done(off, grant, GOOD)
        grant = await one.admit(late)
        assert grant.shared
        await one.done(late, grant, GOOD)


async def test_a_worker_alone_keeps_the_place_of_what_it_puts_off(monkeypatch, alone):
    monkeypatch.setattr(gate, "PATIENCE", 1.5)
    async with board(RateLimit(concurrency=1)) as here:
        gates, first, off = here.gates[0], of("a"), of("b")
        grant = await gates.admit(first)
        assert isinstance(await gates.admit(off), Refusal)
        await gates.done(first, grant, GOOD)
        assert isinstance(await gates.admit(of("c")), Refusal)
        assert not (await gates.admit(off)).shared


async def test_a_call_that_may_need_more_than_its_limit_is_said_to(alone):
    async with board(RateLimit(output_tokens=10, concurrency=9)) as here:
        assert isinstance(await here.gates[0].admit(of()), gate.Place), "but it is let go"

        async def said() -> bool:
            found = [event.reason for _, event in await here.bus.guard_log.events(guard="rate")]
            return any("may need 100 output tokens" in reason for reason in found)

        await here.until(said)


async def test_what_a_call_may_need_is_learned_from_the_calls_before(monkeypatch, alone):
    request = replace(ASK.request, system="x" * 1_000)
    dense = Ending("done", 0.1, usage=Usage(input_tokens=500, cached_tokens=300, written_tokens=200))
    async with board(RateLimit(input_tokens=200_000)) as here:
        gates = here.gates[0]
        for _ in range(8):
            asked = of()._replace(request=request)
            await gates.done(asked, await gates.admit(asked), dense)
        monkeypatch.setattr(gate, "PATIENCE", 0.1)
        await gates.admit(of()._replace(request=replace(request, system="x" * 210_000)))

        async def said() -> bool:
            found = [event.reason for _, event in await here.bus.guard_log.events(guard="rate")]
            return any("may need 210,000 input tokens" in reason for reason in found)

        await here.until(said)
