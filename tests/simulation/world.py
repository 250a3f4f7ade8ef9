"""Shell: one simulated world: processes, their faults, people who send and kill, and the end when all is at rest."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import anyio

from callboard.actors.code import Ports
from callboard.actors.history import EffectStart
from callboard.actors.kill import Killer
from callboard.actors.receipt import Receipt
from callboard.actors.worker import Drain, Worker
from callboard.bus.messages import Record, Task, ToolInDoubt, ToolResolved
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.errors import BusError
from callboard.supervisors.dispatcher import Dispatcher
from callboard.supervisors.sweeper import Sweeper
from tests.simulation.loop import PROCESS, Process, SimLoop, SimulationStuck, simulate
from tests.simulation.network import Network, SimClock
from tests.simulation.outcome import Outcome, collected_errors
from tests.simulation.plan import Plan, draw
from tests.simulation.ports import (
    SimBlobs,
    SimDueTimers,
    SimFeed,
    SimGraveyard,
    SimHints,
    SimJournals,
    SimTasks,
    SimTimers,
    SimWatch,
)
from tests.simulation.scenarios import NOTE, SAID, SCENARIOS, Scenario, open_model
from tests.simulation.server import EPOCH, Server

TENANT = "t"
ROOT = RunKey(TENANT, "root")
PATIENCE = 60.0
"""Virtual seconds after the faults in which everything must come to rest."""
_EPOCH = EPOCH.timestamp()


@dataclass
class World:
    """The processes of one seed and what they did."""

    loop: SimLoop
    rng: random.Random
    plan: Plan
    scenario: Scenario
    processes: list[Process]
    starts: list[EffectStart] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    busy: int = 0
    """People who have not finished."""

    def __post_init__(self) -> None:
        self.server = Server(self.loop, on_record=self._recorded)
        self.network = Network(self.loop, self.server, self.plan)
        self.clock = SimClock(self.loop)
        self.agents = {code.spec.name: code for code in self.scenario.agents}
        self._starters: dict[tuple[str, str], list[Process]] = {}
        self._effects: set[str] = set()
        self._crashes = list(self.plan.crashes)
        self._freezes = list(self.plan.freezes)
        self._dispatcher_crashes = list(self.plan.dispatcher_crashes)

    # ---- what effects tell
    def started(self, run: str, call: str, key: str) -> None:
        process = PROCESS.get()
        assert process is not None
        if self.loop.disposing:
            return
        self.network.note("start", run, call)
        self.starts.append(EffectStart(RunKey(TENANT, run), call, key, _EPOCH + self.loop.now, process.pid))
        self._starters.setdefault((run, call), []).append(process)

    def took_effect(self, key: str) -> None:
        self._effects.add(key)

    def has_effect(self, key: str) -> bool:
        return key in self._effects

    def quiet_since(self, run: str, call: str) -> bool:
        return all(process.dead for process in self._starters.get((run, call), ()))

    # ---- processes
    def process(self, name: str) -> Process:
        process = Process(self.loop, f"{name}{sum(1 for each in self.processes if each.name.startswith(name))}", self)
        self.processes.append(process)
        return process

    def worker(self) -> None:
        """Start a worker; whenever it dies, a supervisor starts another one."""
        process = self.process("worker")
        if self._crashes and self._faulty:
            process.trips[self._crashes.pop(0)] = lambda: self.crash(process)
        elif self._freezes and self._faulty:
            at, seconds = self._freezes.pop(0)
            process.trips[at] = lambda: self._freeze(process, seconds)
        network = self.network
        ports = Ports(
            SimJournals(network), SimTasks(network), SimHints(network), SimTimers(network), SimBlobs(),
            SimGraveyard(network), self.clock,
        )  # fmt: skip

        async def live() -> None:
            worker = Worker(self.agents, ports, name=process.name, open_model=open_model)
            if self.plan.drain is not None and process.name == "worker0":
                self.loop.call_later(self.plan.drain, worker.address.tell, Drain(), context=process.context)
            async with worker:
                await worker.drained.wait()

        process.run(self._supervised(process, live, self.worker))

    def dispatcher(self) -> None:
        """Start a dispatcher."""
        process = self.process("dispatcher")
        if self._dispatcher_crashes and self._faulty:
            process.trips[self._dispatcher_crashes.pop(0)] = lambda: self.crash(process)
        dispatcher = Dispatcher(
            SimJournals(self.network),
            SimTasks(self.network),
            SimFeed(self.network),
            SimDueTimers(self.network),
            SimGraveyard(self.network),
            self.clock,
        )
        process.run(self._supervised(process, lambda: dispatcher.run(anyio.Event()), self.dispatcher))

    def sweeper(self) -> None:
        """Start a sweeper."""
        process = self.process("sweeper")

        async def scan() -> Any:
            for key in tuple(self.server.journals):
                if key not in self.server.ended:
                    yield key

        sweeper = Sweeper(SimJournals(self.network), SimTasks(self.network), scan, self.clock, every=2.0)
        process.run(self._supervised(process, lambda: sweeper.run(anyio.Event()), self.sweeper))

    async def _supervised(
        self, process: Process, live: Callable[[], Awaitable[None]], again: Callable[[], None]
    ) -> None:
        try:
            await live()
        except Exception as error:  # noqa: BLE001 - what an actor must not do
            self.troubles.append(f"{process.name} died: {error!r}")
        if not self.loop.disposing:
            self._restart(again)

    def crash(self, process: Process) -> None:
        """SIGKILL now; started again after a while."""
        if not process.dead:
            self.network.note("crash", process.name)
            process.kill()
            self._restart(self.worker if process.name.startswith("worker") else self.dispatcher)

    def _restart(self, again: Callable[[], None]) -> None:
        self.loop.call_later(self.rng.uniform(0.05, 1.0), again, context=self.server.context)

    def _freeze(self, process: Process, seconds: float) -> None:
        self.network.note("freeze", process.name, seconds)
        process.freeze()
        self.loop.call_later(seconds, process.thaw, context=self.server.context)

    @property
    def _faulty(self) -> bool:
        return self.loop.now < self.plan.until

    # ---- people
    def person(self, after: float, act: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Somebody does something at some time, again and again until the bus has taken it."""
        self.busy += 1

        async def go() -> None:
            await self.network.pause(after)
            while True:
                try:
                    await act()
                    break
                except BusError:
                    await self.network.pause(0.3)
            self.busy -= 1

        self.process("person").run(go())

    async def _submit(self) -> None:
        address = TaskAddress(TENANT, self.scenario.agents[0].spec.name, "normal", ROOT.run)
        await SimTasks(self.network).publish(address, Task(input="x"))

    async def _signal(self, key: RunKey, event: Any) -> None:
        record = Record(id=self.clock.new_id(), at=self.clock.now(), events=(event,))
        await SimJournals(self.network, bare=self.plan.bare).signal(key, record)

    async def _kill(self) -> None:
        killer = Killer(SimJournals(self.network), SimWatch(self.network), self.clock)
        self.receipts.append(await killer.kill(ROOT, reason="enough", by="person"))
        self.network.note("killed", self.receipts[-1].settled_by)

    def _recorded(self, key: RunKey, sequence: int, record: Record) -> None:
        for event in record.events:
            if isinstance(event, ToolInDoubt) and event.policy == "ask":
                decision = self.rng.choice(("done", "retry", "fail"))
                answer = ToolResolved(call=event.call, decision=decision, value=SAID, by="person")
                for _ in range(2 if self.plan.twice else 1):
                    self.person(self.rng.uniform(0.0, 1.5), lambda answer=answer: self._signal(key, answer))

    # ---- the whole
    async def play(self) -> None:
        """From the submission until all is at rest."""
        plan, rng = self.plan, self.rng
        for _ in range(plan.workers):
            self.worker()
        for _ in range(plan.dispatchers):
            self.dispatcher()
        if plan.sweeps:
            self.sweeper()
        for again in range(2 if plan.twice else 1):
            self.person(again * rng.uniform(0.0, 2.0), self._submit)
            if self.scenario.signal is not None:
                self.person(rng.uniform(0.0, 1.5), lambda: self._signal(ROOT, self.scenario.signal))
        for at in plan.kills:
            self.person(at, self._kill)
        if plan.steer is not None:
            self.person(plan.steer, lambda: self._signal(ROOT, NOTE))
        if plan.outage is not None:
            at, seconds = plan.outage
            self.loop.call_later(at, setattr, self.server, "away", True)
            self.loop.call_later(at + seconds, self._back)
        if plan.lost_task is not None:
            self.loop.call_later(plan.lost_task, self._lose_task)
        await self._rest()

    def _back(self) -> None:
        self.server.away = False
        for consumer in (*self.server.lanes.values(), self.server.feed, self.server.due):
            for _ in consumer.ready:
                consumer.wake()

    def _lose_task(self) -> None:
        for item in tuple(self.server.tasks.values()):
            state = self.server.state(item.value.key)
            if state.owner and not state.suspended and state.task == item.sequence:
                self.network.note("task lost", item.sequence)
                self.server.lose_task(item)

    async def _rest(self) -> None:
        until = self.plan.until + PATIENCE
        quiet = 0
        while quiet < 2:
            await self.network.pause(0.4)
            frozen = any(process.frozen and not process.dead for process in self.processes)
            calm = self.server.at_rest and not self.busy and not self.network.late and not frozen
            quiet = quiet + 1 if calm else 0
            if self.loop.now > until:
                self.troubles.append(f"no rest {PATIENCE} s after the last fault: {self._open()}")
                return

    def _open(self) -> str:
        runs = [f"{key.run} {self.server.state(key).status}" for key in self.server.journals]
        left = f"tasks {list(self.server.tasks)}, feed {list(self.server.feed.items)}, due {len(self.server.due.items)}"
        return f"{', '.join(runs) or 'no run'}; {left}; {self.busy} people busy"


def play(seed: int) -> Outcome:
    """Play the world of ``seed`` to its end."""
    rng = random.Random(seed)
    scenario = SCENARIOS[seed % len(SCENARIOS)]
    plan = draw(rng)
    processes: list[Process] = []
    box: list[World] = []

    async def main(loop: SimLoop) -> None:
        loop.shuffled = plan.shuffled
        world = World(loop, loop.rng, plan, scenario, processes)
        box.append(world)
        await world.play()

    stuck = ""
    with collected_errors() as errors:
        try:
            simulate(seed, main, processes)
        except SimulationStuck as error:
            stuck = str(error)
    world = box[0]
    troubles = [*world.loop.raised, *world.troubles, *errors.lines, *([stuck] if stuck else [])]
    troubles += [f"{broken.rule}: run {broken.run}: {broken.message}" for broken in world.server.broken]
    loop = world.loop
    return Outcome(
        seed, scenario, plan, world.server.journals, world.starts, world.receipts, troubles, world.network.trace,
        loop.now, loop.steps,
    )  # fmt: skip
