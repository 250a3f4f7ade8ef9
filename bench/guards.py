"""Shell: guards in a process of their own: from an event to the kill to the effect's CancelledError in a worker.

And how many entries one such process follows. All processes read CLOCK_MONOTONIC, which those of one machine share.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import anyio

from bench.child import Child, Heard, child
from bench.deployment import Deployment, publish_all, stream_state
from bench.echo import echo
from bench.stats import Row, Target, percentile, with_unit
from callboard.bus.bus import Bus, open_bus
from callboard.bus.client import Reply
from callboard.bus.guard_messages import Pulse
from callboard.bus.messages import (
    Content,
    ModelRequested,
    ModelResponded,
    Record,
    RunCreated,
    SignalReceived,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard, Seen, Verdict

RUNNING = 100
_WITHIN = 60.0
MIDDLE = Target("at most", 5.0, "ms")
CANCELLED = Target("at most", 50.0, "ms")
FOLLOWED = Target("at least", 3_000.0, "/s")


class Stopper(Guard[int]):
    """Kills a run that is asked to stop, or announces what it must not do; counts the rest."""

    name = "stopper"

    def start(self, run: RunKey) -> int:  # noqa: ARG002 - the same for every run
        return 0

    def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:
        event = seen.event
        asked = isinstance(event, SignalReceived) and event.name == "stop"
        if asked or (isinstance(event, ToolRequested) and event.tool == "provoke"):
            return state, (Verdict("kill", "asked to", evidence=(seen.sequence,)),)
        return state + 1, ()


HOSTED = (Hosted("stopper", lambda _: (Stopper(), "enforce")),)
"""What the role ``guard`` hosts."""


class Pulses:
    """The watermarks of the guard process, by partition."""

    def __init__(self) -> None:
        self._watermarks: dict[int, int] = {}
        self._changed = anyio.Event()

    def deliver(self, message: Reply) -> None:
        """A pulse came."""
        pulse = Pulse.model_validate_json(message.payload)
        self._watermarks[pulse.partition] = max(pulse.watermark, self._watermarks.get(pulse.partition, 0))
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def until(self, sequence: int, partitions: int = 8) -> None:
        """Return when everything up to ``sequence`` is judged."""
        with anyio.fail_after(_WITHIN):
            while len(self._watermarks) < partitions or min(self._watermarks.values()) < sequence:
                await self._changed.wait()


@asynccontextmanager
async def guarded(here: Deployment) -> AsyncGenerator[tuple[Child, Pulses, Bus]]:
    """A guard process that is ready."""
    pulses = Pulses()
    async with open_bus(here.url, name="bench-guards") as bus:
        first = await bus.journals.signal(RunKey("default", "first"), _record(bus, SignalReceived(name="first")))
        subject = f"{bus.connection.subjects.prefix}.pulse.stopper.*"
        async with bus.connection.subscribe(subject, pulses.deliver), child("guard", here.url, "guard") as process:
            await pulses.until(first)
            yield process, pulses, bus


async def guard_kills(here: Deployment, durability: str, *, count: int) -> list[Row]:
    """While 100 runs are in a worker: ``count`` calls are announced that the guard kills for, one after the other.

    And as many runs are asked to stop, which concerns the worker and the dispatcher too.
    """
    effects, called, asked = Heard(), list[float](), list[float]()
    async with here.worker(slots=2 * RUNNING, heard=effects):
        running = [await here.board.submit("hold", None) for _ in range(RUNNING)]
        await effects.until(lambda: len(effects.of("started")) == RUNNING)
        async with guarded(here) as (_, _, bus), echo(here.url) as floor:
            for _ in range(count):
                await floor.measure()  # in turns with ours: the disk and the machine have slow moments
                run = await here.board.submit("provoke", None)
                await effects.until(lambda run=run: run.id in effects.of("cancelled"))  # type: ignore[misc]
                called.append((effects.of("cancelled")[run.id] - effects.of("provoked")[run.id]) / 1e6)
            for _ in range(count):
                run = running.pop(0)
                before = time.monotonic_ns()
                await bus.journals.signal(RunKey("default", run.id), _record(bus, SignalReceived(name="stop")))
                await effects.until(lambda run=run: run.id in effects.of("cancelled"))  # type: ignore[misc]
                asked.append((effects.of("cancelled")[run.id] - before) / 1e6)
                running.append(await here.board.submit("hold", None))
                await effects.until(lambda: running[-1].id in effects.of("started"))
    return [
        *floor.rows(durability),
        *_rows("a call's intent to guard to kill to cancelled", durability, called, floor=floor.stored),
        *_rows("a signal to guard to kill to cancelled", durability, asked, floor=floor.stored),
    ]


def _rows(path: str, durability: str, took: list[float], *, floor: list[float]) -> list[Row]:
    """With what two appends and two hops cost without us, and what is ours of it."""
    found = {
        name: (percentile(took, percent), percentile(floor, percent), target)
        for name, percent, target in (("p50", 50, MIDDLE), ("p99", 99, CANCELLED))
    }
    return [
        Row(
            f"{path}, {name}: {len(took)} kills, {RUNNING} runs in the worker",
            durability,
            with_unit(figure, "ms"),
            floor=with_unit(bare, "ms"),
            ratio=f"ours: {with_unit(figure - bare, 'ms')}",
            target=target,
            judged=figure,
            raw={"ms": figure, "floor_ms": bare, "kills": len(took)},
        )
        for name, (figure, bare, target) in found.items()
    ]


async def followed(here: Deployment, durability: str, *, entries: int) -> list[Row]:
    """Journals of 100 runs are written as fast as one process can, and one guard process follows all of them."""
    async with guarded(here) as (process, pulses, bus):
        keys = [RunKey("default", f"follow-{number}") for number in range(RUNNING)]
        for key in keys:
            begin = RunCreated(agent="noop", at=bus.clock.now())  # nobody claims it: the sweeper leaves it alone
            await bus.journals.append(key, _record(bus, begin, owner="o1"), expect=0)
        written = 0

        async def write() -> None:
            nonlocal written
            written += 1
            await bus.journals.signal(keys[written % RUNNING], _turn(bus, written))

        before, cpu = time.monotonic(), process.cpu
        await publish_all(write, entries)
        wrote = time.monotonic() - before
        await pulses.until((await stream_state(bus.connection, bus.connection.subjects.stream("RUNS")))["last_seq"])
        took, cpu = time.monotonic() - before, process.cpu - cpu
    by_cpu = entries / cpu
    return [
        Row(
            f"entries that one guard process follows, by its CPU time ({entries / took:,.0f} /s came)",
            durability,
            with_unit(by_cpu, "/s"),
            target=FOLLOWED,
            judged=by_cpu,
            raw={"entries": entries, "cpu_s": cpu, "took_s": took, "written_within_s": wrote},
        )
    ]


def _turn(bus: Bus, number: int) -> Record:
    """Two of three entries of an agent's life: an answer with its tool call, and the tool's result."""
    if number % 2:
        return _record(
            bus, ModelResponded(call=f"m{number}"), ToolRequested(call=f"t{number}", tool="look"), owner="o1"
        )
    result = Content(value="a line of some length that a tool has found\n" * 10)
    requested = ModelRequested(call=f"m{number}", model="scripted")
    return _record(bus, ToolReturned(call=f"t{number}", result=result), requested, owner="o1")


def _record(bus: Bus, *events: object, owner: str = "") -> Record:
    return Record(id=bus.clock.new_id(), owner=owner, at=bus.clock.now(), events=events)
