import json
from datetime import UTC, datetime

import anyio
import pytest

from callboard.bus import storage
from callboard.bus.client import connect
from callboard.bus.codec import EVENTS, FAMILY, PARENT
from callboard.bus.journal import JetStreamJournals
from callboard.bus.messages import Content, Record, RunClaimed, RunCreated, RunKilled, RunSteered, ToolReturned
from callboard.bus.subjects import RunKey
from callboard.errors import BusError, InvalidMessage, StaleAppend
from tests.support.bus import bus_url, fresh_bus
from tests.support.wire import answering_late

AT = datetime(2026, 11, 21, tzinfo=UTC)
KEY = RunKey("default", "r1")


def steered(name: str) -> Record:
    return Record(id=name, events=(RunSteered(text=name),))


async def test_what_was_appended_is_read_in_order_with_its_sequences():
    async with fresh_bus() as bus:
        journals = JetStreamJournals(bus)
        first = Record(id="a", owner="a", events=(RunCreated(agent="x", at=AT), RunClaimed(task=7)))
        one = await journals.append(KEY, first, expect=0)
        two = await journals.append(KEY, steered("b"), expect=one)
        stored = await journals.read(KEY)
        assert [(entry.sequence, entry.record) for entry in stored] == [(one, first), (two, steered("b"))]
        assert [entry.sequence for entry in await journals.read(KEY, after=one)] == [two]
        assert await journals.read(KEY, after=two) == ()
        assert await journals.read(RunKey("default", "other")) == ()
        assert abs((stored[0].at - datetime.now(UTC)).total_seconds()) < 60


async def test_a_journal_is_read_in_one_round_trip_for_kills_wait_for_it():
    async with fresh_bus() as bus:
        one = await JetStreamJournals(bus).append(KEY, steered("a"), expect=0)
        await JetStreamJournals(bus).signal(KEY, steered("b"))
        questions = ("$JS.API.STREAM.MSG.GET.", "$JS.API.DIRECT.GET.")
        async with (
            answering_late(bus_url(), until=questions) as url,
            connect(url, subjects=bus.subjects, name="far away") as connection,
        ):
            with anyio.fail_after(20):
                stored = await JetStreamJournals(connection).read(KEY, after=one)
        assert [entry.record.id for entry in stored] == ["b"]


async def test_a_stale_append_is_refused_and_stores_nothing():
    async with fresh_bus() as bus:
        journals = JetStreamJournals(bus)
        one = await journals.append(KEY, steered("a"), expect=0)
        await journals.signal(KEY, Record(id="k", events=(RunKilled(reason="why"),)))
        with pytest.raises(StaleAppend, match="read it"):
            await journals.append(KEY, steered("b"), expect=one)
        assert [entry.record.id for entry in await journals.read(KEY)] == ["a", "k"]


async def test_a_repeated_append_finds_its_own_record():
    async with fresh_bus() as bus:
        journals = JetStreamJournals(bus)
        one = await journals.append(KEY, steered("a"), expect=0)
        await journals.signal(KEY, steered("b"))
        assert await journals.append(KEY, steered("a"), expect=0) == one


async def test_of_two_racing_writers_exactly_one_wins():
    async with fresh_bus() as bus, connect(bus_url(), subjects=bus.subjects, name="other") as other:
        won: list[str] = []
        expect = 0

        async def write(journals: JetStreamJournals, name: str) -> None:
            try:
                await journals.append(KEY, steered(name), expect=expect)
                won.append(name)
            except StaleAppend:
                return

        for turn in range(50):
            async with anyio.create_task_group() as group:
                group.start_soon(write, JetStreamJournals(bus), f"a{turn}")
                group.start_soon(write, JetStreamJournals(other), f"b{turn}")
            assert len(won) == turn + 1
            expect = (await JetStreamJournals(bus).read(KEY))[-1].sequence
        assert [entry.record.id for entry in await JetStreamJournals(bus).read(KEY)] == won


async def test_a_kill_published_by_any_client_is_read_as_a_record():
    async with fresh_bus() as bus:
        await bus.request(bus.subjects.run(KEY), b'{"type":"run.killed","reason":"x"}', timeout=10)
        (entry,) = await JetStreamJournals(bus).read(KEY)
        assert entry.record.events == (RunKilled(reason="x"),)
        assert entry.record.id.startswith(f"{entry.sequence}-")


