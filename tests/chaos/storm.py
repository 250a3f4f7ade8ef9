"""Shell: the storm. Real processes, one or three servers, faults by a schedule; then calm, and judgement."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import anyio

from callboard.actors.fold import replay
from callboard.actors.history import Violation
from callboard.actors.state import RunState
from callboard.bus.bus import open_bus
from callboard.bus.messages import RunCreated
from callboard.bus.subjects import RunKey, Subjects
from callboard.errors import BusError
from tests.chaos.client import Client
from tests.chaos.evidence import Evidence, collect, queued
from tests.chaos.judgement import ended_by, misjudged
from tests.chaos.schedule import Fault, schedule
from tests.chaos.wayward import DEAD
from tests.chaos.zygote import Process, Role, Zygote, zygote

LOOKS_EVERY = 0.25


class Servers(Protocol):
    """One nats-server, or a cluster."""

    urls: tuple[str, ...]
    replicas: int

    async def strike(self, pick: float, lasts: float) -> None:
        """Kill one as a crash would, and start it again on the same data ``lasts`` seconds later."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long, how much, and how long everything may take to end once the faults have stopped.

    It takes two to five seconds when the machine has nothing else to do; ``calm`` is for one that has.
    """

    seconds: float
    seed: int
    rate: float = 9.0
    workers: int = 4
    dispatchers: int = 2
    guards: int = 2
    ack_wait: float = 2.0
    calm: float = 60.0
    down: float = 0.6
    gap: float = 0.5
    mutant: str = ""
    outage: tuple[float, float] = (1.0, 8.0)
    """When the provider of one model is dead."""
    patience: float = 9.0
    """Agents that take their time begin no later than so long before the end."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        return schedule(self.seed, self.seconds, ack_wait=self.ack_wait, down=self.down, gap=self.gap)


IN_CLUSTER: dict[str, Any] = {"rate": 3.0, "ack_wait": 15.0, "down": 6.0, "gap": 10.0}
"""What of a plan differs on three servers, whose leader elections take up to 9 s."""


@dataclass
class Outcome:
    """What the storm came to. ``last`` is when the last run ended, in seconds after the faults."""

    faults: Counter[str]
    runs: int
    children: int
    outcomes: Counter[str]
    attempts: Counter[int]
    starts: int
    receipts: int
    settled: Counter[str]
    twice: int
    signals: int
    last: float
    left_open: tuple[str, ...]
    guarded: Counter[str]
    said: Counter[str]
    violations: tuple[Violation, ...]
    wrong: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not (self.left_open or self.violations or self.wrong)

    def __str__(self) -> str:
        head = (
            f"{self.runs} runs, {self.children} children: {dict(self.outcomes)}; {self.starts} effects started; "
            f"claims per run {dict(sorted(self.attempts.items()))}; {self.receipts} receipts {dict(self.settled)}; "
            f"ended by guards {dict(self.guarded)}, who said {dict(self.said)}; "
            f"{self.twice} submitted twice, {self.signals} signals; "
            f"faults {dict(self.faults)}; "
            f"the last run ended {self.last:+.2f} s after them"
        )
        return "\n".join([head, *self.left_open, *map(str, self.violations), *self.wrong])


