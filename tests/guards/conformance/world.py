"""One run's journal in memory, and what carries a guard in a process: a sidecar that lives and dies, and a gate.

What is real here: the reducer, judge, deeds, hands, desk, rebuild and marks of the sidecar; the gate of the worker.
What is not: the bus, and the order of the feed, which is up to the test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import anyio

from callboard.actors.fold import replay
from callboard.actors.gate import Ask, Refusal
from callboard.actors.passage import answer_of
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import (
    TERMINAL,
    Event,
    ModelRequested,
    ModelResponded,
    Record,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.ports import StateValue, Stored
from callboard.bus.storage import StreamMessage
from callboard.bus.subjects import RunKey
from callboard.guards.backtest import instants, spec_of
from callboard.guards.hosted import Hosted
from callboard.guards.kit import ACTIONS, Guard, Seen, Verdict
from callboard.guards.reducer_gate import ReducerGates
from callboard.guards.sidecar.act import Hands
from callboard.guards.sidecar.desk import Desk, Part
from callboard.guards.sidecar.feed import Appended
from callboard.guards.sidecar.judge import TICK, created_in, identity
from callboard.guards.sidecar.partitions import partition_of
from callboard.guards.sidecar.pulse import Heart
from callboard.guards.sidecar.rebuild import rebuild
from tests.support.journals import T0

KEY = RunKey("acme", "r1")
GATED = frozenset(ACTIONS[ACTIONS.index("throttle") :])


# ---- what a verdict is --------------------------------------------------------------------------------------------
def told(event: GuardEvent) -> tuple[Any, ...]:
    """What must be the same everywhere. ``id`` has the guard, the run, the entry, the place in it and the action."""
    return (event.id, event.action, event.reason, event.evidence, event.sequence, event.call, event.value,
        event.threshold)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """An event of a journal, and what the bare reducer says of it; ``event`` None: of the time that has passed."""

    sequence: int
    place: int
    event: Event | None
    verdicts: tuple[Verdict, ...]


def plain(hosted: Hosted, entries: Iterable[Stored], *, until: datetime | None = None) -> list[Judged]:
    """The reducer and nothing else, over the run up to its end; with ``until``, with the time that passes up to it."""
    entries = tuple(entries)
    created = created_in(entries)
    made = None if created is None else hosted.make(spec_of(created))
    if made is None:
        return []
    guard, out = made[0], []
    state, sequence, before, over = guard.start(KEY), 0, None, False
    for entry in (*entries, Stored(0, None, at=until)):
        for at in instants(before, entry.at) if before and until and entry.at else ():
            state, verdicts = guard.tick(state, at)
            out.append(Judged(sequence, TICK, None, tuple(verdicts)))
        if over or not entry.sequence:
            break
        sequence, before = entry.sequence, entry.at or before
        for place, event in enumerate(() if entry.record is None else entry.record.events):
            seen = Seen(KEY, entry.sequence, entry.at, event, entry.record.owner, entry.record.id, place)
            state, verdicts = guard.observe(state, seen)
            out.append(Judged(sequence, place, event, tuple(verdicts)))
            over = over or event.type in TERMINAL
        if over:
            break
    return out


def said_by(name: str, judged: Iterable[Judged], *, key: RunKey = KEY) -> list[tuple[Any, ...]]:
    """Everything in it, as events would have it: each id once, for a tick may say the same again and again."""
    out: dict[str, tuple[Any, ...]] = {}
    for each in judged:
        for index, verdict in enumerate(each.verdicts):
            mark = identity(name, key, each.sequence, place=each.place, action=verdict.action, index=index)
            out.setdefault(mark, (mark, verdict.action, verdict.reason, verdict.evidence, each.sequence, verdict.call,
                verdict.value, verdict.threshold))  # fmt: skip
    return list(out.values())


def up_to_kill(said: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Up to the first kill: what comes behind it would not have happened."""
    out = []
    for each in said:
        out.append(each)
        if each[1] == "kill":
            break
    return out


# ---- the bus ------------------------------------------------------------------------------------------------------
class Died(Exception):
    """The process is gone."""


