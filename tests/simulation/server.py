"""Shell: the simulated server: journals with compare-and-set, consumers with redelivery, timers. Its word is final.

Whatever it is asked happens at once; what may happen on the way to it and back is the network's business.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from callboard.actors.fold import EMPTY, replay
from callboard.actors.state import RunState, ready
from callboard.bus.messages import TERMINAL, Record, Resume, Task
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey, TaskAddress
from tests.simulation.loop import SimLoop

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(eq=False, slots=True)
class Item:
    """A message on its way to a consumer."""

    value: Any
    sequence: int
    state: str = "ready"
    due: float = 0.0
    deliveries: int = 0


class Consumer:
    """A durable consumer: what is delivered and not acknowledged within ``ack_wait`` is delivered again."""

    def __init__(self, loop: SimLoop, ack_wait: float, context: Any) -> None:
        self._loop = loop
        self._ack_wait = ack_wait
        self._context = context
        self.items: dict[int, Item] = {}
        self.ready: deque[Item] = deque()
        self.waiters: deque[asyncio.Future[None]] = deque()

    def add(self, item: Item) -> None:
        self.items[item.sequence] = item
        self._offer(item)

    def take(self, batch: int) -> list[Item]:
        taken: list[Item] = []
        while self.ready and len(taken) < batch:
            item = self.ready.popleft()
            if item.state == "ready":
                item.state = "pending"
                item.deliveries += 1
                item.due = self._loop.now + self._ack_wait
                self._loop.call_at(item.due, self._expire, item, item.deliveries, context=self._context)
                taken.append(item)
        return taken

    def acknowledge(self, item: Item) -> bool:
        """Anybody's acknowledgement removes it for everybody. True if it was there."""
        was = item.state != "gone"
        item.state = "gone"
        self.items.pop(item.sequence, None)
        return was

    def progress(self, item: Item) -> None:
        if item.state == "pending":
            item.due = self._loop.now + self._ack_wait

    def release(self, item: Item, delay: float) -> None:
        if item.state == "pending":
            self._loop.call_later(delay, self._again, item, item.deliveries, context=self._context)

    def wake(self) -> None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _offer(self, item: Item) -> None:
        item.state = "ready"
        self.ready.append(item)
        self.wake()

    def _expire(self, item: Item, delivery: int) -> None:
        if item.state != "pending" or item.deliveries != delivery:
            return
        if item.due > self._loop.now:
            self._loop.call_at(item.due, self._expire, item, delivery, context=self._context)
        else:
            self._offer(item)

    def _again(self, item: Item, delivery: int) -> None:
        if item.state == "pending" and item.deliveries == delivery:
            self._offer(item)


@dataclass(slots=True)
class Entry:
    """What the feed says about a journal entry."""

    key: RunKey
    sequence: int
    events: tuple[str, ...] | None
    family: str
    parent: str


@dataclass(slots=True)
class TaskMessage:
    """A message of the task queue."""

    address: TaskAddress
    body: Task | Resume
    key: RunKey


@dataclass(slots=True)
class Broken:
    """An invariant that did not hold at some instant."""

    rule: str
    run: str
    message: str


