"""Shell: what a worker process needs for a thousand runs that wait."""

from __future__ import annotations

from functools import partial

from bench.deployment import Deployment, publish_all, seeing
from bench.stats import Row, Target, with_unit

TARGET = Target("at most", 150.0, "MiB")
RUNS = 1_000
_WARM_UP = 100


async def memory(here: Deployment, durability: str) -> list[Row]:
    """Resident memory with 1,000 runs in a model call, and with 1,000 that sleep (a fresh worker for each)."""
    return [
        await _waiting(here, durability, agent="wait", event="model.requested", case="that wait for a model"),
        await _waiting(here, durability, agent="sleep", event="run.suspended", case="that sleep"),
    ]


async def _waiting(here: Deployment, durability: str, *, agent: str, event: str, case: str) -> Row:
    connection = here.board.bus.connection
    async with seeing(connection) as seen, here.worker(slots=RUNS + 10) as worker:
        await publish_all(partial(here.board.submit, "noop", None), _WARM_UP)
        await seen.until("run.completed", _WARM_UP)
        idle = worker.rss
        await publish_all(partial(here.board.submit, agent, None), RUNS)
        await seen.until(event, RUNS)
        full = worker.rss
    return Row(
        f"memory of a worker with {RUNS:,} runs {case}",
        durability,
        f"{with_unit(full, 'MiB')} (idle: {with_unit(idle, 'MiB')})",
        target=TARGET,
        judged=full,
        raw={"mib": full, "idle_mib": idle, "kib_per_run": (full - idle) * 1024 / RUNS},
    )
