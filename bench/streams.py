"""Shell: many streams of answers at the same time in one worker, and kills of runs in the middle of one."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.child import Child, Heard, child
from bench.conversation import MODELS, SLOW, SLOWER
from bench.deployment import Deployment, emptied, publish_all, seeing
from bench.provider import provider
from bench.stats import Row, Target, percentile, with_unit
from callboard.app.board import Run
from callboard.bus.client import Reply

LATE = Target("at most", 100.0, "ms")
"""A third of what an intent may be old when its effect starts."""
CLOSED = Target("at most", 250.0, "ms")
LEFT = Target("at most", 50.0, "ms")
RUNNING = 20
"""Streams beside the one that is killed."""


@dataclass(slots=True)
class _Streams:
    """A worker and a fake provider, and all that they and the readers of pieces of text said."""

    here: Deployment
    worker: Child
    heard: Heard
    marks: dict[str, str] = field(default_factory=dict[str, str])
    """Of the runs."""

    async def submit(self, kind: str, number: int) -> Run:
        """One more stream."""
        mark = f"mark-{kind}-{number}"
        run = await self.here.board.submit(f"{kind}-{MODELS[number % len(MODELS)]}", mark)
        self.marks[run.id] = mark
        return run

    def told(self, message: Reply) -> None:
        """A piece of text came."""
        self.heard.note("told", message.subject.rpartition(".")[2], time.monotonic_ns())


@asynccontextmanager
async def _streams(here: Deployment, *, slots: int) -> AsyncGenerator[_Streams]:
    heard, connection = Heard(), here.board.bus.connection
    async with (
        provider(heard) as address,
        child("noted", here.url, "noted", str(slots), address, heard=heard) as worker,
    ):
        streams = _Streams(here, worker, heard)
        async with connection.subscribe(f"{connection.subjects.prefix}.token.>", streams.told):
            await connection.barrier()
            yield streams


async def at_once(here: Deployment, durability: str, *, count: int) -> list[Row]:
    """``count`` runs, each in a stream of five seconds: memory, CPU, lateness of the loop and of the first piece."""
    async with _streams(here, slots=count + 10) as streams, seeing(here.board.bus.connection) as seen:
        await _warm_up(streams)
        heard, worker, before = streams.heard, streams.worker, seen.count["run.completed"]
        numbers = iter(range(count))
        idle, cpu, probes = worker.rss, worker.cpu, len(heard.of("late"))
        await publish_all(lambda: streams.submit(SLOW, next(numbers)), count)
        mine = [mark for mark in streams.marks.values() if mark.startswith(f"mark-{SLOW}-")]
        await heard.until(lambda: all(mark in heard.of("spoke") for mark in mine))
        full = worker.rss
        await seen.until("run.completed", before + count)
        spent = worker.cpu - cpu
        if ended := seen.count["run.failed"]:
            raise RuntimeError(f"{ended} of {count} runs with a stream failed")
        probed = len(heard.of("probed"))
        await heard.until(lambda: len(heard.of("probed")) > probed)  # what is behind it is on its way
    late = [nanoseconds / 1e6 for nanoseconds in list(heard.of("late").values())[probes:]]
    pieces = [
        (heard.of("told")[run] - heard.of("spoke")[mark]) / 1e6 for run, mark in streams.marks.items() if mark in mine
    ]
    return [
        _latency(f"{count} streams in one worker: lateness of its event loop", durability, late, LATE),
        _latency(f"{count} streams in one worker: first piece sent to first piece heard", durability, pieces, None),
        Row(
            f"{count} streams in one worker: memory of the worker for each",
            durability,
            with_unit((full - idle) * 1024 / count, "KiB"),
            raw={"idle_mib": idle, "mib": full},
        ),
        Row(
            f"{count} streams in one worker, of 50 chunks: CPU of the worker for each",
            durability,
            with_unit(spent / count * 1e3, "ms"),
            raw={"cpu_s": spent},
        ),
    ]


async def stream_kills(here: Deployment, durability: str, *, count: int) -> list[Row]:
    """``count`` runs are killed in the middle of a stream, one after the other."""
    killed: dict[str, int] = {}
    async with _streams(here, slots=RUNNING + 10) as streams:
        await _warm_up(streams)
        heard = streams.heard
        running = [await streams.submit(SLOWER, number) for number in range(RUNNING)]
        for number in range(RUNNING, RUNNING + count):
            run = running.pop(0)
            mark = streams.marks[run.id]
            await heard.until(lambda mark=mark: mark in heard.of("spoke"))  # type: ignore[misc]
            killed[run.id] = time.monotonic_ns()
            await run.kill("benchmark")
            await heard.until(lambda mark=mark: mark in heard.of("left"))  # type: ignore[misc]
            running.append(await streams.submit(SLOWER, number))
        await heard.until(lambda: all(run in heard.of("cancelled") for run in killed))
        for run in running:
            await run.kill("the benchmark is over")
        await emptied(here.board.bus.connection, here.board.bus.connection.subjects.stream("TASKS"))
    left = {run: heard.of("left")[streams.marks[run]] for run in killed}
    closed = [(left[run] - at) / 1e6 for run, at in killed.items()]
    after = [(left[run] - heard.of("cancelled")[run]) / 1e6 for run in killed]
    what = f"{count} kills, {RUNNING} streams in the worker"
    return [
        _latency(f"kill to the stream closed at the provider: {what}", durability, closed, CLOSED),
        _latency(f"cancelled in the worker to the stream closed at the provider: {what}", durability, after, LEFT),
    ]


async def _warm_up(streams: _Streams) -> None:
    """The first stream of each provider."""
    first = [await streams.submit(SLOWER, -1 - number) for number in range(len(MODELS))]
    for run in first:
        mark = streams.marks[run.id]
        await streams.heard.until(lambda mark=mark: mark in streams.heard.of("spoke"))  # type: ignore[misc]
        await run.kill("warm")


def _latency(case: str, durability: str, took: list[float], target: Target | None) -> Row:
    p50, p99 = percentile(took, 50), percentile(took, 99)
    return Row(
        f"{case}, p50 / p99",
        durability,
        f"{with_unit(p50, 'ms')} / {with_unit(p99, 'ms')}",
        target=target,
        judged=p99,
        raw={"p50_ms": p50, "p99_ms": p99, "max_ms": max(took), "count": len(took)},
    )
