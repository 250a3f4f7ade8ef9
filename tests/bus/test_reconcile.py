import json
from dataclasses import replace

import anyio
import pytest

from callboard.bus.client import connect
from callboard.bus.reconcile import ensure_consumer, reconcile, stream_info
from callboard.bus.topology import ConsumerSpec, QueueLimits, StreamSpec, due_consumer, feed_consumer, task_consumer
from callboard.bus.topology import topology as streams_of
from callboard.errors import BusRefused
from tests.support.bus import bus_url, fresh_bus
from tests.support.wire import answering_late


async def test_a_fresh_server_gets_every_stream_as_it_is_wanted():
    async with fresh_bus() as bus:
        for spec in streams_of(bus.subjects):
            info = await stream_info(bus, spec.name)
            assert info is not None
            found = info["config"]
            assert {key: found.get(key) or None for key in spec.config()} == {
                key: value or None for key, value in spec.config().items()
            }


async def test_reconciling_again_changes_nothing():
    async with fresh_bus() as bus:
        assert await reconcile(bus, streams_of(bus.subjects)) == ()


async def test_all_streams_are_asked_for_at_once():
    async with fresh_bus() as bus:
        specs = streams_of(bus.subjects)
        questions = [f"$JS.API.STREAM.INFO.{spec.name} " for spec in specs]
        async with answering_late(bus_url(), until=questions) as url, connect(url, name="new") as new:
            assert await reconcile(new, specs) == ()


async def test_a_setting_that_may_change_is_updated_and_the_messages_stay():
    async with fresh_bus() as bus:
        tasks = bus.subjects.stream("TASKS")
        await bus.request(f"{bus.subjects.prefix}.task.default.a.normal", b"{}", timeout=5)
        (was,) = [spec for spec in streams_of(bus.subjects) if spec.name == tasks]
        (change,) = await reconcile(bus, [replace(was, max_msg_size=7_000)])
        assert (change.kind, change.stream) == ("updated", tasks)
        assert [str(difference) for difference in change.differences] == ["max_msg_size is -1, wanted 7000"]
        info = await stream_info(bus, tasks)
        assert info["config"]["max_msg_size"] == 7_000
        assert info["state"]["messages"] == 1


async def test_a_limit_that_an_operator_has_set_stays():
    async with fresh_bus() as bus:
        tasks = bus.subjects.stream("TASKS")
        config = (await stream_info(bus, tasks))["config"] | {"max_msgs": 7}
        await bus.request(f"$JS.API.STREAM.UPDATE.{tasks}", json.dumps(config).encode(), timeout=5)
        assert await reconcile(bus, streams_of(bus.subjects, limits=QueueLimits(max_msgs=9))) == ()
        assert (await stream_info(bus, tasks))["config"]["max_msgs"] == 7


async def test_a_setting_that_may_not_change_is_refused_with_stream_setting_and_both_values():
    async with fresh_bus() as bus:
        runs = bus.subjects.stream("RUNS")
        wanted = StreamSpec(runs, (f"{bus.subjects.prefix}.run.*.*",), retention="workqueue")
        with pytest.raises(BusRefused) as refused:
            await reconcile(bus, [wanted])
        assert f"'{runs}'" in str(refused.value)
        assert "retention is 'limits', wanted 'workqueue'" in str(refused.value)
        assert await reconcile(bus, streams_of(bus.subjects)) == ()


async def test_subjects_that_another_stream_has_are_refused():
    async with fresh_bus() as bus:
        with pytest.raises(BusRefused, match="overlap"):
            await reconcile(bus, [StreamSpec(bus.subjects.stream("OTHER"), (f"{bus.subjects.prefix}.run.*.*",))])


async def test_many_processes_may_reconcile_at_the_same_time():
    async with fresh_bus() as bus:
        specs = [StreamSpec(bus.subjects.stream(f"NEW{n}"), (f"{bus.subjects.prefix}.new.{n}",)) for n in range(3)]
        created = []

        async def one() -> None:
            async with connect(bus_url(), name="another") as other:
                created.extend(await reconcile(other, specs))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(one)
        assert {change.stream for change in created} == {spec.name for spec in specs}
        assert await reconcile(bus, specs) == ()


async def test_racing_creations_with_different_settings_end_with_one_of_them():
    async with fresh_bus() as bus:
        name, subjects = bus.subjects.stream("RACE"), (f"{bus.subjects.prefix}.race",)

        async def one(limit: int) -> None:
            async with connect(bus_url(), name="another") as other:
                await reconcile(other, [StreamSpec(name, subjects, max_msgs=limit)])

        async with anyio.create_task_group() as tasks:
            for limit in range(10, 18):
                tasks.start_soon(one, limit)
        info = await stream_info(bus, name)
        assert info["config"]["max_msgs"] in range(10, 18)


async def test_consumers_are_created_once_and_updated_after():
    async with fresh_bus() as bus:
        at = bus.subjects
        for stream, spec in (
            ("TASKS", task_consumer(at, "a", "high", ack_wait=2)),
            ("TASKS", task_consumer(at, "a", "high", ack_wait=15)),
            ("TASKS", task_consumer(at, "a", "low", ack_wait=2)),
            ("RUNS", feed_consumer(at)),
            ("TIMERS", due_consumer(at)),
            ("RUNS", feed_consumer(at)),
        ):
            await ensure_consumer(bus, at.stream(stream), spec)
        info = await bus.request(f"$JS.API.CONSUMER.INFO.{at.stream('TASKS')}.a_high", timeout=5)
        assert b'"ack_wait":15000000000' in info.payload
        for stream, count in (("TASKS", 2), ("RUNS", 1), ("TIMERS", 1)):
            found = await stream_info(bus, at.stream(stream))
            assert found["state"]["consumer_count"] == count


async def test_a_consumer_without_its_stream_says_what_to_do():
    async with fresh_bus() as bus:
        with pytest.raises(BusRefused, match=r"no stream 'NOPE'.*callboard up"):
            await ensure_consumer(bus, "NOPE", due_consumer(bus.subjects))


async def test_a_consumer_that_overlaps_in_the_work_queue_is_refused():
    async with fresh_bus() as bus:
        tasks = bus.subjects.stream("TASKS")
        await ensure_consumer(bus, tasks, task_consumer(bus.subjects, "a", "high", ack_wait=2))
        everything = ConsumerSpec("all", (f"{bus.subjects.prefix}.task.>",), ack_wait=2, max_ack_pending=10)
        with pytest.raises(BusRefused, match="all"):
            await ensure_consumer(bus, tasks, everything)


async def test_a_stream_that_is_not_there_has_no_info():
    async with fresh_bus() as bus:
        assert await stream_info(bus, "NOPE") is None
