"""Open and half open, in a fleet of four worker processes."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import Task
from callboard.bus.subjects import TaskAddress
from callboard.clock import SystemClock
from callboard.guards.breaker.circuit import Circuit
from tests.guards.breaker.dead_provider import CIRCUIT
from tests.support.bus import bus_url, fresh_bus

RUNS = 100


async def told(process: Process, what: str) -> None:
    assert process.stdout is not None
    with anyio.fail_after(60):
        async for text in TextReceiveStream(process.stdout):
            if what in text:
                return
    raise AssertionError("a worker ended")


@asynccontextmanager
async def fleet(path: Path) -> AsyncGenerator[tuple[Bus, list[Process]]]:
    """Four worker processes, and the bus of a client. Calls of the provider are lines of ``path``."""
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(fresh_bus())
        bus = await stack.enter_async_context(open_bus(bus_url(), subjects=made.subjects, name="client"))
        command = [sys.executable, "-m", "tests.guards.breaker.dead_provider", bus_url(), made.subjects.prefix]
        processes = []
        for number in range(4):
            process = await anyio.open_process([*command, f"w{number}", str(path)], stdout=PIPE, stderr=None)
            processes.append(await stack.enter_async_context(process))
            stack.callback(process.kill)
        for process in processes:
            await told(process, "ready")
        yield bus, processes


async def submitted(bus: Bus, agent: str, head: str, runs: int) -> None:
    for number in range(runs):
        await bus.tasks.publish(TaskAddress("default", agent, "normal", f"{head}{number}"), Task(input="x"))


async def all_denied(bus: Bus, head: str) -> None:
    """A hundred runs, and each of them hears that the circuit is open."""
    denied, done = set(), anyio.Event()

    def live(message) -> None:
        if b"guard.denied" in message.payload and f".{head}" in message.subject:
            denied.add(message.subject)
            if len(denied) == RUNS:
                done.set()

    async with bus.connection.subscribe(f"{bus.connection.subjects.prefix}.live.>", live):
        await submitted(bus, "a", head, RUNS)
        with anyio.fail_after(60):
            await done.wait()


def calls(path: Path) -> list[int]:
    """By whom the provider was called."""
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


async def test_the_failures_of_one_process_protect_the_others_and_then_one_call_finds_out_for_all(tmp_path):
    path = tmp_path / "calls"
    async with fleet(path) as (bus, processes):
        await submitted(bus, "b", "first", 5)
        for process in processes:
            await told(process, "open")
        await all_denied(bus, "protected")
        assert set(calls(path)) == {processes[0].pid}, "no other process has called the provider"
        before, now = len(calls(path)), SystemClock().now()
        due = Circuit(phase="open", cause="streak", trips=3, since=now - timedelta(minutes=1), until=now)
        await bus.states.put(*CIRCUIT.key, value=due.model_dump_json().encode())
        await all_denied(bus, "due")
        through = len(calls(path)) - before
        print(f"{RUNS} runs in 4 processes called a dead provider at the same time: {through} call went through")
        assert through == 1