@dataclass
class Storm:
    """One storm on ``servers``; the processes work in ``folder``."""

    plan: Plan
    servers: Servers
    folder: Path
    tell: Callable[[str], None] = print
    client: Client | None = None
    done: Counter[str] = field(default_factory=Counter)
    processes: dict[str, Process] = field(default_factory=dict)
    began: float = 0.0
    _zygote: Zygote | None = None
    _busy: set[str] = field(default_factory=set)

    async def run(self) -> Outcome:
        with zygote() as self._zygote:
            return await self._rage_and_judge(Subjects(f"s{self.plan.seed}"))

    async def _rage_and_judge(self, subjects: Subjects) -> Outcome:
        replicas = self.servers.replicas
        async with open_bus(self.servers.urls, subjects=subjects, name="storm", replicas=replicas) as bus:
            self.client = client = Client(bus, random.Random(self.plan.seed))
            plan = self.plan
            for kind, count in (("worker", plan.workers), ("dispatcher", plan.dispatchers), ("guard", plan.guards)):
                for number in range(count):
                    self._spawn(self._role(kind, number, subjects.prefix))
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._look_after, client)
                self.began = time.time()
                async with anyio.create_task_group() as storm:
                    storm.start_soon(self._submit, client)
                    storm.start_soon(self._rage, client)
                    storm.start_soon(self._outage)
                quiet = time.time()
                self.tell("the faults have stopped")
                with anyio.move_on_after(self.plan.calm + 1):
                    while client.open:  # noqa: ASYNC110 - the client looks again and again
                        await anyio.sleep(0.05)
                left = client.open
                with anyio.move_on_after(self.plan.ack_wait + self.plan.calm):
                    while await queued(bus):  # noqa: ASYNC110 - nothing announces an empty queue
                        await anyio.sleep(0.1)
                beside.cancel_scope.cancel()
            evidence = await collect(bus, self.folder)
            return self._judge(client, evidence, quiet, tuple(map(str, left)))

    def _role(self, kind: str, number: int, prefix: str) -> Role:
        return Role(
            kind, f"{kind}{number}", str(self.folder), self.servers.urls, prefix,
            mutant=self.plan.mutant, replicas=self.servers.replicas,
        )  # fmt: skip

    def _spawn(self, role: Role) -> None:
        assert self._zygote is not None
        self.processes[role.name] = self._zygote.spawn(role)

    async def _submit(self, client: Client) -> None:
        """Tasks at an even rate, until shortly before the faults stop."""
        number, until = 0, self.plan.seconds - 0.3
        async with anyio.create_task_group() as group:
            while (now := time.time() - self.began) < until:
                while number < now * self.plan.rate:
                    number += 1
                    group.start_soon(partial(client.submit, number, late=now > until - self.plan.patience))
                await anyio.sleep(0.02)

    async def _outage(self) -> None:
        begin, end = self.plan.outage
        await anyio.sleep(begin)
        (self.folder / DEAD).touch()
        await anyio.sleep(end - begin)
        (self.folder / DEAD).unlink()

    async def _rage(self, client: Client) -> None:
        async with anyio.create_task_group() as group:
            for fault in self.plan.faults:
                await anyio.sleep(max(0.0, self.began + fault.at - time.time()))
                group.start_soon(self._strike, fault, client)

    async def _strike(self, fault: Fault, client: Client) -> None:
        match fault.kind:
            case "kill run":
                await client.kill(fault.pick)
            case "kill server":
                await self._alone("server", lambda: self.servers.strike(fault.pick, fault.lasts))
            case _:
                verb, kind = fault.kind.split()
                names = [name for name in self.processes if name.startswith(kind) and name not in self._busy]
                if not names:
                    return
                name = names[int(fault.pick * len(names))]
                await self._alone(name, lambda: self._hurt(name, verb, fault.lasts))
        self.done[fault.kind] += 1

    async def _alone(self, name: str, strike: Callable[[], Awaitable[None]]) -> None:
        if name in self._busy:
            return
        self._busy.add(name)
        try:
            await strike()
        finally:
            self._busy.discard(name)

    async def _hurt(self, name: str, verb: str, lasts: float) -> None:
        process = self.processes[name]
        if verb == "freeze":
            process.freeze()
            await anyio.sleep(lasts)
            process.thaw()
        else:
            process.kill()
            await process.gone()
            await anyio.sleep(lasts)
            self._spawn(process.role)

    async def _look_after(self, client: Client) -> None:
        """Look, answer what people are asked, and notice processes that end by themselves."""
        while True:
            try:
                await client.look()
                await client.answer()
            except BusError as error:
                self.tell(f"cannot look: {error}")
            for name, process in self.processes.items():
                if not process.alive and name not in self._busy:
                    self.done["ended by itself"] += 1
                    self._spawn(replace(process.role))
            await anyio.sleep(LOOKS_EVERY)

    def _judge(self, client: Client, evidence: Evidence, quiet: float, left: tuple[str, ...]) -> Outcome:
        states = {key: replay(entries) for key, entries in evidence.journals.items()}
        ended = [
            entry.at.timestamp()
            for key, entries in evidence.journals.items()
            for entry in entries
            if entry.sequence == states[key].ended and entry.at is not None
        ]
        settled = Counter(str(receipt.settled_by) for receipt in client.receipts)
        return Outcome(
            faults=self.done,
            runs=len(client.accepted),
            children=len(evidence.journals) - len(client.accepted),
            outcomes=Counter(state.status for state in states.values()),
            attempts=Counter(state.claims for state in states.values()),
            starts=len(evidence.starts),
            receipts=len(client.receipts),
            settled=settled,
            twice=client.twice,
            signals=client.signals,
            last=max(ended, default=quiet) - quiet,
            left_open=tuple(f"open {self.plan.calm} s after the faults: {each}" for each in left),
            violations=evidence.violations(client.receipts),
            guarded=Counter(by for state in states.values() if (by := ended_by(state))),
            said=Counter(f"{event.guard} {event.action}" for event in evidence.said),
            wrong=(
                *evidence.repeated(),
                *evidence.said_twice(),
                *self._surprises(client, evidence, states, last=max(ended, default=quiet) - quiet),
            ),
        )

    def _surprises(
        self, client: Client, evidence: Evidence, states: Mapping[RunKey, RunState], *, last: float
    ) -> list[str]:
        """What the history checker cannot know: what was submitted, and how it should have ended."""
        wrong = [f"{key} was accepted and is lost" for key in client.accepted if key not in evidence.journals]
        if last > self.plan.calm:
            wrong.append(f"the last run ended {last:.2f} s after the faults")
        if self.done["ended by itself"]:
            wrong.append(f"{self.done['ended by itself']} processes ended by themselves")
        created: Counter[str] = Counter()
        for key, entries in evidence.journals.items():
            for event in (event for entry in entries if entry.record for event in entry.record.events):
                if isinstance(event, RunCreated) and event.parent is None:
                    created[str(event.input.value)] += 1
            state = states[key]
            wrong += misjudged(key, state, entries)
        return [*wrong, *(f"task {number} became {count} runs" for number, count in created.items() if count > 1)]
