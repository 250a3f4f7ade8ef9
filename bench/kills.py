"""Shell: from a kill in one process to the effect's CancelledError in another, and to the receipt.

Both processes read CLOCK_MONOTONIC, which the processes of one machine share.
"""

from __future__ import annotations

import time

import anyio

from bench.child import Heard
from bench.deployment import Deployment
from bench.stats import Row, Target, percentile, with_unit
from callboard.app.board import Run

RUNNING = 100
CANCELLED = Target("at most", 50.0, "ms")
SETTLED = Target("at most", 1_000.0, "ms")


class _Kills:
    """Kills, and what each of them took in ms."""

    def __init__(self, effects: Heard) -> None:
        self._effects = effects
        self.cancelled: list[float] = []
        self.settled: list[float] = []

    async def kill(self, run: Run) -> None:
        """Kill ``run`` and note both times; the clock starts before anything is published."""
        before = time.monotonic_ns()
        receipt = await run.kill("benchmark")
        after = time.monotonic_ns()
        if receipt.outcome != "killed" or receipt.settled_at is None:
            raise RuntimeError(f"the kill of a running run has the receipt {receipt}")
        await self._effects.until(lambda: run.id in self._effects.of("cancelled"))
        self.cancelled.append((self._effects.of("cancelled")[run.id] - before) / 1e6)
        self.settled.append((after - before) / 1e6)

    def rows(self, case: str, durability: str, *, cancelled: Target | None) -> list[Row]:
        """Both figures of these kills."""
        p50, p99 = percentile(self.cancelled, 50), percentile(self.cancelled, 99)
        middle, worst = percentile(self.settled, 50), max(self.settled)
        return [
            Row(
                f"kill to cancelled, p50 / p99: {case}",
                durability,
                f"{with_unit(p50, 'ms')} / {with_unit(p99, 'ms')}",
                target=cancelled,
                judged=p99,
                raw={"p50_ms": p50, "p99_ms": p99, "kills": len(self.cancelled)},
            ),
            Row(
                f"kill to settled, p50 / max: {case}",
                durability,
                f"{with_unit(middle, 'ms')} / {with_unit(worst, 'ms')}",
                target=SETTLED,
                judged=worst,
                raw={"p50_ms": middle, "max_ms": worst, "kills": len(self.settled)},
            ),
        ]


async def kills(here: Deployment, durability: str, *, count: int) -> list[Row]:
    """Kill ``count`` runs one after the other while 100 run in one worker, then the last 100 at the same time."""
    effects = Heard()
    async with here.worker(slots=2 * RUNNING, heard=effects):
        running = [await here.board.submit("hold", None) for _ in range(RUNNING)]
        await effects.until(lambda: len(effects.of("started")) == RUNNING)
        singly, together = _Kills(effects), _Kills(effects)
        for _ in range(count):
            await singly.kill(running.pop(0))
            running.append(await here.board.submit("hold", None))
            await effects.until(lambda: running[-1].id in effects.of("started"))
        async with anyio.create_task_group() as group:
            for run in running:
                group.start_soon(together.kill, run)
    one = f"{count} kills, {RUNNING} runs in the worker"
    at_once = f"{RUNNING} runs at once"  # every kill waits for the flushes of the others: no target
    return [
        *singly.rows(one, durability, cancelled=CANCELLED),
        *together.rows(at_once, durability, cancelled=None),
    ]
