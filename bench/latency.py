"""Shell: how long one run takes when nothing else is going on."""

from __future__ import annotations

import time

from bench.deployment import Deployment
from bench.stats import Row, percentile, with_unit


async def idle_run(here: Deployment, durability: str, *, runs: int) -> list[Row]:
    """Submit one no-op run, wait for its result, and again. Needs a worker that runs."""
    took: list[float] = []
    for number in range(runs + 10):
        started = time.perf_counter()
        run = await here.board.submit("noop", number)
        await run.result(10)
        took.append((time.perf_counter() - started) * 1e3)
    measured = took[10:]
    p50, p99 = percentile(measured, 50), percentile(measured, 99)
    return [
        Row(
            "one idle no-op run: submit to result, p50 / p99",
            durability,
            f"{with_unit(p50, 'ms')} / {with_unit(p99, 'ms')}",
            raw={"p50_ms": p50, "p99_ms": p99, "runs": runs},
        )
    ]
