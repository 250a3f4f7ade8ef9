"""Shell: workers that die at random writes, again and again; then the books are compared.

By hand: ``python -m tests.guards.budget.crashing 500``. The provider keeps a meter of its own, a line a call. A call of
which the journal never learned how it ended is billed at its worst case, also if it was cut off before it could start:
that is what an owner who is lost leaves behind.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio

from callboard.actors.accounts import ZERO, Tally
from callboard.actors.fold import replay
from callboard.actors.function import worker
from callboard.actors.history import check
from callboard.actors.kill import Killer
from callboard.actors.run_context import RunContext
from callboard.actors.state import RunState
from callboard.actors.worker import Worker
from callboard.bus import storage
from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import ModelFailed, ModelLateUsage, ModelRequested, ModelResponded, Task
from callboard.bus.ports import Balance, Stored
from callboard.bus.subjects import RunKey, Subjects, TaskAddress
from callboard.config.guards import BudgetSettings, GuardSettings
from callboard.errors import BusError
from callboard.guards.backtest import spec_of
from callboard.guards.budget.audit import BudgetGuard
from callboard.guards.budget.counters import counters
from callboard.guards.budget.gate import budget_gates
from callboard.guards.sidecar.judge import created_in, watched
from callboard.guards.speaking import speaking
from callboard.models.port import ChatReply, ChatRequest, ToolCall
from callboard.models.port import Usage as PortUsage
from callboard.supervisors.dispatcher import Dispatcher
from callboard.tools.tool import tool
from tests.chaos.evidence import queued
from tests.chaos.zygote import ROOT, Role, Zygote
from tests.guards.budget import mutants
from tests.guards.budget.house import spender
from tests.support.bus import bus_url, delete_streams
from tests.support.fleet import CLOCK, function, ports

METER = "meter"
TENANT = "default"
KILLS = 0.3
"""How often a death is followed by a kill of a run."""
LIVES = 40
"""Writes that a worker makes on average before it dies."""
SHARED = {"usd": 900_000, "model_calls": 1_000_000, "tool_calls": 1_000_000}
BUDGET: dict[str, Any] = {
    "run": {"usd": 900, "model_calls": 10_000, "tool_calls": 10_000},
    "tenant": SHARED,
    "agent": {"usd": 900_000, "per": "day"},
    "global": {"model_calls": 1_000_000},
}


@tool(effect="idempotent")
async def look() -> str:
    """Look."""
    await anyio.sleep(0.002)
    return "seen"


class Provider:
    """Answers with tools for two turns, then without; its meter has a line for each start and each answer."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatReply, None]:
        name = f"{request.run}/{request.call}/{request.attempt}"
        chance = random.Random(name)
        meter(f"start {name}")
        await anyio.sleep(chance.random() * 0.01)
        usage = PortUsage(chance.randrange(1, 20), chance.randrange(1, 400))
        meter(f"answer {name} {usage.input_tokens + 10 * usage.output_tokens}")
        last = request.call not in ("m1", "m2") or request.model.name == "boss"
        delegate = ToolCall("d", "delegate", {"agent": "clerk", "task": "go"})
        calls: tuple[ToolCall, ...] = () if last else (ToolCall("a", "look", {}), ToolCall("b", "look", {}))
        if request.model.name == "boss" and request.call == "m1":
            calls = (delegate, replace(delegate, id="e"))
        yield ChatReply("ok", calls, usage, "tool_use" if calls else "end")


def meter(line: str) -> None:
    with Path(METER).open("a") as file:
        file.write(f"{line}\n")


@worker("stepper")
async def stepper(task: object, run: RunContext) -> None:
    async def one(name: str) -> None:
        await run.step(name, lambda: None, effect="idempotent")

    for number in range(3):
        async with anyio.create_task_group() as together:
            for branch in "ab":
                together.start_soon(one, f"{branch}{number}")


def agents() -> dict[str, Any]:
    guards = GuardSettings(budget=BudgetSettings.model_validate(BUDGET))
    clerk = spender("clerk", {"text": "x"}, tools=(look,), budget=BUDGET, output=400, attempts=90)
    boss = spender("boss", {"text": "x"}, team=("clerk",), budget=BUDGET, output=400, attempts=90)
    boss = replace(
        boss, spec=boss.spec.model_copy(update={"model": boss.spec.model.model_copy(update={"name": "boss"})})
    )
    steps = function(stepper)
    limits = steps.spec.limits.model_copy(update={"attempts": 90})
    steps = replace(steps, spec=steps.spec.model_copy(update={"guards": guards, "limits": limits}))
    return {code.spec.name: code for code in (clerk, boss, steps)}


