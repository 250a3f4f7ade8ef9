"""The rate limit on the real bus: shared, fair, and kept by each worker alone while nobody answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from callboard.actors.gate import Ending, Grant, Refusal
from callboard.bus.messages import RunCreated
from callboard.clock import SystemClock
from callboard.config.guards import RateLimit
from callboard.guards.rate import gate, gcra, limiter, wire
from tests.guards.rate.stage import ASK, CHOICE, GOOD, LABEL, REQUEST, ask, board, of


async def test_two_tenants_get_fair_shares_whatever_each_asks_for(monkeypatch):
    monkeypatch.setattr(gcra, "_MINUTE", 2.0)
    order: list[str] = []
    async with board(RateLimit(requests=20), workers=2) as here, here.limiter():
        await here.shared()

        async def call(at: int, tenant: str) -> None:
            ask = of(tenant)
            grant = await here.gates[at].admit(ask)
            assert isinstance(grant, Grant)
            order.append(tenant)
            await here.gates[at].done(ask, grant, GOOD)

        async with anyio.create_task_group() as group:
            for number in range(24):
                group.start_soon(call, number % 2, "greedy")
            await anyio.wait_all_tasks_blocked()
            for number in range(6):
                group.start_soon(call, number % 2, "modest")
    last = max(place for place, tenant in enumerate(order) if tenant == "modest")
    print(f"24 calls of one tenant, 6 of another that came later: its last one was number {last + 1} of 30")
    assert Counter(order) == {"greedy": 24, "modest": 6}
    assert last <= 18


async def test_without_a_limiter_each_worker_keeps_the_limits_until_there_is_one_again(alone):
    async with board(RateLimit(requests=1_000)) as here:
        alone = await here.gates[0].admit(ASK)
        assert (alone.shared, isinstance(alone, Grant)) == (False, True)
        async with here.limiter():
            assert (await here.shared()).shared
        await here.until(lambda: admitted(here, shared=False))
        async with here.limiter():
            assert (await here.shared()).shared
        said = await here.bus.guard_log.events(guard="rate")
        assert [event.action for _, event in said] == ["warn"], "once a minute"


async def test_the_limits_are_kept_by_a_worker_alone(monkeypatch, alone):
    monkeypatch.setattr(gcra, "_MINUTE", 2.0)
    async with board(RateLimit(requests=20)) as here:
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(11):
                group.start_soon(start, here)
        assert anyio.current_time() - began > 0.9, "ten behind the first, 19 in two seconds"


async def test_a_limiter_that_is_slow_is_waited_for(monkeypatch):
    listen = limiter.RateLimiter._listen
    monkeypatch.setattr(
        limiter.RateLimiter,
        "_listen",
        lambda self, message: asyncio.get_running_loop().call_later(1.5, listen, self, message),
    )
    async with board(RateLimit(requests=1_000)) as here, here.limiter():
        assert (await start(here)).shared
        assert not await said(here, "warn")


async def test_a_call_without_much_time_does_not_spend_it_on_a_limiter_that_is_not_there():
    now = SystemClock().now()
    soon = RunCreated(agent="a", at=now, deadline=now + timedelta(seconds=2))
    async with board(RateLimit(requests=1_000)) as here:
        grant = await here.gates[0].admit(of()._replace(state=ASK.state.evolve(created=soon)))
        assert (isinstance(grant, gate.Place), grant.shared) == (True, False)


async def test_a_call_that_a_worker_has_let_go_alone_counts_for_all_when_it_begins(alone):
    async with board(RateLimit(concurrency=1), workers=2) as here:
        asked = of()
        grant = await here.gates[0].admit(asked)
        assert not grant.shared
        async with here.limiter():
            await here.shared(1)
            assert (await ask(here)).status == "granted"
            grant.begin()
            await here.buses[0].connection.barrier()
            assert (await ask(here)).status == "queued"
            await here.gates[0].done(asked, grant, GOOD)
            await here.buses[0].connection.barrier()
            assert (await ask(here)).status == "granted"


async def test_another_limiter_takes_over_when_the_first_has_gone_or_its_lease_has_run_out():
    async with board(RateLimit(requests=1_000)) as here:
        leave, left = anyio.Event(), anyio.Event()

        async def first() -> None:
            async with here.limiter("one"):
                await leave.wait()
            left.set()

        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await here.shared()
            async with here.limiter("two"):
                leave.set()
                await left.wait()
                await here.shared()
        dead = limiter.Holder(holder="dead", until=SystemClock().now() + timedelta(seconds=1.5))
        await here.bus.states.put("rate", "holder", value=dead.model_dump_json().encode())
        async with here.limiter("three"):
            await here.shared()


async def test_two_limiters_never_answer_at_the_same_time():
    async with board(RateLimit(requests=1_000)) as here, here.limiter("one"), here.limiter("two"):
        await here.shared()
        leases = [limiter.Lease(here.bus.states, here.bus.clock, name) for name in ("x", "y")]
        assert [await lease.take() for lease in leases] == [False, False]


@pytest.mark.parametrize("asked", [-1.0, 2e6])
async def test_a_provider_that_asks_for_an_impossible_quiet_breaks_no_run(asked, alone):
    async with board(RateLimit(requests=1_000), workers=1) as here:
        grant = await here.gates[0].admit(ASK)
        await here.gates[0].done(ASK, grant, Ending("failed", 0.1, error="model_rate", retry_after=asked))
        assert isinstance(await here.gates[0].admit(ASK), Refusal if asked > 0 else Grant)


async def test_a_provider_that_wants_quiet_gets_it_from_all_workers():
    async with board(RateLimit(requests=1_000), workers=2) as here, here.limiter():
        await here.shared()
        grant = await here.gates[0].admit(ASK)
        await here.gates[0].done(ASK, grant, Ending("failed", 0.1, error="model_rate", retry_after=100.0))
        await here.buses[0].connection.barrier()
        refusal = await here.gates[1].admit(ASK)
        assert isinstance(refusal, Refusal)
        left = (refusal.retry_at - SystemClock().now()).total_seconds()
        assert 90 < left < 102
        assert (refusal.guard, refusal.problem.kind) == ("rate", "rate_limited")
        await here.until(lambda: said(here, "throttle"))


async def test_a_call_that_would_wait_beyond_the_deadline_of_its_run_is_put_off():
    now = SystemClock().now()
    late = RunCreated(agent="a", at=now, deadline=now + timedelta(seconds=0.2))
    ask = of()._replace(state=ASK.state.evolve(created=late))
    async with board(RateLimit(concurrency=1)) as here, here.limiter():
        await here.shared()
        assert isinstance(await here.gates[0].admit(ASK), gate.Place)
        assert isinstance(await here.gates[0].admit(ask), Refusal)


async def test_a_call_that_is_cancelled_while_it_waits_gives_its_place_back():
    async with board(RateLimit(concurrency=1)) as here, here.limiter():
        await here.shared()
        held = await here.gates[0].admit(ASK)
        with anyio.move_on_after(0.3):
            await here.gates[0].admit(of())
        await here.gates[0].done(ASK, held, GOOD)
        with anyio.fail_after(2):
            grant = await here.gates[0].admit(of())
        assert (isinstance(grant, gate.Place), grant.shared) == (True, True)


async def test_a_permit_comes_to_who_waits_for_it_at_once():
    async with board(RateLimit(concurrency=1), workers=2) as here, here.limiter():
        await here.shared()
        held = await here.gates[0].admit(ASK)
        got = anyio.Event()

        async def wait() -> None:
            assert (await here.gates[1].admit(ASK)).shared
            got.set()

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await here.gates[0].done(ASK, held, GOOD)
            with anyio.fail_after(20):
                await got.wait()


async def test_models_without_a_limit_tools_and_steps_are_not_asked_about():
    async with board(RateLimit(requests=1)) as here:
        other = replace(REQUEST, model=CHOICE.model_copy(update={"name": "other"}))
        for ask in (ASK._replace(request=other), ASK._replace(kind="tool"), ASK._replace(request=None)):
            assert type(here.gates[0].admit(ask)) is Grant
            assert here.gates[0].done(ask, Grant(), GOOD) is None


async def test_a_limiter_that_does_not_know_a_limit_says_so_and_the_worker_keeps_it():
    async with board(RateLimit(requests=1_000)) as here:
        here.limits = {"other/model": RateLimit(requests=1)}
        async with here.limiter():
            await here.until(lambda: answered(here, "unknown"))
            assert not (await here.gates[0].admit(ASK)).shared


async def start(here) -> Grant:
    """A call of another run, that begins."""
    grant = await here.gates[0].admit(of())
    assert isinstance(grant, Grant)
    grant.begin()
    return grant


async def said(here, action: str) -> bool:
    return action in [event.action for _, event in await here.bus.guard_log.events(guard="rate")]


async def there(found: list[bytes]) -> bool:
    return bool(found)


async def admitted(here, *, shared: bool) -> bool:
    return (await here.gates[0].admit(ASK)).shared == shared


async def answered(here, status: str) -> bool:
    """Does the limiter answer so? What it does not understand it passes over."""
    found: list[bytes] = []
    inbox, subject = here.bus.connection.new_inbox(), here.subjects.gate("t", "rate")
    take = wire.Take(id="x", line=LABEL, lease=1.0).model_dump_json().encode()
    async with here.bus.connection.subscribe(inbox, lambda message: found.append(message.payload)):
        await here.bus.connection.publish(subject, b"{")
        await here.bus.connection.publish(subject, take, reply=inbox)
        with anyio.move_on_after(1):
            await here.until(lambda: there(found))
    return [wire.Answer.model_validate_json(each).status for each in found if each] == [status]


async def test_an_answer_that_was_lost_is_given_again():
    async with board(RateLimit(requests=1_000)) as here, here.limiter():
        await here.shared()
        assert await answered(here, "granted")
        assert await answered(here, "granted")


async def test_a_run_waits_its_turn_again_and_again_on_a_worker_alone(monkeypatch, alone):
    monkeypatch.setattr(gate, "PATIENCE", 1.5)
    async with board(RateLimit(concurrency=1)) as here:
        held = await here.gates[0].admit(ASK)
        assert not held.shared
        assert isinstance(await here.gates[0].admit(of()), Refusal)


async def test_the_lease_of_a_limiter_outlives_a_bucket_that_is_away_for_a_moment():
    async with board(RateLimit(requests=1)) as here:
        lease = limiter.Lease(here.bus.states, here.bus.clock, "me")
        await here.bus.states.put("rate", "holder", value=b"no holder")
        assert await lease.take()
        stream = f"KV_{here.subjects.stream('STATE')}"
        await here.bus.connection.request(f"$JS.API.STREAM.DELETE.{stream}", timeout=5)
        assert await lease.take()
        await lease.leave()


@pytest.mark.parametrize("reply", ["cb.x.y", "task"])
async def test_a_limiter_answers_into_inboxes_only(reply):
    heard: list[str] = []
    async with board(RateLimit(requests=1_000)) as here, here.limiter():
        await here.shared()
        to = f"{here.subjects.prefix}.{reply}"
        take = wire.Take(id="x", line=LABEL, lease=1.0)
        async with here.bus.connection.subscribe(to, lambda message: heard.append(message.subject)):
            await here.bus.connection.publish(
                here.subjects.gate("t", "rate"), take.model_dump_json().encode(), reply=to
            )
            await here.shared()
        assert heard == []
