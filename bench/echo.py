"""Shell: the floor of a kill by a guard: the same two hops and two writes with bare nats-py, and nothing else.

One process publishes an event; another one hears what the server republishes and publishes a kill; the first one hears
that. No models, no fold, no gates, no guard: what is left is the server, the disk, and two clients.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RePublish, StreamConfig

from bench.child import child
from bench.stats import Row, percentile, with_unit

_STREAM = "FLOOR_ECHO"
_EVENT = b"e" * 900
_KILL = b"k" * 250
_WITHIN = 10.0


async def serve(url: str) -> None:
    """The other process: answers each event with a kill, as the event came. Until killed."""
    connection = await nats.connect(url)
    js = connection.jetstream()

    async def stored(message: Msg) -> None:
        await js.publish(f"floor.echo.kill.{message.subject.rpartition('.')[2]}", _KILL)

    async def core(message: Msg) -> None:
        await connection.publish(f"floor.core.kill.{message.subject.rpartition('.')[2]}", _KILL)

    await connection.subscribe("floor.heard.event.*", cb=stored)
    await connection.subscribe("floor.core.event.*", cb=core)
    await connection.flush()
    print("ready", flush=True)
    await anyio.sleep_forever()


@dataclass(slots=True)
class Echo:
    """The first process. All figures are in ms, and only the calls of ``measure`` count."""

    connection: Client
    js: JetStreamContext
    appended: list[float] = field(default_factory=list[float])
    stored: list[float] = field(default_factory=list[float])
    core: list[float] = field(default_factory=list[float])
    _killed: dict[str, anyio.Event] = field(default_factory=dict[str, anyio.Event])
    _number: int = 0

    async def measure(self) -> None:
        """One append; there and back by way of two appends; there and back by way of none."""
        self._number += 1
        number, before = self._number, time.perf_counter()
        await self.js.publish(f"floor.echo.lone.{number}", _EVENT)
        self.appended.append((time.perf_counter() - before) * 1e3)
        for took, kind in ((self.stored, "echo"), (self.core, "core")):
            back, before = self._expect(f"{kind}-{number}"), time.perf_counter()
            if kind == "echo":
                await self.js.publish(f"floor.echo.event.{kind}-{number}", _EVENT)
            else:
                await self.connection.publish(f"floor.core.event.{kind}-{number}", _EVENT)
            with anyio.fail_after(_WITHIN):
                await back.wait()
            took.append((time.perf_counter() - before) * 1e3)

    async def heard(self, message: Msg) -> None:
        """A kill is here."""
        if (back := self._killed.pop(message.subject.rpartition(".")[2], None)) is not None:
            back.set()

    def rows(self, durability: str) -> list[Row]:
        """What the disk, the server and the processes cost without us."""
        figures = {
            "floor: one append, acknowledged": self.appended,
            "floor: event, other process, kill, back: two appends": self.stored,
            "floor: the same without appends (core NATS)": self.core,
        }
        return [
            Row(
                f"{case}, p50 / p99",
                durability,
                "",
                floor=" / ".join(with_unit(percentile(took, percent), "ms") for percent in (50, 99)),
                raw={"p50_ms": percentile(took, 50), "p99_ms": percentile(took, 99), "times": len(took)},
            )
            for case, took in figures.items()
        ]

    def _expect(self, name: str) -> anyio.Event:
        self._killed[name] = anyio.Event()
        return self._killed[name]


@asynccontextmanager
async def echo(url: str) -> AsyncGenerator[Echo]:
    """Both processes, on a stream of their own with the durability of the server."""
    connection = await nats.connect(url)
    try:
        js = connection.jetstream()
        republished = RePublish(src="floor.echo.>", dest="floor.heard.>")
        await js.add_stream(StreamConfig(name=_STREAM, subjects=["floor.echo.>"], republish=republished))
        here = Echo(connection, js)
        async with child("echo", url):
            for subject in ("floor.heard.kill.*", "floor.core.kill.*"):
                await connection.subscribe(subject, cb=here.heard)
            await connection.flush()
            yield here
    finally:
        await connection.close()
