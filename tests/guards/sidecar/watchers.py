"""Guards for tests, journals written as an owner writes them, and a sidecar in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from callboard.actors.actor import running
from callboard.bus.bus import Bus, open_bus
from callboard.bus.guard_messages import GuardEvent, Pulse
from callboard.bus.messages import (
    ModelRequested,
    ModelResponded,
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunKilled,
    SignalReceived,
)
from callboard.bus.subjects import RunKey, Subjects
from callboard.clock import SystemClock
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.guards.sidecar.partitions import PARTITIONS, partition_of
from callboard.guards.sidecar.sidecar import Sidecar
from tests.support.bus import bus_url

CLOCK = SystemClock()


class Limit(Guard[int]):
    """Warns at every answer, nudges at the third, kills at the fifth and every one after it."""

    name = "limit"

    def __init__(self, *, kill_at: int = 5, nudge_at: int = 3) -> None:
        self.kill_at = kill_at
        self.nudge_at = nudge_at

    def start(self, run: RunKey) -> int:
        return 0

    def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:
        match seen.event:
            case ModelResponded():
                state += 1
                said = [Verdict("warn", f"answer {state}", value=state, threshold=self.kill_at)]
                if state == self.nudge_at:
                    said.append(Verdict("nudge", "finish soon", evidence=(seen.sequence,)))
                if state >= self.kill_at:
                    said.append(Verdict("kill", f"{state} answers are enough"))
                return state, said
            case SignalReceived(name=name):
                return state, _asked_for(name)
            case _:
                return state, ()


class Strict(Limit):
    """Runs wait for it."""

    missing = "closed"


def _asked_for(name: str) -> Sequence[Verdict]:
    """A signal ``pause-2``, ``throttle``, ``deny``, ``raise``, … makes the guard say just that."""
    what, _, seconds = name.partition("-")
    if what == "raise":
        raise ValueError("it cannot stand this")
    if what in ("observe", "nudge", "throttle", "deny", "pause", "kill"):
        return (Verdict(what, f"asked to {what}", seconds=float(seconds) if seconds else None, call=""),)
    return ()


def hosted(guard: Guard[Any] | None = None, mode: Any = "enforce", *, name: str = "limit", **more: Any) -> Hosted:
    """One guard for every run."""
    made = Limit() if guard is None else guard
    return Hosted(name, lambda _: (made, mode), **more)


def quiet() -> Hosted:
    """A guard that runs do not wait for, and that kills nobody."""
    return hosted(Limit(kill_at=10**6, nudge_at=10**6))


def strict() -> Hosted:
    """A guard that runs wait for, and that kills nobody."""
    return hosted(Strict(kill_at=10**6, nudge_at=10**6), missing="closed")


class Journalist:
    """Writes journals, and reads what guards did."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.last: dict[RunKey, int] = {}

    async def create(self, run: str, tenant: str = "default", **fields: Any) -> RunKey:
        key = RunKey(tenant, run)
        created = RunCreated(**{"agent": "a", "at": CLOCK.now(), **fields})
        await self.append(key, created, RunClaimed(task=1, worker="w1"))
        return key

    async def append(self, key: RunKey, *events: Any) -> int:
        """As the owner, over whatever came meanwhile."""
        record = Record(id=CLOCK.new_id(), owner="o1", at=CLOCK.now(), events=events)
        if key in self.last:
            sequence = await self.bus.journals.signal(key, record)
        else:
            sequence = await self.bus.journals.append(key, record, expect=0)
        self.last[key] = sequence
        return sequence

    async def answer(self, key: RunKey, number: int) -> int:
        call = f"m{number}"
        await self.append(key, ModelRequested(call=call, model="x"))
        return await self.append(key, ModelResponded(call=call))

    async def complete(self, key: RunKey) -> int:
        return await self.append(key, RunCompleted())

    async def signal(self, key: RunKey, event: Any) -> int:
        return await self.bus.journals.signal(key, Record(id=CLOCK.new_id(), at=CLOCK.now(), events=(event,)))

    async def done(self, key: RunKey, kind: type = RunKilled) -> list[Any]:
        """What guards appended to a journal."""
        entries = await self.bus.journals.read(key)
        events = [event for entry in entries if entry.record for event in entry.record.events]
        return [event for event in events if isinstance(event, kind) and event.guard]

    async def until_done(self, key: RunKey, kind: type = RunKilled, *, within: float = 20) -> Any:
        with anyio.fail_after(within):
            async with self.bus.watch.follow(key) as entries:
                async for entry in entries:
                    for event in entry.record.events:
                        if isinstance(event, kind) and event.guard:
                            return event
        raise AssertionError("the feed ended")

    async def said(self, guard: str = "limit") -> list[GuardEvent]:
        return [event for _, event in await self.bus.guard_log.events(guard=guard)]

    async def until_judged(self, sequence: int, key: RunKey, guard: str = "limit", *, within: float = 20) -> None:
        """Until a pulse says that everything up to ``sequence`` is judged and out."""
        await self.until_pulse(lambda pulse: pulse.watermark >= sequence, guard, partition_of(key), within=within)

    async def until_all_judged(self, sequence: int, guard: str = "limit", *, within: float = 20) -> None:
        """The same of all partitions."""
        left = set(range(PARTITIONS))

        def last(pulse: Pulse) -> bool:
            if pulse.watermark >= sequence:
                left.discard(pulse.partition)
            return not left

        await self.until_pulse(last, guard, within=within)

    async def until_marked(self, sequence: int, key: RunKey, *, within: float = 20) -> None:
        """Until it is stored that everything up to ``sequence`` was said."""
        with anyio.fail_after(within):
            while True:
                mark = await self.bus.states.get("mark", "limit", str(partition_of(key)))
                if mark is not None and int(mark.value) >= sequence:
                    return
                await anyio.sleep(0.01)

    async def until_pulse(self, true: Any, guard: str = "limit", partition: Any = "*", *, within: float = 20) -> Pulse:
        found: list[Pulse] = []
        heard = anyio.Event()

        def deliver(message: Any) -> None:
            pulse = Pulse.model_validate_json(message.payload)
            if true(pulse):
                found.append(pulse)
                heard.set()

        subject = f"{self.bus.connection.subjects.prefix}.pulse.{guard}.{partition}"
        with anyio.fail_after(within):
            async with self.bus.connection.subscribe(subject, deliver):
                await heard.wait()
        return found[0]


@asynccontextmanager
async def journalist(subjects: Subjects) -> AsyncIterator[Journalist]:
    async with open_bus(bus_url(), subjects=subjects, name="journalist") as bus:
        yield Journalist(bus)


@asynccontextmanager
async def sidecar(subjects: Subjects, *guards: Hosted, replica: str = "s1", rebuilt: bool = True) -> AsyncIterator[Bus]:
    """A sidecar on a connection of its own; entered when all of its partitions are ready (if it is alone)."""
    async with open_bus(bus_url(), subjects=subjects, name=replica) as bus:
        side = Sidecar(bus, guards or (hosted(),), replica=replica)
        async with running(side.run):
            if rebuilt:
                with anyio.fail_after(20):
                    while any(  # noqa: ASYNC110 - it tells nobody
                        len(desk.parts) < PARTITIONS or not all(part.progress.ready for part in desk.parts.values())
                        for desk in side._desks
                    ):
                        await anyio.sleep(0.01)
            yield bus
