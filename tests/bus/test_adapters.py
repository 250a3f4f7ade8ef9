from datetime import UTC, datetime, timedelta, timezone

import anyio
import pytest

from callboard.bus import storage
from callboard.bus.blobs import JetStreamBlobs
from callboard.bus.bus import open_bus
from callboard.bus.messages import Blob, Record, RunKilled, RunSteered
from callboard.bus.ports import Copy
from callboard.bus.subjects import RunKey
from callboard.clock import SystemClock
from callboard.errors import BusError
from tests.support.bus import bus_url, delete_streams, fresh_bus

KEY = RunKey("default", "r1")


def steered(name: str) -> Record:
    return Record(id=name, events=(RunSteered(text=name),))


def owned(owner: str) -> Record:
    return Record(id=f"{owner}-{SystemClock().new_id()}", owner=owner, events=(RunSteered(text="x"),))


async def test_opening_a_bus_makes_the_streams_once_and_again_is_harmless():
    async with fresh_bus() as made:
        await delete_streams(made.subjects)
        for _ in range(2):
            async with open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
                assert bus.ack_wait == 1.8
                assert await bus.journals.append(KEY, steered(bus.clock.new_id()), expect=await last(bus)) > 0


async def last(bus) -> int:
    entries = await bus.journals.read(KEY)
    return entries[-1].sequence if entries else 0


async def test_the_feed_names_run_events_family_and_parent_without_the_body():
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        one = await bus.journals.append(KEY, steered("a"), expect=0, family="none", parent="p1")
        await bus.connection.request(made.subjects.run(KEY), b'{"type":"run.killed"}', timeout=10)
        with anyio.fail_after(10):
            entries = []
            while len(entries) < 2:
                entries += await bus.feed.pull(batch=10, wait=1)
        assert (entries[0].key, entries[0].sequence, entries[0].events) == (KEY, one, ("run.steered",))
        assert (entries[0].family, entries[0].parent) == ("none", "p1")
        assert (entries[1].events, entries[1].family, entries[1].parent) == (None, "", "")
        assert all(entry.held.message.payload == b"" for entry in entries)
        for entry in entries:
            await entry.acknowledge()
        assert list(await bus.feed.pull(batch=10, wait=0)) == []


async def test_a_journal_subject_that_names_no_run_is_buried_by_the_feed():
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        await bus.connection.request(f"{made.subjects.prefix}.run.default.a$b", b"{}", timeout=10)
        await bus.journals.signal(KEY, steered("a"))
        with anyio.fail_after(10):
            entries = []
            while not entries:
                entries = await bus.feed.pull(batch=10, wait=1)
        assert [entry.key for entry in entries] == [KEY]
        assert [letter.reason for letter in await bus.graveyard.letters()] == ["bad_id"]


async def test_a_scan_gives_the_last_entry_of_every_journal_and_leaves_no_consumer():
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        assert [entry async for entry in bus.scan()] == []
        for tenant in ("t1", "t2"):
            for number in range(600):
                await bus.journals.signal(RunKey(tenant, f"r{number}"), steered(f"a{number}"))
        await bus.journals.signal(RunKey("t1", "r0"), Record(id="k", events=(RunKilled(),)))
        everything = [entry async for entry in bus.scan()]
        assert len(everything) == 1_200
        assert len({entry.key for entry in everything}) == 1_200
        mine = {entry.key.run: entry.events async for entry in bus.scan("t1")}
        assert len(mine) == 600
        assert mine["r0"] == ("run.killed",)
        info = await storage.api(bus.connection, f"STREAM.INFO.{made.subjects.stream('RUNS')}", {})
        assert info["state"]["consumer_count"] == 0


async def test_who_reads_journals_while_a_scan_goes_on_gets_all_of_them():
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        for number in range(700):
            await bus.journals.signal(RunKey("t", f"r{number}"), steered("a"))
        seen = 0
        async for entry in bus.scan():
            seen += len(await bus.journals.read(entry.key))
            await bus.pulls.release_parked()  # as it is done every 0.1 s
        assert seen == 700


async def test_a_timer_fires_a_replaced_one_only_at_its_new_instant_and_a_past_one_at_once():
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        start = datetime.now(UTC)
        await bus.timers.schedule(KEY, "later", start + timedelta(hours=1))
        await bus.timers.schedule(KEY, "moved", start + timedelta(hours=1))
        await bus.timers.schedule(KEY, "moved", start + timedelta(seconds=1.5))
        await bus.timers.schedule(KEY, "past", start - timedelta(days=400))
        due = []
        with anyio.fail_after(20):
            while len(due) < 2:
                for timer in await bus.due.pull(batch=10, wait=1):
                    due.append((timer.key, timer.timer))
                    await timer.acknowledge()
        assert due == [(KEY, "past"), (KEY, "moved")]
        assert datetime.now(UTC) - start >= timedelta(seconds=1.5)
        assert list(await bus.due.pull(batch=10, wait=0)) == []


