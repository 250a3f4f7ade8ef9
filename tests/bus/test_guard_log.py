"""What guards said, read and followed on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import anyio

from callboard.bus import storage
from callboard.bus.bus import Bus, open_bus
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_watch import follow_guards
from tests.support.bus import bus_url, fresh_bus

T0 = datetime(2026, 11, 21, tzinfo=UTC)


def event(number: int, *, guard: str = "loop", action: str = "warn") -> GuardEvent:
    return GuardEvent(id=f"e{number}", at=T0, guard=guard, action=action, reason=f"reason {number}")


@asynccontextmanager
async def alone() -> AsyncIterator[Bus]:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="log") as bus:
        yield bus


async def test_events_are_found_by_tenant_guard_action_and_time() -> None:
    async with alone() as bus:
        log = bus.guard_log
        await log.publish("acme", event(1))
        await log.publish("acme", event(1))
        await log.publish("acme", event(2, action="kill"))
        await log.publish("bolt", event(3, guard="budget", action="deny"))
        everything = await log.kept()
        assert [(kept.tenant, kept.event.id) for kept in everything] == [("acme", "e1"), ("acme", "e2"), ("bolt", "e3")]
        assert [kept.event.id for kept in await log.kept(tenant="acme", action="kill")] == ["e2"]
        assert [each.id for _, each in await log.events(guard="budget")] == ["e3"]
        assert [kept.event.id for kept in await log.kept(after=everything[0].sequence)] == ["e2", "e3"]
        stream = bus.connection.subjects.stream("GUARDS")
        second = await storage.by_sequence(bus.connection, stream, 2)
        assert second is not None
        assert await log.sequence_before(second.at) == 1
        assert await log.sequence_before(T0 - timedelta(days=400)) == 0
        assert await log.sequence_before(second.at + timedelta(days=1)) == await log.last() == 3


async def test_who_follows_hears_each_event_once() -> None:
    async with alone() as bus:
        await bus.guard_log.publish("acme", event(0))
        async with follow_guards(bus.connection, bus.guard_log) as events:
            prefix = bus.connection.subjects.prefix
            await storage.publish(bus.connection, f"{prefix}.guard.acme.loop.warn", b"no event", headers={})
            for number in (1, 2, 1, 3):
                await bus.guard_log.publish("acme", event(number))
            with anyio.fail_after(20):
                found = [(await anext(events)).event.id for _ in range(3)]
    assert found == ["e1", "e2", "e3"]


async def test_what_is_missed_is_read_though_others_never_fall_silent() -> None:
    async with (
        alone() as bus,
        follow_guards(bus.connection, bus.guard_log) as events,
        anyio.create_task_group() as group,
    ):
        await bus.guard_log.publish("acme", event(1))
        await bus.connection.barrier()
        events._source._ready.clear()  # as a slow consumer loses it

        async def talk() -> None:
            for number in count(2):
                await bus.guard_log.publish("acme", event(number))
                await anyio.sleep(0.1)

        group.start_soon(talk)
        with anyio.fail_after(20):
            while (await anext(events)).event.id != "e1":
                pass
        group.cancel_scope.cancel()


async def test_what_a_subscription_misses_is_read_from_the_stream() -> None:
    async with (
        alone() as bus,
        fresh_bus() as deaf,  # its subscription is to another deployment: only the stream tells it
        follow_guards(deaf, bus.guard_log, tenant="acme", action="kill") as events,
    ):
        await bus.guard_log.publish("acme", event(1))
        await bus.guard_log.publish("acme", event(2, action="kill"))
        with anyio.fail_after(20):
            assert (await anext(events)).event.id == "e2"
