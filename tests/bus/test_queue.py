from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import pytest

from callboard.bus import storage
from callboard.bus.graveyard import JetStreamGraveyard
from callboard.bus.messages import Resume, Task
from callboard.bus.pull import open_pulls, parse_ack
from callboard.bus.queue import JetStreamTasks
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.bus.topology import QueueLimits
from callboard.clock import SystemClock
from callboard.errors import InvalidMessage, QueueFull
from tests.support.bus import fresh_bus

ADDRESS = TaskAddress("default", "triage", "normal")


@asynccontextmanager
async def queue(*, ack_wait: float = 2.0, limits: QueueLimits | None = None):
    async with fresh_bus(limits=limits) as bus, open_pulls(bus) as pulls:
        yield JetStreamTasks(bus, pulls, JetStreamGraveyard(bus, SystemClock()), ack_wait=ack_wait), bus


async def take(tasks: JetStreamTasks, *, wait: float = 5.0):
    with anyio.fail_after(10):
        (held,) = await tasks.pull("triage", "normal", batch=1, wait=wait)
    return held


async def until_pulled(bus) -> None:
    """Wait until the server holds an open pull of the consumer."""
    with anyio.fail_after(20):
        while True:
            info = await storage.api(bus, f"CONSUMER.INFO.{bus.subjects.stream('TASKS')}.triage_normal", {})
            if info.get("num_waiting"):
                return


async def test_a_published_task_is_pulled_with_its_sequence_and_its_run():
    async with queue() as (tasks, _):
        sequence = await tasks.publish(TaskAddress("default", "triage", "normal", "r1"), Task(input={"a": 1}))
        held = await take(tasks)
        assert (held.sequence, held.key, held.body) == (sequence, RunKey("default", "r1"), Task(input={"a": 1}))
        assert await tasks.exists(sequence)
        await held.acknowledge()
        with anyio.fail_after(20):
            while await tasks.exists(sequence):
                pass


async def test_a_resume_task_names_its_run():
    async with queue() as (tasks, _):
        await tasks.publish(ADDRESS, Resume(resume=5, run="r9"))
        held = await take(tasks)
        assert (held.body, held.key.run) == (Resume(resume=5, run="r9"), "r9")


async def test_tasks_of_another_agent_or_lane_are_not_pulled():
    async with queue() as (tasks, _):
        await tasks.publish(TaskAddress("default", "triage", "high"), Task(input=1))
        await tasks.publish(TaskAddress("default", "other", "normal"), Task(input=1))
        assert list(await tasks.pull("triage", "normal", batch=5, wait=0)) == []
        assert len(await tasks.pull("triage", "high", batch=5, wait=10)) == 1


async def test_a_batch_is_pulled_at_once_and_never_more_than_asked_for():
    async with queue(ack_wait=60) as (tasks, _):
        for number in range(7):
            await tasks.publish(ADDRESS, Task(input=number))
        got = []
        with anyio.fail_after(20):
            while len(got) < 7:  # a pull gives what has come when the first has: of five, perhaps two
                batch = await tasks.pull("triage", "normal", batch=5, wait=5)
                assert len(batch) <= 5
                got += [held.body.input for held in batch]
        assert got == list(range(7))


async def test_a_full_queue_refuses_the_publisher_and_stores_nothing():
    async with queue(limits=QueueLimits(max_msgs=2)) as (tasks, bus):
        for _ in range(2):
            await tasks.publish(ADDRESS, Task(input=1))
        with pytest.raises(QueueFull) as caught:
            await tasks.publish(ADDRESS, Task(input=1))
        assert caught.value.retryable
        assert caught.value.retry_after == 1.0
        info = await storage.api(bus, f"STREAM.INFO.{bus.subjects.stream('TASKS')}", {})
        assert info["state"]["messages"] == 2


async def test_the_same_dedup_is_stored_once():
    async with queue() as (tasks, _):
        one = await tasks.publish(ADDRESS, Task(input=1), dedup="d")
        assert await tasks.publish(ADDRESS, Task(input=1), dedup="d") == one
        assert len(await tasks.pull("triage", "normal", batch=5, wait=10)) == 1
        assert list(await tasks.pull("triage", "normal", batch=5, wait=0)) == []


async def test_a_task_that_nobody_acknowledges_is_delivered_again_after_ack_wait():
    async with queue(ack_wait=0.3) as (tasks, _):
        sequence = await tasks.publish(ADDRESS, Task(input=1))
        first = await take(tasks)
        again = await take(tasks)
        assert first.sequence == again.sequence == sequence
        assert again.held.delivery.delivered == 2
        assert first.key == again.key


