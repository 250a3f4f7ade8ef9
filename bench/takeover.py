"""Shell: kill -9 of a worker in the middle of effects, until the next worker has claimed its runs."""

from __future__ import annotations

import random
import time
from contextlib import AsyncExitStack

import anyio

from bench.deployment import Deployment, seeing
from bench.stats import Row, Target, percentile, with_unit

TARGET = Target("at most", 2.0, "s")
_HEARTBEAT = 0.5


async def takeover(here: Deployment, durability: str, *, kills: int, runs: int) -> list[Row]:
    """``kills`` times: ``runs`` runs hold an effect, their worker dies, and the one that waits beside it takes over.

    The instant of death falls anywhere between two heartbeats.
    """
    chance = random.Random(1)
    took: list[float] = []
    claimed: dict[str, float] = {}

    def note(run: str, event: str) -> None:
        if event == "run.claimed":
            claimed.setdefault(run, time.monotonic())

    async with AsyncExitStack() as workers, seeing(here.board.bus.connection) as seen:
        current = await workers.enter_async_context(here.worker("w0"))
        for _ in range(runs):
            await here.board.submit("hold", None)
        await seen.until("tool.requested", runs)
        seen.on_event = note
        for number in range(1, kills + 1):
            following = await workers.enter_async_context(here.worker(f"w{number}"))
            await anyio.sleep(1 + chance.random() * _HEARTBEAT)
            claimed.clear()
            died = time.monotonic()
            current.kill()
            await seen.until("tool.requested", runs * (number + 1))
            took += [at - died for at in claimed.values()]
            current = following
    p50, p95 = percentile(took, 50), percentile(took, 95)
    return [
        Row(
            f"kill -9 of a worker to the next claim, p50 / p95: {kills} kills, {runs} runs in an effect",
            durability,
            f"{with_unit(p50, 's')} / {with_unit(p95, 's')}",
            target=TARGET,
            judged=p95,
            raw={"p50_s": p50, "p95_s": p95, "max_s": max(took), "takeovers": len(took)},
        )
    ]
