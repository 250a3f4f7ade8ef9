"""Shell: what a model call costs in CPU: with the bare SDK, with our adapter, and in a whole run of a worker.

All of them have the same conversation with the same fake provider, in rounds that take turns, every other one
backwards: what the machine does beside them meets all sides alike. Of the worker's run the same run with a scripted
model is taken away: its journal, its gates, its tools.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.bare import SUBJECT
from bench.child import Child, Heard, child
from bench.conversation import ASKED, CALLS, MODELS
from bench.deployment import Deployment, all_completed, emptied, publish_all
from bench.provider import provider
from bench.stats import Row, Target, median, with_unit

BEYOND = Target("at most", 1.0, "ms")
AT_ONCE = 8
"""Conversations: so few that a slow machine writes no intent twice."""
_SLOW_SECONDS = 60.0
_WARM_UP = 16
_CALL_SECONDS = 0.009
"""About, on a slow machine: says how many make a round."""


@dataclass(slots=True)
class Costs:
    """CPU in ms per model call, round by round."""

    sdk: list[float] = field(default_factory=list)
    adapter: list[float] = field(default_factory=list)
    scripted: list[float] = field(default_factory=list)
    run: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sides:
    here: Deployment
    worker: Child
    count: int
    """Conversations of a round."""

    async def round(self, wire: str, costs: Costs, number: int) -> None:
        """Every side once; in odd rounds from the last to the first."""
        sides: list[tuple[list[float], Callable[[], Awaitable[float]]]] = [
            (costs.sdk, lambda: self.alone(f"sdk {wire}")),
            (costs.adapter, lambda: self.alone(f"adapter {wire}")),
            (costs.scripted, lambda: self.runs("turns-scripted")),
            (costs.run, lambda: self.runs(f"turns-{wire}")),
        ]
        for kept, measured in reversed(sides) if number % 2 else sides:
            kept.append(await measured())

    async def alone(self, kind: str) -> float:
        """Without a worker."""
        asked = f"{kind} {self.count} {AT_ONCE}".encode()
        answer = await self.here.board.bus.connection.request(SUBJECT, asked, timeout=_SLOW_SECONDS)
        return float(json.loads(answer.payload))

    async def runs(self, agent: str) -> float:
        """In a worker."""
        board, before = self.here.board, self.worker.cpu
        await publish_all(lambda: board.submit(agent, ASKED), self.count)
        await emptied(board.bus.connection, board.bus.connection.subjects.stream("TASKS"))
        return (self.worker.cpu - before) / self.count / CALLS * 1e3


async def model_cost(
    here: Deployment, durability: str, say: Callable[[str], None], *, rounds: int, seconds: float
) -> list[Row]:
    """CPU of the adapters and of the calls in a worker, next to the bare SDKs."""
    rows: list[Row] = []
    async with (
        provider(Heard()) as address,
        child("sdk", here.url, address),
        child("asking", here.url, "asking", str(AT_ONCE), address) as worker,
    ):
        for wire in MODELS:
            await _Sides(here, worker, _WARM_UP).round(wire, Costs(), 0)
            sides, costs = _Sides(here, worker, max(_WARM_UP, round(seconds / CALLS / _CALL_SECONDS))), Costs()
            for number in range(rounds):
                await sides.round(wire, costs, number)
            in_run = [run - scripted for run, scripted in zip(costs.run, costs.scripted, strict=True)]
            rows += [
                _row(f"{wire}: CPU of a model call, by the adapter", "", costs.adapter, costs.sdk),
                _row(f"{wire}: CPU of a model call in a run, beyond a scripted one", durability, in_run, costs.sdk),
            ]
            say(f"{wire}: {' / '.join(f'{row.figure} of {row.floor}' for row in rows[-2:])}")
    await all_completed(here.board)  # a call that failed is no call
    return rows


def _row(case: str, durability: str, ours: list[float], sdk: list[float]) -> Row:
    beyond = [mine - theirs for mine, theirs in zip(ours, sdk, strict=True)]
    return Row(
        case,
        durability,
        with_unit(median(ours), "ms"),
        floor=f"{with_unit(median(sdk), 'ms')} (bare SDK)",
        ratio=f"{median(beyond):+.2f} ms ({' '.join(f'{each:+.2f}' for each in beyond)})",
        target=BEYOND,
        judged=median(beyond),
        raw={"cpu_ms": list(ours), "sdk_cpu_ms": list(sdk)},
    )
