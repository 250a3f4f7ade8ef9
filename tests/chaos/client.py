"""Shell: who uses the bus during the storm: submits (some tasks twice), signals (each twice), kills, and looks."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field

import anyio

from callboard.actors.fold import replay
from callboard.actors.kill import Killer
from callboard.actors.receipt import Receipt
from callboard.actors.state import RunState, arrived
from callboard.bus.bus import Bus
from callboard.bus.codec import run_key
from callboard.bus.messages import Record, Signal, SignalReceived, Task, ToolResolved
from callboard.bus.subjects import LANES, RunKey, TaskAddress
from callboard.clock import SystemClock
from callboard.errors import BusError

CLOCK = SystemClock()
TENANT = "default"
WEIGHTS = {
    "clerk": 5,
    "teller": 4,
    "boss": 2,
    "job": 4,
    "sleeper": 2,
    "asker": 3,
    "parent": 1,
    "looper": 2,
    "gossip": 1,
    "spender": 1,
    "squanderer": 1,
    "breeder": 1,
    "swarm": 1,
    "ping": 1,
    "hurried": 1,
}
PATIENT = {"hanger": 2, "dawdler": 2, "caller": 6}
"""Agents that take their time to end: none of them begins shortly before the faults stop."""


@dataclass
class Client:
    """What it knows: the runs that were accepted, what their journals said last, the receipts of its kills."""

    bus: Bus
    chance: random.Random
    accepted: dict[RunKey, str] = field(default_factory=dict)
    states: dict[RunKey, RunState] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    twice: int = 0
    signals: int = 0

    async def submit(self, number: int, *, late: bool) -> None:
        """One task, published until it is accepted; every fourth with an idempotency key, and then two times."""
        weights = WEIGHTS if late else WEIGHTS | PATIENT
        agent = self.chance.choices(tuple(weights), tuple(weights.values()))[0]
        lane, keyed = self.chance.choice(LANES), self.chance.random() < 0.25
        run = None if keyed else f"run{number}"
        task = Task(input=number, key=f"key{number}" if keyed else None)
        address = TaskAddress(TENANT, agent, lane, run)
        for _ in range(2 if keyed or self.chance.random() < 0.1 else 1):
            sequence = await self._accepted(address, task)
            key = run_key(address, task, sequence=sequence, stored_at=CLOCK.now())
            self.twice += key in self.accepted
            self.accepted[key] = agent

    async def _accepted(self, address: TaskAddress, task: Task) -> int:
        while True:
            try:
                return await self.bus.tasks.publish(address, task)
            except BusError:
                await anyio.sleep(0.1)

    @property
    def open(self) -> tuple[RunKey, ...]:
        """Runs that are not over as far as is known."""
        known = [key for key, state in self.states.items() if state.terminal is None]
        return (*known, *(key for key in self.accepted if key not in self.states))

    async def look(self) -> None:
        """Read what has changed."""
        async for entry in self.bus.scan():
            before = self.states.get(entry.key, RunState())
            if entry.sequence > before.sequence:
                self.states[entry.key] = replay(await self.bus.journals.read(entry.key, after=before.sequence), before)

    async def answer(self) -> None:
        """Do what people are asked for, and do it twice."""
        for key, state in tuple(self.states.items()):
            if state.terminal is None:
                for group in state.waits if state.suspended else ():
                    for wait in group:
                        if not arrived(state, wait):
                            await self._answer(key, wait.kind, wait.name)

    async def _answer(self, key: RunKey, kind: str, name: str) -> None:
        event: Signal
        if kind == "signal":
            event = SignalReceived(name=name, value="go", by="person")
        elif kind == "resolution":
            decision = ("done", "retry", "fail")[hashlib.sha256(f"{key}{name}".encode()).digest()[0] % 3]
            event = ToolResolved(call=name, decision=decision, value="looked it up", by="person")
        else:
            return
        for _ in range(2):
            self.signals += 1
            await self.bus.journals.signal(key, Record(id=CLOCK.new_id(), at=CLOCK.now(), events=(event,)))

    async def kill(self, pick: float) -> None:
        """Kill one of the runs that are not over, until there is a receipt."""
        if not (targets := self.open):
            return
        key = targets[int(pick * len(targets))]
        killer = Killer(self.bus.journals, self.bus.watch, CLOCK)
        while True:
            try:
                receipt = await killer.kill(key, reason="chaos", by="chaos")
            except BusError:
                await anyio.sleep(0.1)
            else:
                self.receipts.append(receipt)
                return