@dataclass
class Server:
    """The streams and their consumers."""

    loop: SimLoop
    journals: dict[RunKey, list[Stored]] = field(default_factory=dict)
    states: dict[RunKey, RunState] = field(default_factory=dict)
    ended: set[RunKey] = field(default_factory=set)
    lanes: dict[tuple[str, str], Consumer] = field(default_factory=dict)
    tasks: dict[int, Item] = field(default_factory=dict)
    msg_ids: dict[str, int] = field(default_factory=dict)
    timers: dict[tuple[RunKey, str], asyncio.TimerHandle] = field(default_factory=dict)
    blobs: dict[str, Any] = field(default_factory=dict)
    dead: list[tuple[Any, ...]] = field(default_factory=list)
    changed: dict[RunKey, list[asyncio.Future[None]]] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    on_record: Callable[[RunKey, int, Record], None] = lambda _key, _sequence, _record: None
    away: bool = False
    sequence: int = 0
    task_sequence: int = 0

    def __post_init__(self) -> None:
        self.context = copy_context()
        self.feed = Consumer(self.loop, 5.0, self.context)
        self.due = Consumer(self.loop, 5.0, self.context)

    # ---- journals
    def append(
        self, key: RunKey, record: Record, *, expect: int | None, family: str, parent: str, bare: bool = False
    ) -> int | None:
        """The sequence, or None if the journal is not where ``expect`` says."""
        journal = self.journals.get(key)
        last = journal[-1].sequence if journal else 0
        if expect is not None and last != expect:
            return None
        if journal is None:
            journal = self.journals[key] = []
        self.sequence += 1
        journal.append(Stored(self.sequence, record, at=EPOCH + timedelta(seconds=self.loop.now)))
        kinds = tuple([event.type for event in record.events])
        if not TERMINAL.isdisjoint(kinds):
            self.ended.add(key)
        self.feed.add(Item(Entry(key, self.sequence, None if bare else kinds, family, parent), self.sequence))
        for waiter in self.changed.pop(key, ()):
            if not waiter.done():
                waiter.set_result(None)
        self.on_record(key, self.sequence, record)
        return self.sequence

    def find(self, key: RunKey, expect: int, record_id: str) -> int | None:
        """The sequence of the record if it is what followed ``expect``."""
        for entry in self.journals.get(key, ()):
            if entry.sequence > expect:
                return entry.sequence if entry.record is not None and entry.record.id == record_id else None
        return None

    def entries(self, key: RunKey, after: int) -> tuple[Stored, ...]:
        journal = self.journals.get(key)
        if not journal or journal[-1].sequence <= after:
            return ()
        return tuple([entry for entry in journal if entry.sequence > after])

    def state(self, key: RunKey) -> RunState:
        known = self.states.get(key, EMPTY)
        state = self.states[key] = replay(self.entries(key, known.sequence), known)
        return state

    # ---- tasks
    def lane(self, agent: str, lane: str) -> Consumer:
        found = self.lanes.get((agent, lane))
        if found is None:
            found = self.lanes[agent, lane] = Consumer(self.loop, 2.0, self.context)
        return found

    def publish(self, address: TaskAddress, body: Task | Resume, key: RunKey, dedup: str) -> int:
        if dedup and dedup in self.msg_ids:
            return self.msg_ids[dedup]
        self.task_sequence += 1
        if dedup:
            self.msg_ids[dedup] = self.task_sequence
        item = self.tasks[self.task_sequence] = Item(TaskMessage(address, body, key), self.task_sequence)
        self.lane(address.agent, address.lane).add(item)
        return self.task_sequence

    def acknowledge_task(self, item: Item, by: str) -> None:
        message: TaskMessage = item.value
        if not self.lane(message.address.agent, message.address.lane).acknowledge(item):
            return
        del self.tasks[item.sequence]
        state = self.state(message.key)
        if state.owner and not state.suspended and state.terminal is None and state.task == item.sequence:
            self.broken.append(Broken("R1", message.key.run, f"{by} acknowledged task {item.sequence}, run still open"))

    def lose_task(self, item: Item) -> None:
        """The queue loses a message."""
        message: TaskMessage = item.value
        self.lane(message.address.agent, message.address.lane).acknowledge(item)
        self.tasks.pop(item.sequence, None)

    # ---- feed and timers
    def acknowledge_entry(self, item: Item, by: str) -> None:
        if not self.feed.acknowledge(item):
            return
        entry: Entry = item.value
        state = self.state(entry.key)
        if not state.suspended or state.terminal is not None or not ready(state, state.waits):
            return
        unpaid = any(e.value.key == entry.key and e.sequence >= state.suspended for e in self.feed.items.values())
        queued = any(
            isinstance(each.value.body, Resume)
            and each.value.key == entry.key
            and each.value.body.resume >= state.suspended
            for each in self.tasks.values()
        )
        if not unpaid and not queued:
            text = f"{by} acknowledged entry {entry.sequence}, and nothing wakes the run suspended at {state.suspended}"
            self.broken.append(Broken("R2", entry.key.run, text))

    def schedule(self, key: RunKey, timer: str, at: datetime) -> None:
        old = self.timers.pop((key, timer), None)
        if old is not None:
            old.cancel()
        when = max(self.loop.now, (at - EPOCH).total_seconds())
        self.timers[key, timer] = self.loop.call_at(when, self._due, key, timer, context=self.context)

    def _due(self, key: RunKey, timer: str) -> None:
        self.timers.pop((key, timer), None)
        self.task_sequence += 1
        self.due.add(Item((key, timer), self.task_sequence))

    @property
    def at_rest(self) -> bool:
        """Nothing is open, and nothing waits for anybody."""
        return not self.tasks and not self.feed.items and not self.due.items and len(self.ended) == len(self.journals)
