from contextlib import asynccontextmanager

import anyio

from callboard.bus.bus import open_bus
from callboard.bus.messages import Record, RunSteered
from callboard.bus.subjects import RunKey
from tests.support.bus import bus_url, fresh_bus

KEY = RunKey("default", "r1")


def steered(name: str) -> Record:
    return Record(id=name, events=(RunSteered(text=name),))


@asynccontextmanager
async def watched():
    async with (
        fresh_bus() as made,
        open_bus(bus_url(), subjects=made.subjects, name="x") as bus,
        bus.watch.follow(KEY) as entries,
    ):
        yield bus, entries


async def take(entries, count: int) -> list[str]:
    with anyio.fail_after(20):
        return [(await anext(entries)).record.id for _ in range(count)]


async def test_a_watch_gives_what_is_there_then_what_comes_in_order_and_once():
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        for number in range(3):
            await bus.journals.signal(KEY, steered(f"a{number}"))
        async with bus.watch.follow(KEY) as entries:
            assert await take(entries, 3) == ["a0", "a1", "a2"]
            for number in range(50):
                await bus.journals.signal(KEY, steered(f"b{number}"))
            assert await take(entries, 50) == [f"b{number}" for number in range(50)]


async def test_a_watch_starts_behind_the_given_sequence():
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        one = await bus.journals.signal(KEY, steered("a"))
        await bus.journals.signal(KEY, steered("b"))
        async with bus.watch.follow(KEY, after=one) as entries:
            assert await take(entries, 1) == ["b"]


async def test_entries_written_while_the_watch_begins_are_neither_lost_nor_repeated():
    async with watched() as (bus, _), anyio.create_task_group() as group:

        async def write() -> None:
            for number in range(300):
                await bus.journals.signal(KEY, steered(f"s{number}"))

        group.start_soon(write)
        async with bus.watch.follow(KEY) as entries:
            assert await take(entries, 300) == [f"s{number}" for number in range(300)]


async def test_a_gap_in_the_live_feed_is_read_from_the_journal():
    async with watched() as (bus, entries):
        await bus.journals.signal(KEY, steered("a"))
        assert await take(entries, 1) == ["a"]
        await bus.journals.signal(KEY, steered("lost"))
        await bus.connection.barrier()
        entries._source._live.clear()  # as a slow consumer loses it
        await bus.journals.signal(KEY, steered("b"))
        assert await take(entries, 2) == ["lost", "b"]


async def test_what_is_published_to_the_live_subject_by_hand_is_no_entry():
    async with watched() as (bus, entries):
        live = bus.connection.subjects.live(KEY)
        await bus.connection.publish(live, b'{"type":"run.killed"}')
        await bus.connection.publish(live, b"{}", headers={"Nats-Sequence": "x"})
        await bus.journals.signal(KEY, steered("real"))
        assert await take(entries, 1) == ["real"]