async def test_no_instant_is_too_far_or_too_odd_for_a_timer():
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        west, east = timezone(-timedelta(hours=23, seconds=1)), timezone(timedelta(hours=14))
        await bus.timers.schedule(KEY, "never", datetime(9999, 12, 31, 23, 59, 59, tzinfo=west))
        await bus.timers.schedule(KEY, "future", datetime(2300, 1, 1, tzinfo=UTC))
        for name, at in (("first", datetime(1, 1, 1, tzinfo=east)), ("old", datetime(1600, 1, 1, tzinfo=UTC))):
            await bus.timers.schedule(KEY, name, at)
        due = []
        with anyio.fail_after(20):
            while len(due) < 2:
                for timer in await bus.due.pull(batch=10, wait=1):
                    due.append(timer.timer)
                    await timer.acknowledge()
        assert sorted(due) == ["first", "old"]
        assert list(await bus.due.pull(batch=10, wait=0)) == []


async def test_what_the_callers_block_raises_comes_out_as_it_is():
    async with fresh_bus() as made:
        with pytest.raises(LookupError, match="mine"):
            async with open_bus(bus_url(), subjects=made.subjects, name="x"):
                raise LookupError("mine")


@pytest.mark.parametrize("size", [0, 1, 511 * 1024, 512 * 1024, 1024 * 1024, 5 * 1024 * 1024])
async def test_a_blob_comes_back_as_it_was_whatever_its_size(size):
    async with fresh_bus() as bus:
        blobs = JetStreamBlobs(bus)
        value = {"text": "ä" * (size // 2), "n": [1, 2.5, None, True]}
        blob = await blobs.put(value)
        assert await blobs.put(dict(reversed(value.items()))) == blob
        assert await blobs.get(blob) == value


async def test_a_blob_that_is_missing_or_forged_is_a_clear_error():
    async with fresh_bus() as bus:
        blobs = JetStreamBlobs(bus)
        with pytest.raises(BusError, match="not there"):
            await blobs.get(Blob(sha256="0" * 64, size=10))
        with pytest.raises(BusError, match="claims"):
            await blobs.get(Blob(sha256="0" * 64, size=10**15))
        blob = await blobs.put("hello")
        await bus.request(f"{bus.subjects.prefix}.blob.{blob.sha256}.0", b'"hullo"', timeout=10)
        with pytest.raises(BusError, match="hash"):
            await blobs.get(blob)


async def test_what_others_write_to_a_run_is_heard_once_it_is_stored_and_what_its_owner_writes_is_not():
    async with fresh_bus() as other, open_bus(bus_url(), subjects=other.subjects, name="x") as bus:
        heard, stopped = [], anyio.Event()

        def hear(copy: Copy | None) -> None:
            heard.append(copy)
            if copy is not None and copy.entry.record == killed:
                stopped.set()

        killed = Record(id="k", events=(RunKilled(reason="enough"),))
        async with bus.hints.listen(KEY, hear, owner=lambda: "me"):
            first = await bus.journals.append(KEY, owned("me"), expect=0)
            second = await bus.journals.append(KEY, owned("somebody"), expect=first)
            third = await bus.journals.append(KEY, owned("me"), expect=second)
            await other.publish(other.subjects.live(KEY), b'{"type":"run.killed"}')  # by hand: no entry
            last = await bus.journals.signal(KEY, killed)
            with anyio.fail_after(20):
                await stopped.wait()
        assert [(copy.entry.sequence, copy.before) for copy in heard] == [(second, first), (last, third)]


async def test_dead_letters_keep_odd_bytes_and_odd_addresses():
    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        await bus.graveyard.bury(("a*", ""), "x.y\udc80", "bad_json", "wh\ud800y", b"\xff" * 1_000_000)
        for number in range(5):
            await bus.graveyard.bury(("t", "a"), "s", "r", str(number), b"")
        assert [letter.message for letter in await bus.graveyard.letters(2)] == ["3", "4"]
        first = (await bus.graveyard.letters())[0]
        assert (first.reason, first.sequence) == ("bad_json", 1)
