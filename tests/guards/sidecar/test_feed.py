"""The feed on the real bus: whatever gets lost on the way, every entry comes once, in the order of the stream."""

from __future__ import annotations

import random

import anyio
import pytest

from callboard.bus.messages import Record, SignalReceived
from callboard.bus.subjects import RunKey
from callboard.errors import BusError
from callboard.guards.sidecar import feed as feeds
from callboard.guards.sidecar.feed import JournalFeed, following
from tests.guards.sidecar.watchers import Journalist, journalist
from tests.support.bus import delete_streams, fresh_bus


async def write(here: Journalist, count: int) -> int:
    """Entries of several journals; returns the sequence of the last one."""
    last = 0
    for number in range(count):
        last = await here.signal(RunKey("default", f"r{number % 7}"), SignalReceived(name=f"n{number}"))
    return last


async def read(feed: JournalFeed, upto: int) -> list[int]:
    found: list[int] = []
    with anyio.fail_after(20):
        while not found or found[-1] < upto:
            found += [entry.sequence for entry in await feed.next()]
    return found


async def test_entries_come_in_order_with_what_is_in_them():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        before = await write(here, 3)
        async with following(connection) as feed:
            last = await write(here, 1)
            (entry,) = await feed.next()
            assert (entry.sequence, entry.name, entry.events) == (last, "default.r0", "signal.received")
            stored = entry.opened()
            assert stored.record.events == (SignalReceived(name="n0"),)
            (same,) = await here.bus.journals.read(RunKey("default", "r0"), after=before)
            assert stored == same
            assert not entry.first
            record = Record(id="x", owner="o", events=(SignalReceived(name="x"),))
            await here.bus.journals.append(RunKey("default", "new"), record, expect=0)
            assert (await feed.next())[0].first


@pytest.mark.parametrize("seed", range(4))
async def test_lost_repeated_and_reordered_messages_make_no_difference(seed, monkeypatch):
    chance = random.Random(seed)
    held = []
    arrived = JournalFeed.arrived

    def spoil(self, message):
        """Lose a third, say a third twice, and let some wait for others."""
        what = chance.randrange(6)
        if what > 1:
            arrived(self, message)
        if what == 2:
            held.append(message)
        while held and chance.random() < 0.3:
            arrived(self, held.pop())

    monkeypatch.setattr(JournalFeed, "arrived", spoil)
    async with fresh_bus() as connection, journalist(connection.subjects) as here, following(connection) as feed:
        found: list[int] = []
        async with anyio.create_task_group() as group:

            async def follow():
                found.extend(await read(feed, 120))

            group.start_soon(follow)
            await write(here, 120)
        assert found == list(range(1, 121))


async def test_a_tail_that_was_lost_is_found_without_another_message(monkeypatch):
    monkeypatch.setattr(JournalFeed, "arrived", lambda self, message: None)
    async with fresh_bus() as connection, journalist(connection.subjects) as here, following(connection) as feed:
        last = await write(here, 5)
        assert await read(feed, last) == [1, 2, 3, 4, 5]


async def test_what_a_slow_reader_has_no_room_for_is_read_from_the_stream(monkeypatch):
    monkeypatch.setattr(feeds, "_KEPT", 3)
    async with fresh_bus() as connection, journalist(connection.subjects) as here, following(connection) as feed:
        last = await write(here, 20)
        assert await read(feed, last) == list(range(1, 21))


async def test_entries_that_are_gone_from_the_stream_are_skipped(monkeypatch):
    live = JournalFeed.arrived
    monkeypatch.setattr(JournalFeed, "arrived", lambda self, message: None)
    async with fresh_bus() as connection, journalist(connection.subjects) as here, following(connection) as feed:
        await write(here, 10)
        stream = connection.subjects.stream("RUNS")
        await connection.request(f"$JS.API.STREAM.PURGE.{stream}", b'{"filter":"%s.run.default.r3"}'
            % connection.subjects.prefix.encode(), timeout=5)  # fmt: skip
        assert await read(feed, 9) == [1, 2, 3, 5, 6, 7, 8, 9, 10]
        await write(here, 1)
        await connection.request(f"$JS.API.STREAM.PURGE.{stream}", b"{}", timeout=5)
        with anyio.fail_after(10):
            while (await feeds.last_sequence(connection)) < 11:
                await anyio.lowlevel.checkpoint()
        monkeypatch.setattr(JournalFeed, "arrived", live)
        last = await write(here, 1)
        assert last == 12
        assert await read(feed, last) == [12]


async def test_complete_returns_when_everything_that_was_stored_is_dealt_with(monkeypatch):
    monkeypatch.setattr(JournalFeed, "arrived", lambda self, message: None)
    async with fresh_bus() as connection, journalist(connection.subjects) as here, following(connection) as feed:
        last = await write(here, 5)
        done = anyio.Event()

        async def complete():
            await feed.complete()
            done.set()

        async with anyio.create_task_group() as group:
            group.start_soon(complete)
            with anyio.fail_after(20):
                assert len(await feed.next()) == 5
                assert not done.is_set(), "handed out is not dealt with"
                assert feed.position < last
                group.start_soon(feed.next)
                await done.wait()
            assert feed.position == last
            group.cancel_scope.cancel()


async def test_messages_that_nobody_stored_are_passed_over():
    async with fresh_bus() as connection, journalist(connection.subjects) as here, following(connection) as feed:
        live = f"{connection.subjects.prefix}.live.default.r1"
        for headers in ({}, {"Nats-Sequence": "x", "Nats-Time-Stamp": "y"}, {"Nats-Sequence": "1"}):
            await connection.publish(live, b"{}", headers=headers)
        last = await write(here, 1)
        assert await read(feed, last) == [last]


async def test_a_stream_that_went_back_is_no_stream_to_follow():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        await write(here, 3)
        feed = JournalFeed(connection)
        feed.begin(9)  # the server lost what it had not written to its disk
        with anyio.fail_after(20), pytest.raises(BusError, match="went back from 9 to 3"):
            await feed.watch_the_end()


async def test_a_stream_that_is_gone_is_an_error():
    async with fresh_bus() as connection:
        await delete_streams(connection.subjects)
        with pytest.raises(BusError, match="cannot ask for the end"):
            await feeds.last_sequence(connection)
