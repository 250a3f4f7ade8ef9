"""Half open, in a fleet of four worker processes."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from subprocess import PIPE

import anyio
from anyio.streams.text import TextReceiveStream

from callboard.bus.bus import open_bus
from callboard.bus.messages import Task
from callboard.bus.subjects import TaskAddress
from callboard.clock import SystemClock
from callboard.guards.breaker.circuit import Circuit
from callboard.guards.breaker.names import Line
from tests.guards.breaker.dead_provider import LABEL
from tests.support.bus import bus_url, fresh_bus

RUNS = 100


async def started(process) -> None:
    with anyio.fail_after(30):
        async for text in TextReceiveStream(process.stdout):
            if "ready" in text:
                return
    raise AssertionError("a worker ended")


async def test_of_100_calls_to_a_dead_provider_one_goes_through_in_a_fleet_of_4_processes(tmp_path):
    path, now, denied, all_denied = tmp_path / "calls", SystemClock().now(), set(), anyio.Event()
    due = Circuit(phase="open", cause="streak", trips=3, since=now - timedelta(minutes=1), until=now)

    def live(message) -> None:
        if b"guard.denied" in message.payload:
            denied.add(message.subject)
            if len(denied) == RUNS:
                all_denied.set()

    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(fresh_bus())
        bus = await stack.enter_async_context(open_bus(bus_url(), subjects=made.subjects, name="client"))
        await stack.enter_async_context(bus.connection.subscribe(f"{made.subjects.prefix}.live.>", live))
        await bus.states.put(*Line("_", "model", LABEL).key, value=due.model_dump_json().encode())
        for number in range(4):
            command = [sys.executable, "-m", "tests.guards.breaker.dead_provider", bus_url(), made.subjects.prefix]
            process = await anyio.open_process([*command, f"w{number}", str(path)], stdout=PIPE, stderr=None)
            await stack.enter_async_context(process)
            stack.callback(process.kill)
            await started(process)
        for number in range(RUNS):
            await bus.tasks.publish(TaskAddress("default", "a", "normal", f"r{number}"), Task(input="x"))
        with anyio.fail_after(30):
            await all_denied.wait()
        calls = path.read_text().splitlines()
        print(f"{RUNS} runs in 4 processes called a dead provider at the same time: {len(calls)} call went through")
        assert len(calls) == 1
