"""A fleet in virtual time whose first provider, or only one, is dead for 45 minutes."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from callboard.actors.code import AgentCode, Ports
from callboard.actors.worker import Worker
from callboard.bus.messages import Task
from callboard.bus.ports import StateValue
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.config.guards import Breaker
from callboard.config.spec import AgentSpec, Limits, ModelChoice
from callboard.errors import ModelError, StaleAppend
from callboard.guards.breaker.gate import breakers
from callboard.models.port import ChatReply, ChatRequest, Usage
from callboard.supervisors.dispatcher import Dispatcher
from tests.simulation.loop import Process, SimLoop, simulate
from tests.simulation.network import Network, SimClock
from tests.simulation.plan import Plan
from tests.simulation.ports import (
    SimBlobs,
    SimDueTimers,
    SimFeed,
    SimGraveyard,
    SimHints,
    SimJournals,
    SimTasks,
    SimTimers,
)
from tests.simulation.server import Server

MINUTE = 60.0
DIES, BACK = 2 * MINUTE, 47 * MINUTE
CALM = Plan(
    until=0.0, shuffled=True, workers=4, dispatchers=1, sweeps=False, slow=0.0, lost=0.0, mute=0.0, unacked=0.0,
    early=0.0, full=0.0, forgetful=False, twice=False, bare=False, crashes=(), freezes=(), dispatcher_crashes=(),
    outage=None, kills=(), drain=None, steer=None, lost_task=None,
)  # fmt: skip
ALONE = AgentSpec(name="a", model=ModelChoice(provider="scripted", name="primary"), limits=Limits(deadline=2 * 3600))
CHAIN = ALONE.model_copy(update={"fallbacks": (ModelChoice(provider="scripted", name="second"),)})


class SimStates:
    """Implements ``States`` for all processes: a dict, and watchers that hear of a change 1 to 5 ms later."""

    def __init__(self, loop: SimLoop, clock: SimClock) -> None:
        self._loop, self._clock = loop, clock
        self._values: dict[tuple[str, ...], StateValue] = {}
        self._watchers: list[tuple[tuple[str, ...], Any]] = []
        self._revision = 0

    async def get(self, *key: str) -> StateValue | None:
        await anyio.sleep(0.001)
        return self._values.get(key)

    async def put(self, *key: str, value: bytes, expect: int | None = None, ttl: float | None = None) -> int:
        await anyio.sleep(0.001)
        at = self._values[key].revision if key in self._values else 0
        if expect is not None and expect != at:
            raise StaleAppend(f"{key} is at {at}")
        self._revision += 1
        self._values[key] = StateValue(self._revision, value, self._clock.now())
        for head, deliver in self._watchers:
            if key[: len(head)] == head:
                self._loop.call_later(self._loop.rng.uniform(0.001, 0.005), deliver, key, self._values[key])
        return self._revision

    async def all(self, *head: str) -> Mapping[tuple[str, ...], StateValue]:
        return {key: value for key, value in self._values.items() if key[: len(head)] == head}

    @asynccontextmanager
    async def watch(self, *head: str, deliver: Any) -> AsyncGenerator[None]:
        self._watchers.append((head, deliver))
        yield


@dataclass
class Provider:
    """The primary is alive, then dead, then alive; others are well. Each physical call has its instant."""

    loop: SimLoop
    calls: list[float] = field(default_factory=list)
    answers: dict[str, tuple[float, str]] = field(default_factory=dict)
    """When each run was answered, by which model."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatReply, None]:
        primary = request.model.name == "primary"
        if primary:
            self.calls.append(self.loop.now)
        await anyio.sleep(self.loop.rng.uniform(0.5, 3.0))
        if primary and DIES <= self.loop.now < BACK:
            raise ModelError("overload", "down", retryable=True)
        self.answers[request.run] = (self.loop.now, request.model.name)
        yield ChatReply("done", (), Usage(), "end")


@dataclass
class Outage:
    """What came of it. ``answers``: of each run, when it was submitted, when it was answered, and by which model."""

    completed: int
    answers: list[tuple[float, float, str]]
    failed: list[str]
    dead_calls: int
    said: list[tuple[float, str, str]]
    ended: float
    longest_journal: int


class _Log:
    def __init__(self, loop: SimLoop) -> None:
        self.loop = loop
        self.said: list[tuple[float, str, str]] = []

    async def publish(self, tenant: str, event: Any) -> None:
        self.said.append((self.loop.now, event.action, event.data["state"]))


def play(seed: int, *, runs: int, guarded: bool = True, spec: AgentSpec = ALONE, after: int = 0) -> Outage:
    """``runs`` runs, a quarter submitted before the outage and the last ``after`` of them after it, to their end."""
    code = AgentCode(spec)
    begun: dict[str, float] = {}
    processes: list[Process] = []
    box: list[Any] = []

    async def main(loop: SimLoop) -> None:
        loop.limit = 5_000_000
        server = Server(loop, on_record=lambda *_: None)
        network, clock = Network(loop, server, CALM), SimClock(loop)
        states, log, provider = SimStates(loop, clock), _Log(loop), Provider(loop)
        box.extend((server, log, provider, loop))

        def ports(gates: Any) -> Ports:
            known = (SimJournals(network), SimTasks(network), SimHints(network), SimTimers(network), SimBlobs())
            more = {"gates": gates} if guarded else {}
            return Ports(*known, SimGraveyard(network), clock, **more)

        async def worker(name: str) -> None:
            async with (
                breakers(states, log, clock, settings=Breaker(), worker=name, chance=loop.rng.random) as gates,
                Worker({"a": code}, ports(gates), name=name, open_model=lambda _: provider),
            ):
                await anyio.sleep_forever()

        def start(name: str, live: Any) -> None:
            process = Process(loop, name, network)
            processes.append(process)
            process.run(live)

        for number in range(4):
            start(f"worker{number}", worker(f"w{number}"))
        dispatcher = Dispatcher(
            SimJournals(network),
            SimTasks(network),
            SimFeed(network),
            SimDueTimers(network),
            SimGraveyard(network),
            clock,
        )
        start("dispatcher", dispatcher.run(anyio.Event()))
        rng = random.Random(seed)
        for number in range(runs):
            begin = rng.uniform(DIES - 5, DIES) if number <= runs // 4 else rng.uniform(DIES, BACK)
            if number >= runs - after:
                begin = rng.uniform(BACK + 2 * MINUTE, BACK + 5 * MINUTE)
            begun[f"r{number}"] = begin
            loop.call_later(begin, start, f"person{number}", _submit(network, f"r{number}"))
        while len(server.ended) < runs and loop.now < BACK + 20 * MINUTE:
            await network.pause(5.0)

    simulate(seed, main, processes)
    server, log, provider, loop = box
    states = [server.state(RunKey("t", f"r{number}")) for number in range(runs)]
    return Outage(
        completed=sum(state.outcome == "completed" for state in states),
        answers=sorted((begun[run], *answer) for run, answer in provider.answers.items()),
        failed=[str(state.terminal or state.status) for state in states if state.outcome != "completed"],
        dead_calls=sum(DIES - 3 <= at < BACK for at in provider.calls),
        said=log.said,
        ended=loop.now,
        longest_journal=max(state.entries for state in states),
    )


async def _submit(network: Network, run: str) -> None:
    await SimTasks(network).publish(TaskAddress("t", "a", "normal", run), Task(input="x"))
