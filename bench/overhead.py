"""Shell: what guards add to a run: the same worker with its gates and without any, in rounds that take turns.

Both are idle while the other works. No guard process runs: what one costs is measured by itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.child import Child, child, cpu_seconds
from bench.code import STEPS, TOOL_TURNS
from bench.deployment import Deployment, emptied, publish_all
from bench.stats import Row, Target, median, ratios, with_unit
from callboard.app.board import Board, connect

BARE = "bare"
"""The prefix of the deployment without guards, on the same server."""
CASES = {f"function of {STEPS} steps": "steps", f"agent, {TOOL_TURNS} turns with a tool": "turns"}
ADDED = Target("at most", 0.10)
_WARM_UP = 100
_FEWEST = 50


@dataclass(slots=True)
class Side:
    """One of the two. ``seconds`` and ``cpu`` (of the worker) of a run in ms, round by round."""

    board: Board
    worker: Child
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def round(self, agent: str, count: int) -> float:
        """Carry ``count`` runs to their end; seconds of all of them."""
        started, before = time.perf_counter(), cpu_seconds(self.worker.pid)
        await publish_all(lambda: self.board.submit(agent, {"n": 1}), count)
        await emptied(self.board.bus.connection, self.board.bus.connection.subjects.stream("TASKS"))
        took = time.perf_counter() - started
        self.seconds.append(took / count * 1e3)
        self.cpu.append((cpu_seconds(self.worker.pid) - before) / count * 1e3)
        return took


async def overhead(
    here: Deployment, durability: str, say: Callable[[str], None], *, rounds: int, seconds: float
) -> list[Row]:
    """What the gates add to a run, by the clock and in CPU of the worker."""
    rows: list[Row] = []
    async with _sides(here) as (guarded, bare):
        for name, agent in CASES.items():
            count = max(_FEWEST, round(_WARM_UP * seconds / await bare.round(agent, _WARM_UP)))
            await guarded.round(agent, _WARM_UP)
            for side in (guarded, bare):
                side.seconds.clear()
                side.cpu.clear()
            for number in range(rounds):
                for side in (guarded, bare) if number % 2 else (bare, guarded):
                    await side.round(agent, count)
            say(
                f"{name}, {durability}: {median(guarded.seconds):.2f} ms with gates, {median(bare.seconds):.2f} without"
            )
            rows += [
                _row(f"{name}: time of a run with guards", durability, guarded.seconds, bare.seconds),
                _row(f"{name}: CPU of the worker with guards", durability, guarded.cpu, bare.cpu),
            ]
    return rows


@asynccontextmanager
async def _sides(here: Deployment) -> AsyncGenerator[tuple[Side, Side]]:
    async with (
        connect(here.url, prefix=BARE) as board,
        child("dispatcher", here.url, "dispatcher", BARE),
        child("bare", here.url, "worker", BARE) as bare,
        here.worker() as guarded,
    ):
        yield Side(here.board, guarded), Side(board, bare)


def _row(case: str, durability: str, ours: list[float], bare: list[float]) -> Row:
    added = [ratio - 1 for ratio in ratios(ours, bare)]
    return Row(
        case,
        durability,
        with_unit(median(ours), "ms"),
        floor=f"{with_unit(median(bare), 'ms')} (no guards)",
        ratio=f"{median(added):+.0%} ({' '.join(f'{each:+.0%}' for each in added)})",
        target=ADDED,
        judged=median(added),
        raw={"ms": list(ours), "bare_ms": list(bare)},
    )