# ---- the processes ------------------------------------------------------------------------------------------------
def live(role: Role) -> None:
    """A worker that dies at a write, before it, when it is stored, or after it."""
    if role.fault:
        _die_sometimes(random.Random(role.fault))
    mutants.apply(role.mutant)
    anyio.run(_work, role)


async def _work(role: Role) -> None:
    async with (
        open_bus(tuple(role.urls), subjects=Subjects(role.prefix), name=role.name, replicas=1) as bus,
        speaking(bus.guard_log) as say,
        budget_gates(bus, say) as gates,
    ):
        made = Worker(
            agents(), replace(ports(bus), gates=gates), name=role.name, slots=8, open_model=lambda choice: Provider()
        )
        async with made:
            await made.drained.wait()


def _die_sometimes(chance: random.Random) -> None:
    publish = storage.publish

    async def deadly(connection: Any, subject: str, payload: bytes, *, headers: Any) -> Any:
        if chance.random() > 1 / LIVES:
            return await publish(connection, subject, payload, headers=headers)
        when = chance.choice(("before", "stored", "after"))
        if when == "stored":
            await connection.publish(subject, payload, headers=headers)
            await connection.barrier()
        elif when == "after":
            await publish(connection, subject, payload, headers=headers)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    storage.publish = deadly


def serve() -> None:
    """Fork a worker for each line, from a process that has imported everything."""
    from tests.chaos.zygote import _become, die_with_parent

    die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        role, parent = Role(**json.loads(line)), os.getpid()
        pid = os.fork()
        if pid == 0:
            die_with_parent(parent)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become(role, live)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