async def test_garbage_in_a_journal_does_not_break_reading_it():
    async with fresh_bus() as bus:
        journals = JetStreamJournals(bus)
        for garbage in (b"", b"\xff", b"{}", b'{"v":2,"events":[]}', b"[" * 100_000, b"x" * 300_000):
            await bus.request(bus.subjects.run(KEY), garbage, timeout=10)
        await journals.signal(KEY, steered("fine"))
        entries = await journals.read(KEY)
        assert [entry.problem.partition(":")[0] for entry in entries] == [
            "bad_json", "bad_json", "bad_shape", "", "bad_json", "too_large", "",
        ]  # fmt: skip
        assert entries[-1].record == steered("fine")
        assert await journals.append(KEY, steered("next"), expect=entries[-1].sequence) > entries[-1].sequence


async def test_the_headers_say_what_happened_without_the_body():
    async with fresh_bus() as bus:
        record = Record(id="a", events=(RunSteered(text="x"), RunKilled()))
        await JetStreamJournals(bus).append(KEY, record, expect=0, family="none", parent="p1")
        stored = await storage.last_of(bus, bus.subjects.stream("RUNS"), bus.subjects.run(KEY))
        assert stored.headers[EVENTS] == "run.steered,run.killed"
        assert stored.headers[FAMILY] == "none"
        assert stored.headers[PARENT] == "p1"


async def test_an_entry_above_256_kib_is_refused_before_it_is_sent():
    async with fresh_bus() as bus:
        large = Record(id="a", events=(ToolReturned(call="c", result=Content(value="x" * 262_144)),))
        with pytest.raises(InvalidMessage, match="object store") as caught:
            await JetStreamJournals(bus).append(KEY, large, expect=0)
        assert caught.value.reason == "too_large"
        assert await JetStreamJournals(bus).read(KEY) == ()


async def test_a_full_journal_is_a_clear_error():
    async with fresh_bus() as bus:
        stream = bus.subjects.stream("RUNS")
        info = await storage.api(bus, f"STREAM.INFO.{stream}", {})
        await storage.api(bus, f"STREAM.UPDATE.{stream}", info["config"] | {"max_msgs_per_subject": 1})
        journals = JetStreamJournals(bus)
        one = await journals.append(KEY, steered("a"), expect=0)
        for write in (journals.append(KEY, steered("b"), expect=one), journals.signal(KEY, steered("b"))):
            with pytest.raises(BusError, match="journal full"):
                await write


async def test_a_repeated_signal_is_stored_once_and_has_one_sequence():
    async with fresh_bus() as bus:
        journals = JetStreamJournals(bus)
        assert await journals.signal(KEY, steered("a")) == await journals.signal(KEY, steered("a"))
        assert len(await journals.read(KEY)) == 1


async def test_a_long_journal_is_read_whole_in_several_batches():
    async with fresh_bus() as bus:
        journals = JetStreamJournals(bus)
        async with anyio.create_task_group() as group:
            for number in range(1_100):
                group.start_soon(journals.signal, KEY, steered(f"s{number}"))
        entries = await journals.read(KEY)
        assert len(entries) == 1_100
        assert [entry.sequence for entry in entries] == sorted(entry.sequence for entry in entries)


async def test_no_empty_header_ever_leaves():
    async with fresh_bus() as bus:
        await JetStreamJournals(bus).append(KEY, steered("a"), expect=0)
        stored = await storage.last_of(bus, bus.subjects.stream("RUNS"), bus.subjects.run(KEY))
        assert all(stored.headers.values()), json.dumps(dict(stored.headers))
        assert stored.headers["Nats-Expected-Last-Subject-Sequence"] == "0"


async def test_one_signal_goes_to_several_runs_although_its_id_is_the_same():
    async with fresh_bus() as bus:
        journals = JetStreamJournals(bus)
        kill = Record(id="k", events=(RunKilled(),))
        for run in ("r1", "r2"):
            await journals.signal(RunKey("default", run), kill)
            assert [entry.record for entry in await journals.read(RunKey("default", run))] == [kill]


async def test_a_msg_id_that_somebody_else_has_used_swallows_nothing():
    async with fresh_bus() as bus:
        journals = JetStreamJournals(bus)
        for name in ("s", "a"):
            forged = {"Nats-Msg-Id": f"default.r1.{name}"}
            await bus.request(bus.subjects.run(RunKey("default", "x")), b"{}", headers=forged, timeout=10)
        sequence = await journals.signal(KEY, steered("s"))
        await journals.append(KEY, steered("a"), expect=sequence)
        assert [entry.record.id for entry in await journals.read(KEY)] == ["s", "a"]


async def test_an_expectation_beyond_the_end_of_the_journal_is_stale_too():
    async with fresh_bus() as bus:
        with anyio.fail_after(10), pytest.raises(StaleAppend, match="ends before"):
            await JetStreamJournals(bus).append(KEY, steered("a"), expect=5)
