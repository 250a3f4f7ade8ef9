"""Shell: runs per second, next to the raw floor, in rounds that take turns: floor, ours, floor, ours."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import nats
from nats.js import JetStreamContext

from bench import floor
from bench.child import Child, child, cpu_seconds
from bench.code import STEPS, TOOL_TURNS
from bench.deployment import Deployment, Publish, emptied, publish_all, stream_state
from bench.stats import Row, Target, median, ratios, with_unit

_WARM_UP = 100
_FEWEST = 50
_HEADERS = 120
"""Bytes of a stored record that are no payload, more or less."""


@dataclass(frozen=True, slots=True)
class Case:
    """Runs of one agent. ``design``: the appends of the floor that the target is for."""

    name: str
    agent: str
    design: int
    share: float | None


CASES = (
    Case("no-op tasks", "noop", 2, 0.6),
    Case(f"function of {STEPS} steps", "steps", STEPS, 0.5),
    Case(f"agent, {TOOL_TURNS} turns with a tool, and an answer", "turns", STEPS, 0.5),
    Case(f"function of {STEPS} at-most-once steps", "once", STEPS, None),
)
CPU_TARGET = Target("at most", 5.0, "ms")


@dataclass(slots=True)
class Lap:
    """What one of the competitors did: runs per second, and worker CPU in ms per run, round by round."""

    publish: Publish
    stream: str
    worker: Child
    count: int = 0
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Throughput:
    """The competitors on one server."""

    here: Deployment
    worker: Child
    floor_worker: Child
    js: JetStreamContext
    durability: str
    say: Callable[[str], None]

    async def case(self, case: Case, *, rounds: int, seconds: float) -> list[Row]:
        """Measure one case: warm up, learn how many records of which size a run writes, then the rounds."""
        ours = Lap(partial(self.here.board.submit, case.agent, {"n": 1}), "CB_TASKS", self.worker)
        appends, size = await self._warm_up(ours)
        same = self._floor(round(appends), size)
        floors = {case.design: self._floor(case.design, size), round(appends): same}
        laps = [*floors.values(), ours]
        for lap in laps:
            rate = await self._lap(lap, _WARM_UP)
            lap.count = max(_FEWEST, round(rate * seconds))
        for number in range(1, rounds + 1):
            for lap in laps:
                before = cpu_seconds(lap.worker.pid)
                lap.rates.append(await self._lap(lap, lap.count))
                lap.cpu.append((cpu_seconds(lap.worker.pid) - before) / lap.count * 1e3)
            rates = ", ".join(f"floor of {n} appends {lap.rates[-1]:,.0f}" for n, lap in floors.items())
            self.say(f"{case.name}, {self.durability}, round {number} of {rounds}: {ours.rates[-1]:,.0f} /s, {rates}")
        return self._rows(case, ours, floors, appends, size)

    async def _warm_up(self, ours: Lap) -> tuple[float, int]:
        """Records per run, and bytes of payload per record."""
        connection = self.here.board.bus.connection
        before = await stream_state(connection, "CB_RUNS")
        await self._lap(ours, _WARM_UP)
        after = await stream_state(connection, "CB_RUNS")
        records = after["messages"] - before["messages"]
        return records / _WARM_UP, max(64, round((after["bytes"] - before["bytes"]) / records) - _HEADERS)

    def _floor(self, appends: int, size: int) -> Lap:
        return Lap(partial(floor.publish, self.js, appends=appends, size=size), floor.TASKS, self.floor_worker)

    async def _lap(self, lap: Lap, count: int) -> float:
        """Publish ``count`` tasks while the worker takes them; runs per second until the last is acknowledged."""
        started = time.perf_counter()
        await publish_all(lap.publish, count)
        await emptied(self.here.board.bus.connection, lap.stream)
        return count / (time.perf_counter() - started)

    def _rows(self, case: Case, ours: Lap, floors: dict[int, Lap], appends: float, size: int) -> list[Row]:
        rows: list[Row] = []
        for number, lap in floors.items():
            by_round = ratios(ours.rates, lap.rates)
            judged = case.share is not None and number == case.design and self.durability == "always"
            target = Target("at least", case.share or 0.0) if judged else None
            rows.append(
                Row(
                    f"{case.name}: runs per second",
                    self.durability,
                    f"{median(ours.rates):,.0f} /s ({appends:.1f} appends)",
                    floor=f"{median(lap.rates):,.0f} /s ({number} appends)",
                    ratio=f"{median(by_round):.2f} ({' '.join(f'{each:.2f}' for each in by_round)})",
                    target=target,
                    judged=median(by_round),
                    raw={
                        "per_second": list(ours.rates),
                        "floor_per_second": list(lap.rates),
                        "ratios": list(by_round),
                        "appends": appends,
                        "floor_appends": number,
                        "bytes_per_append": size,
                        "runs_per_round": ours.count,
                    },
                )
            )
        return [*rows, self._cpu(case, ours, floors[case.design])]

    def _cpu(self, case: Case, ours: Lap, lap: Lap) -> Row:
        return Row(
            f"{case.name}: CPU of the worker per run",
            self.durability,
            with_unit(median(ours.cpu), "ms"),
            floor=with_unit(median(lap.cpu), "ms"),
            target=CPU_TARGET if case.design == STEPS and case.share is not None else None,
            judged=median(ours.cpu),
            raw={"cpu_ms": list(ours.cpu), "floor_cpu_ms": list(lap.cpu)},
        )


@asynccontextmanager
async def throughput(here: Deployment, durability: str, say: Callable[[str], None]) -> AsyncGenerator[Throughput]:
    """One worker process of ours, one of the floor, on the same server."""
    connection = await nats.connect(here.url)
    try:
        js = connection.jetstream()
        await floor.prepare(js)
        async with here.worker() as worker, child("floor", here.url) as floor_worker:
            yield Throughput(here, worker, floor_worker, js, durability, say)
    finally:
        await connection.close()