@contextmanager
def forks() -> Iterator[Zygote]:
    command = [sys.executable, "-m", "tests.guards.budget.crashing", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        made = Zygote(process)
        try:
            yield made
        finally:
            for each in made.spawned:
                each.kill()
            process.kill()


# ---- the storm ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Books:
    """What the books say when all is over."""

    crashes: int
    states: dict[RunKey, RunState]
    accounts: dict[tuple[str, str], Balance]
    journals: dict[RunKey, Sequence[Stored]]
    wrong: list[str]

    @property
    def own(self) -> Tally:
        total = ZERO
        for state in self.states.values():
            total = total.plus(state.accounts.own)
        return total

    def violations(self) -> list[str]:
        """Where the books differ."""
        found = check(self.journals, counters=counters(self.accounts, self.states))
        return [*self.wrong, *map(str, found), *self.accused()]

    def accused(self) -> list[str]:
        """Runs of which the audit says anything, although the gate has let all of their calls start."""
        said: list[str] = []
        for key, entries in self.journals.items():
            created = created_in(entries)
            if created is not None:
                guard = BudgetGuard(spec_of(created).guards.budget)
                run = watched("budget", key, created, guard=guard, mode="enforce")
                said += [f"{key}: {each.event.reason}" for entry in entries for each in run.see(entry)]
        return said


@dataclass
class Storm:
    """Runs, some of which are killed, while workers die."""

    bus: Bus
    zygote: Zygote
    role: Role
    chance: random.Random
    crashes: int
    died: int = 0
    keys: list[RunKey] = field(default_factory=list)

    async def rage(self, runs: int) -> None:
        """Four doomed workers at a time, and more work whenever one has died; then two that do not die."""
        await self.submit(runs)
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(self._doomed, number)
        for number in range(2):
            self.zygote.spawn(replace(self.role, name=f"calm{number}"))

    async def submit(self, runs: int) -> None:
        for _ in range(runs):
            key = RunKey(TENANT, f"r{len(self.keys)}")
            self.keys.append(key)
            agent = self.chance.choice(("clerk", "clerk", "boss", "stepper"))
            await self.bus.tasks.publish(TaskAddress(TENANT, agent, "normal", key.run), Task(input="go"))

    async def _doomed(self, number: int) -> None:
        life = 0
        while self.died < self.crashes:
            life += 1
            role = replace(self.role, name=f"w{number}-{life}", fault=f"{number}/{life}/{self.chance.random()}")
            with suppress(ProcessLookupError):  # gone already
                doomed = self.zygote.spawn(role)
                await doomed.gone()
            self.died += 1
            if self.chance.random() < KILLS:
                killer = Killer(self.bus.journals, self.bus.watch, CLOCK)
                with suppress(BusError):
                    await killer.kill(self.keys[-1], reason="storm", by="test")
            await self.submit(2)


async def storm(folder: Path, *, crashes: int, runs: int = 20, seed: int = 1, mutant: str = "") -> Books:
    """Let workers die so often, then let the runs end, then compare the books."""
    subjects = Subjects(f"t{CLOCK.new_id()}")
    role = Role("worker", "w", str(folder), (bus_url(),), subjects.prefix, mutant=mutant)
    with forks() as zygote:
        async with open_bus(bus_url(), subjects=subjects, name="storm", replicas=1) as bus:
            try:
                async with anyio.create_task_group() as beside:
                    dispatcher = Dispatcher(bus.journals, bus.tasks, bus.feed, bus.due, bus.graveyard, CLOCK)
                    beside.start_soon(dispatcher.run, anyio.Event())
                    raging = Storm(bus, zygote, role, random.Random(seed), crashes)
                    await raging.rage(runs)
                    await _rest(bus, raging.keys)
                    beside.cancel_scope.cancel()
                return await _books(bus, folder, raging.died)
            finally:
                await delete_streams(subjects)


async def _rest(bus: Bus, keys: list[RunKey]) -> None:
    """Return when every run is over and every task is acknowledged. A minute without an end is too long."""
    waiting = list(keys)
    while waiting or await queued(bus):
        with anyio.move_on_after(60) as late:
            before = len(waiting)
            while waiting and len(waiting) == before:
                states = {key: replay(await bus.journals.read(key)) for key in waiting}
                waiting = [key for key in waiting if states[key].terminal is None]
                await anyio.sleep(0.05)
        assert not late.cancelled_caught, [(key, replay(await bus.journals.read(key)).status) for key in waiting]
        await anyio.sleep(0.02)


async def _books(bus: Bus, folder: Path, died: int) -> Books:
    lines = [line.split() for line in (folder / METER).read_text().splitlines()]
    metered = {line[1]: int(line[2]) for line in lines if line[0] == "answer"}
    states: dict[RunKey, RunState] = {}
    journals: dict[RunKey, Sequence[Stored]] = {}
    wrong: list[str] = []
    billed = 0
    for key in [entry.key async for entry in bus.scan()]:
        entries = await bus.journals.read(key)
        journals[key], states[key] = entries, replay(entries)
        for call, (reserved, said, answered) in attempts(entries).items():
            name = f"{key.run}/{call}"
            billed += reserved if said is None else said
            if answered and metered[name] != said:
                wrong.append(f"{name}: metered {metered[name]}, in the journal {said}")
            if said == 0 and any(line == ["start", name] for line in lines):
                wrong.append(f"{name}: started, and free of charge")
    charged = sum(state.accounts.own.usd_micros for state in states.values())
    if billed != charged:
        wrong.append(f"the provider billed {billed}, the journals say {charged}")
    return Books(died, states, dict(await bus.ledger.accounts()), journals, wrong)


def attempts(entries: Sequence[Stored]) -> dict[str, tuple[int, int | None, bool]]:
    """Of each attempt what was reserved for it, what it is said to have cost, and whether that was its answer."""
    found: dict[str, tuple[int, int | None, bool]] = {}
    last: dict[str, str] = {}
    for event in (event for entry in entries if entry.record for event in entry.record.events):
        if isinstance(event, ModelRequested):
            last[event.call] = f"{event.call}/{event.attempt}"
            found[last[event.call]] = (event.reserved.usd_micros, None, False)
        elif isinstance(event, ModelResponded | ModelFailed | ModelLateUsage) and event.call in last:
            answered = isinstance(event, ModelResponded)
            found[last[event.call]] = (found[last[event.call]][0], event.usage.cost_usd_micros, answered)
    return found


def main() -> None:
    """By hand: so many crashes."""
    import tempfile
    import time

    from tests.support.bus import SESSION

    crashes = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        books = anyio.run(lambda: storm(Path(folder), crashes=crashes, seed=int(time.time())))
        print(f"{books.crashes} crashes, {len(books.states)} runs in {time.monotonic() - began:.0f} s: {books.own}")
        print("\n".join(books.violations()) or "no reservation is left; ledger, journals and provider agree")
    SESSION.stop()


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