@dataclass
class World:
    """Ports of a bus with one run in it. ``writes``: so many more, then the process that makes the next one dies.

    ``after``: the write is stored, and the process dies of it all the same.
    """

    now: datetime = T0
    entries: list[Stored] = field(default_factory=list)
    events: list[GuardEvent] = field(default_factory=list)
    marks: dict[tuple[str, ...], StateValue] = field(default_factory=dict)
    writes: int | None = None
    after: bool = False
    key: RunKey = KEY

    def append(self, record: Record | None, gap: float = 1.0) -> None:
        """What the owner, or somebody else, writes ``gap`` seconds later."""
        self.now += timedelta(seconds=gap)
        self.entries.append(Stored(self.last + 1, record, at=self.now))

    @property
    def last(self) -> int:
        return self.entries[-1].sequence if self.entries else 0

    @property
    def over(self) -> bool:
        return any(event.type in TERMINAL for entry in self.entries if entry.record for event in entry.record.events)

    def of_guards(self, kind: type) -> list[Any]:
        """What guards appended."""
        events = (event for entry in self.entries if entry.record for event in entry.record.events)
        return [event for event in events if isinstance(event, kind) and event.guard]

    def _write(self, store: Any) -> None:
        if self.writes is None:
            store()
            return
        self.writes -= 1
        if self.writes > 0:
            store()
            return
        if self.writes == 0 and self.after:
            store()
        raise Died

    # ---- Journals, GuardLog, States, Clock, Feed
    async def read(self, key: RunKey, *, after: int = 0) -> Sequence[Stored]:
        return [entry for entry in self.entries if entry.sequence > after]

    async def signal(self, key: RunKey, record: Record, *, parent: str = "") -> int:
        def store() -> None:
            if all(entry.record is None or entry.record.id != record.id for entry in self.entries):
                self.append(record, 0.001)

        self._write(store)
        return self.last

    async def publish(self, tenant: str, event: GuardEvent) -> None:
        self._write(lambda: self.events.append(event))

    async def get(self, *key: str) -> StateValue | None:
        return self.marks.get(key)

    async def put(self, *key: str, value: bytes, expect: int | None = None) -> int:
        def store() -> None:
            self.marks[key] = StateValue(1, value, self.now)

        self._write(store)
        return 1

    async def scan(self) -> AsyncIterator[Any]:
        if self.entries:
            last = self.entries[-1]
            yield SimpleNamespace(key=self.key, sequence=last.sequence, at=last.at, events=_types(last))

    @property
    def bus(self) -> Any:
        ids = (f"n{number}" for number in count())
        clock = SimpleNamespace(now=lambda: self.now, monotonic=lambda: 0.0, new_id=lambda: next(ids))
        return SimpleNamespace(journals=self, guard_log=self, states=self, clock=clock, scan=self.scan)


def _types(entry: Stored) -> tuple[str, ...] | None:
    return None if entry.record is None else tuple(event.type for event in entry.record.events)


# ---- the sidecar --------------------------------------------------------------------------------------------------
class Beside:
    """A guard process from its start to its death. ``feed.position`` is how far it was handed entries."""

    def __init__(self, world: World, hosted: Hosted, tasks: Any) -> None:
        self.world = world
        self.feed = SimpleNamespace(position=world.last)
        self.desk = Desk(world.bus, hosted, hands=Hands(world, world, anyio.Semaphore(1)), tasks=tasks)
        self.part = Part(partition_of(world.key))
        self.desk.parts[self.part.number] = self.part
        self.heart = Heart(world.bus, self.desk, self.feed, replica="s1")

    async def begin(self) -> None:
        """Take up the runs, as at every start."""
        await rebuild(self.world.bus, self.desk, [self.part], self.feed)

    async def hear(self, stored: Stored) -> None:
        """An entry comes out of the feed, perhaps not for the first time."""
        text = None if stored.record is None else ",".join(_types(stored) or ())
        headers = {} if text is None else {"Cb-Events": text}
        if stored.sequence == 1 and stored.record is not None and stored.record.owner:
            headers["Nats-Expected-Last-Subject-Sequence"] = "0"
        message = StreamMessage("", stored.sequence, b"", headers, stored.at or self.world.now)
        name = f"{self.world.key.tenant}.{self.world.key.run}"
        appended = Appended(stored.sequence, name, message)
        if self.part.wants(appended):
            going = self.desk.see(self.part, self.world.key, entry=appended, stored=stored)
            if going is not None:
                await self.desk.send(going)
        self.feed.position = max(self.feed.position, stored.sequence)

    async def catch_up(self) -> None:
        """Everything that it has not heard of yet, also what it appends meanwhile itself."""
        while behind := [entry for entry in self.world.entries if entry.sequence > self.feed.position]:
            await self.hear(behind[0])

    async def mark(self) -> None:
        """Store how far everything was said, as it does about once a second."""
        await self.heart._mark(self.part)

    async def tick(self) -> None:
        """A second has passed."""
        for name in tuple(self.part.runs):
            going = self.desk.tick(self.part, name, self.world.now)
            if going is not None:
                await self.desk.send(going)


