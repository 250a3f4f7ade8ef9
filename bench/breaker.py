"""Shell: five failures of one worker, until all the others know that the circuit is open."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel

from bench.deployment import Deployment
from bench.stats import Row, Target, percentile, with_unit
from callboard.actors.fold import EMPTY
from callboard.actors.gate import Ask, Ending, Grant
from callboard.actors.passage import answer_of, ended
from callboard.bus.bus import open_bus
from callboard.bus.subjects import RunKey
from callboard.config.guards import Breaker
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.guards.breaker.gate import BreakerGates, breaker_gates
from callboard.guards.breaker.names import line

PROTECTED = Target("at most", 100.0, "ms")
WORKERS = 5
_SPEC = AgentSpec(name="a", model=ModelChoice(provider="p", name="m"))
_FAILED = Ending("failed", 0.1, error="model_overload")
_WITHIN = 30.0


async def protection(here: Deployment, durability: str, *, times: int) -> Row:
    """The gates of ``WORKERS`` workers, each with a connection of its own, in this process; another model each time."""
    async with AsyncExitStack() as stack:
        gates = list[BreakerGates]()
        for number in range(WORKERS):
            name = f"breaker-{number}"
            bus = await stack.enter_async_context(open_bus(here.url, name=name))
            gates.append(await stack.enter_async_context(breaker_gates(bus, Breaker(), worker=name)))
        took = [await _known_by_all(gates, f"p/m{number}") for number in range(times)]
    figures = (percentile(took, 50), percentile(took, 99))
    return Row(
        f"five failures of one worker to {WORKERS - 1} others protected, p50 / p99: {times} circuits",
        durability,
        " / ".join(with_unit(each, "ms") for each in figures),
        target=PROTECTED,
        judged=figures[-1],
        raw={"milliseconds": list(took)},
    )


async def _known_by_all(gates: Sequence[BreakerGates], model: str) -> float:
    """Milliseconds from the last failure until the circuit is open for everybody."""
    ask = Ask(RunKey("default", "r"), _SPEC, EMPTY, "model", "m1", 1, model)
    began, where = 0.0, line(ask)
    assert where is not None
    for _ in range(Breaker().consecutive):
        grant = await answer_of(gates[0], ask)
        assert isinstance(grant, Grant)
        began = time.monotonic()
        await ended(gates[0], ask, grant, _FAILED)
    with anyio.fail_after(_WITHIN):
        while any(each.circuit(where).phase != "open" for each in gates):  # nobody is told
            await anyio.lowlevel.checkpoint()
    return (time.monotonic() - began) * 1_000
