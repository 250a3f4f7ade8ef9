"""Shell: ``python -m bench``: every case, one after the other, then the table. A missed target is not a failure."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import anyio

from bench.breaker import protection
from bench.closed import guard_deaths
from bench.deployment import all_completed, deployment
from bench.guards import followed, guard_kills
from bench.kills import kills
from bench.latency import idle_run
from bench.machine import load, machine
from bench.memory import memory
from bench.model_cost import model_cost
from bench.overhead import overhead
from bench.report import as_json, markdown, show
from bench.startup import startup
from bench.stats import Row
from bench.streams import at_once, stream_kills
from bench.takeover import takeover
from bench.throughput import CASES, throughput
from callboard.bus.server import Durability


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    name: str
    rounds: int
    seconds: float
    """Of one round of one competitor, about."""
    overhead_rounds: int
    """Of a second or less: a tenth is less than what one round differs from the next."""
    kills: int
    entries: int
    """That a guard process follows."""
    takeovers: int
    takeover_runs: int
    deaths: int
    """Of a closed guard."""
    idle_runs: int
    starts: int
    streams: int
    stream_kills: int


FULL = Plan(
    "full",
    rounds=5,
    seconds=1.5,
    overhead_rounds=31,
    kills=300,
    entries=20_000,
    takeovers=6,
    takeover_runs=5,
    deaths=7,
    idle_runs=300,
    starts=11,
    streams=200,
    stream_kills=200,
)
QUICK = Plan(
    "quick",
    rounds=2,
    seconds=0.5,
    overhead_rounds=5,
    kills=50,
    entries=3_000,
    takeovers=2,
    takeover_runs=10,
    deaths=2,
    idle_runs=50,
    starts=3,
    streams=200,
    stream_kills=20,
)


def say(what: str) -> None:
    """What goes on, on stderr."""
    print(f"· {what}", file=sys.stderr, flush=True)


async def measure(plan: Plan, data: Path) -> list[Row]:
    """All cases with both durabilities; those that no disk has to do with once."""
    rows = [*await _on_the_bus(plan, data, "always"), *await _on_the_bus(plan, data, "relaxed")]
    say("memory")
    async with deployment("always", data) as here:
        rows += await memory(here, "always")
    rows += await _with_models(plan, data)
    say("starts")
    return [*rows, *await anyio.to_thread.run_sync(lambda: startup(data, times=plan.starts))]


async def _on_the_bus(plan: Plan, data: Path, durability: Durability) -> list[Row]:
    rows: list[Row] = []
    async with deployment(durability, data) as here, throughput(here, durability, say) as competition:
        for case in CASES:
            rows += await competition.case(case, rounds=plan.rounds, seconds=plan.seconds)
        await all_completed(here.board)
        say(f"idle runs, {durability}")
        rows += await idle_run(here, durability, runs=plan.idle_runs)
    if durability == "always":
        async with deployment(durability, data) as here:
            rows += await overhead(here, durability, say, rounds=plan.overhead_rounds, seconds=min(1.0, plan.seconds))
    async with deployment(durability, data) as here:
        say(f"kills, {durability}")
        rows += await kills(here, durability, count=plan.kills)
    async with deployment(durability, data) as here:
        say(f"guards, {durability}")
        rows += await guard_kills(here, durability, count=plan.kills)
        rows += await followed(here, durability, entries=plan.entries)
        rows.append(await protection(here, durability, times=plan.kills))
    if durability == "always" or plan is FULL:
        async with deployment(durability, data) as here:
            say(f"takeovers, {durability}")
            rows += await takeover(here, durability, kills=plan.takeovers, runs=plan.takeover_runs)
    if durability == "always":
        async with deployment(durability, data) as here:
            say(f"deaths of a closed guard, {durability}")
            rows += await guard_deaths(here, durability, times=plan.deaths)
    return rows


async def _with_models(plan: Plan, data: Path) -> list[Row]:
    """Real SDKs, and the fake provider in a process of its own. What a call costs has nothing to do with the disk."""
    rows: list[Row] = []
    async with deployment("relaxed", data) as here:
        say("model calls")
        rows += await model_cost(here, "relaxed", say, rounds=plan.rounds, seconds=plan.seconds)
    async with deployment("always", data) as here:
        say("streams at once")
        rows += await at_once(here, "always", count=plan.streams)
    async with deployment("always", data) as here:
        say("kills of streams")
        rows += await stream_kills(here, "always", count=plan.stream_kills)
    return rows


def main() -> int:
    """Measure, then print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, next to the raw floor.")
    parser.add_argument("--quick", action="store_true", help="some minutes less; for a first look")
    parser.add_argument("--json", action="store_true", help="print JSON with the figures of every round")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--data", type=Path, default=Path.cwd(), help="where the servers' data lies for the time")
    given = parser.parse_args()
    plan, data = (QUICK if given.quick else FULL), given.data.resolve()
    facts = anyio.run(machine, data)
    started = time.monotonic()
    rows = anyio.run(measure, plan, data)
    facts["load average at the end"] = load()
    facts["settings"] = f"{plan.name}, {plan.rounds} rounds of about {plan.seconds:g} s, one worker process"
    facts["took"] = f"{time.monotonic() - started:.0f} s"
    if given.json:
        print(as_json(rows, facts))
    elif given.markdown:
        print(markdown(rows, facts))
    else:
        show(rows, facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