# ---- the gate -----------------------------------------------------------------------------------------------------
@dataclass
class Asked:
    """What a worker was told before each intent of a journal, by its entry and call."""

    answers: list[tuple[int, str, tuple[Any, ...] | None, bool]]
    appended: list[Record]


async def gated(hosted: Hosted, entries: Sequence[Stored], restarts: frozenset[int]) -> Asked:
    """Ask the gate before each intent that is in a journal; at ``restarts`` another worker has claimed the run."""
    spoken: list[GuardEvent] = []
    aside = World()
    created = created_in(entries)
    spec = spec_of(created)
    gates = ReducerGates((hosted,), aside, lambda _, event: spoken.append(event), aside.bus.clock)
    run, answers = gates.enter(KEY), []
    for at, entry in enumerate(entries):
        if at in restarts:
            run = gates.enter(KEY)
            for before in entries[:at]:
                run.folded(before.sequence, record_of(before))
        for place, event in enumerate(() if entry.record is None else entry.record.events):
            if isinstance(event, ModelRequested | ToolRequested):
                aside.now = entry.at
                state = replay(entries[:at]).evolve(owner=entry.record.owner)
                ask = _ask(event, spec, state, entry.record.events[:place])
                spoken.clear()
                answer = await answer_of(run, ask)
                said = next(iter(spoken), None)
                what = None if said is None else (said.action, said.reason, said.evidence, said.value, said.threshold)
                answers.append((entry.sequence, event.call, what, isinstance(answer, Refusal)))
        run.folded(entry.sequence, record_of(entry))
        if entry.record is not None and any(event.type in TERMINAL for event in entry.record.events):
            break
    return Asked(answers, [entry.record for entry in aside.entries])


def record_of(entry: Stored) -> Record | None:
    """Its record, as if its owner's clock were the server's."""
    return None if entry.record is None else entry.record.model_copy(update={"at": entry.at})


def _ask(event: Any, spec: Any, state: Any, pending: tuple[Any, ...]) -> Ask:
    if isinstance(event, ModelRequested):
        return Ask(
            KEY, spec, state, "model", event.call, event.attempt, event.model,
            wrap_up=event.wrap_up, pending=pending,
        )  # fmt: skip
    return Ask(
        KEY, spec, state, "tool", event.call, event.attempt, event.tool, effect=event.effect, pending=pending
    )  # fmt: skip


def at_the_gate(hosted: Hosted, entries: Sequence[Stored]) -> list[tuple[int, str, tuple[Any, ...] | None]]:
    """What the gate has to say before each intent, by the bare reducer: the strongest of what holds the call."""
    made = hosted.make(spec_of(created_in(entries)))
    if made is None:
        return []
    guard, out, named = made[0], [], dict[str, list[Verdict]]()
    awake = type(guard).wakes is Guard.wakes
    for each in plain(hosted, entries):
        event = each.event
        if isinstance(event, ModelRequested | ToolRequested):
            held = [verdict for verdict in each.verdicts if verdict.call in ("", event.call)]
            held = [verdict for verdict in (*named.get(event.call, ()), *held) if verdict.action in GATED]
            strongest = max(held, key=lambda verdict: ACTIONS.index(verdict.action), default=None)
            heard = strongest is not None and guard.gates and awake
            what = (
                (strongest.action, strongest.reason, strongest.evidence, strongest.value, strongest.threshold)
                if heard
                else None
            )
            out.append((each.sequence, event.call, what))
        for verdict in each.verdicts:
            if verdict.call and verdict.action in GATED:
                named.setdefault(verdict.call, []).append(verdict)
        if isinstance(event, ToolReturned | ModelResponded):
            named.pop(event.call, None)
        awake = awake or guard.wakes(event)
    return out
