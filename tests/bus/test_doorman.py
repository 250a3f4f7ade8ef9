"""Tasks that nobody can serve are turned away, with a reason, and kept in CB_DEAD."""

import json

import anyio
import anyio.lowlevel
import pytest

from callboard.bus.bus import open_bus
from callboard.bus.doorman import turn_away
from callboard.bus.reconcile import stream_info
from tests.support.bus import bus_url, fresh_bus


@pytest.mark.parametrize(
    ("address", "reason"),
    [("default.echo.urgent", "bad_lane"), ("default.echo", "bad_subject"), ("default.echo.low.a.b", "bad_subject")],
)
async def test_a_task_for_an_address_that_nobody_serves_is_refused_and_buried(address: str, reason: str):
    async with (
        fresh_bus() as own,
        open_bus(bus_url(), subjects=own.subjects, name="t") as bus,
        anyio.create_task_group() as group,
    ):
        await group.start(_doorman, bus)
        reply = await bus.connection.request(f"{own.subjects.prefix}.task.{address}", b'{"input": 1}', timeout=5)
        assert json.loads(reply.payload)["error"]["description"].startswith(f"{reason}: ")
        (letter,) = await bus.graveyard.letters()
        assert (letter.reason, letter.subject) == (reason, f"{own.subjects.prefix}.task.{address}")
        group.cancel_scope.cancel()


@pytest.mark.parametrize("agent", ["e$", "\u00e9", "x" * 65])
async def test_a_task_with_a_bad_id_is_taken_out_of_the_queue_and_buried(agent: str):
    async with (
        fresh_bus() as own,
        open_bus(bus_url(), subjects=own.subjects, name="t") as bus,
        anyio.create_task_group() as group,
    ):
        await group.start(_doorman, bus)
        good = f"{own.subjects.prefix}.task.default.echo.normal"
        await bus.connection.request(good, b'{"input": 1}', timeout=5)
        await bus.connection.publish(f"{own.subjects.prefix}.task.default.{agent}.normal", b'{"input": 1}')
        with anyio.fail_after(10):
            while not (letters := await bus.graveyard.letters()) or await _queued(bus) != 1:
                await anyio.lowlevel.checkpoint()
        assert [letter.reason for letter in letters] == ["bad_id"]
        group.cancel_scope.cancel()


async def _queued(bus) -> int:
    info = await stream_info(bus.connection, bus.connection.subjects.stream("TASKS"))
    return info["state"]["messages"]


async def test_a_task_that_somebody_may_serve_is_left_to_the_queue():
    async with (
        fresh_bus() as own,
        open_bus(bus_url(), subjects=own.subjects, name="t") as bus,
        anyio.create_task_group() as group,
    ):
        await group.start(_doorman, bus)
        for address in ("default.echo.low", "default.echo.low.r1"):
            reply = await bus.connection.request(f"{own.subjects.prefix}.task.{address}", b'{"input": 1}', timeout=5)
            assert json.loads(reply.payload)["stream"] == own.subjects.stream("TASKS")
        assert await bus.graveyard.letters() == []
        group.cancel_scope.cancel()


async def _doorman(bus, *, task_status) -> None:
    ready = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(turn_away, bus.connection, bus.graveyard, ready)
        await ready.wait()
        task_status.started()