async def test_progress_keeps_a_task_and_release_gives_it_back():
    async with queue(ack_wait=1.5) as (tasks, _):
        await tasks.publish(ADDRESS, Task(input=1))
        held = await take(tasks)
        for _ in range(6):
            await held.progress()
            assert list(await tasks.pull("triage", "normal", batch=1, wait=0.3)) == []
        await held.release()
        again = await take(tasks)
        assert again.held.delivery.delivered == 2
        await again.release(0.8)
        assert list(await tasks.pull("triage", "normal", batch=1, wait=0.1)) == []
        assert (await take(tasks)).sequence == held.sequence


async def test_a_cancelled_pull_loses_nothing():
    async with queue(ack_wait=60) as (tasks, bus):
        await tasks.pull("triage", "normal", batch=1, wait=0)
        for number in range(20):
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: tasks.pull("triage", "normal", batch=1, wait=5))
                await until_pulled(bus)
                group.cancel_scope.cancel()
            await tasks.publish(ADDRESS, Task(input=number))
            held = await take(tasks)  # it went to the pull that was given up, and would lie there for a minute
            assert held.body.input == number
            await held.acknowledge()


async def test_what_nobody_pulls_any_more_goes_back_to_the_queue():
    async with queue(ack_wait=60) as (tasks, bus), open_pulls(bus) as pulls:
        await tasks.pull("triage", "normal", batch=1, wait=0)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: tasks.pull("triage", "normal", batch=1, wait=5))
            await until_pulled(bus)
            group.cancel_scope.cancel()
        await tasks.publish(ADDRESS, Task(input=1))
        other = JetStreamTasks(bus, pulls, JetStreamGraveyard(bus, SystemClock()), ack_wait=60)
        assert (await take(other)).held.delivery.delivered == 2


@pytest.mark.parametrize(
    ("tail", "payload", "reason"),
    [
        ("triage.normal", b"not json", "bad_json"),
        ("triage.normal", b"{}", "bad_shape"),
        ("triage.normal", b'{"input":1,"run":"a*"}', "bad_shape"),
        ("triage.normal.r1", b'{"input":1,"run":"r2"}', "run_conflict"),
        ("triage.normal.r$1", b'{"input":1}', "bad_id"),
    ],
)
async def test_a_message_that_does_not_validate_is_buried_with_its_reason(tail, payload, reason):
    async with queue() as (tasks, bus):
        await bus.request(f"{bus.subjects.prefix}.task.default.{tail}", payload, timeout=10)
        sequence = await tasks.publish(ADDRESS, Task(input="fine"))
        with anyio.fail_after(10):
            pulled = []
            while not pulled:
                pulled = await tasks.pull("triage", "normal", batch=5, wait=1)
        assert [held.sequence for held in pulled] == [sequence]
        (letter,) = await JetStreamGraveyard(bus, SystemClock()).letters()
        assert (letter.reason, letter.subject) == (reason, f"{bus.subjects.prefix}.task.default.{tail}")
        info = await storage.api(bus, f"STREAM.INFO.{bus.subjects.stream('TASKS')}", {})
        assert info["state"]["messages"] == 1


async def test_a_consumer_that_was_deleted_is_made_again():
    async with queue() as (tasks, bus):
        await tasks.pull("triage", "normal", batch=1, wait=0)
        await storage.api(bus, f"CONSUMER.DELETE.{bus.subjects.stream('TASKS')}.triage_normal", {})
        await tasks.publish(ADDRESS, Task(input=1))
        assert list(await tasks.pull("triage", "normal", batch=1, wait=0)) == []
        await take(tasks)


async def test_many_pullers_get_every_task_once():
    async with queue(ack_wait=60) as (tasks, _):
        got: list[int] = []

        async def work() -> None:
            while len(got) < 200:
                for held in await tasks.pull("triage", "normal", batch=3, wait=0.2):
                    got.append(held.body.input)
                    await held.acknowledge()

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(work)
                for number in range(200):
                    await tasks.publish(ADDRESS, Task(input=number))
        assert sorted(got) == list(range(200))


def test_both_forms_of_an_ack_subject_are_understood_and_nothing_else():
    short = parse_ack("$JS.ACK.S.c.2.7.9.1795257070693458567.3")
    long = parse_ack("$JS.ACK._.hash.S.c.2.7.9.1795257070693458567.3.rnd")
    assert short == long
    assert (short.stream, short.consumer, short.delivered, short.sequence, short.pending) == ("S", "c", 2, 7, 3)
    assert short.stored_at == datetime(2026, 11, 21, 10, 31, 10, 693458, tzinfo=UTC)
    for subject in (
        "",
        "cb.run.default.r1",
        "$JS.ACK.S.c.x.7.9.1.3",
        "$JS.ACK.S.c.1.1.1." + "9" * 50 + ".1",
        "$JS.ACK",
    ):
        with pytest.raises(InvalidMessage):
            parse_ack(subject)
