"""Shell: what there is to judge afterwards: all journals, what is left in the queue, what physically started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from callboard.actors.fold import replay
from callboard.actors.history import EffectStart, QueuedTask, Violation, check
from callboard.actors.receipt import Receipt
from callboard.bus import storage
from callboard.bus.bus import Bus
from callboard.bus.codec import decode_task, run_key
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import ModelResponded, Resume, ToolReturned
from callboard.bus.ports import Balance, Stored
from callboard.bus.subjects import RunKey
from callboard.bus.topology import task_consumer
from callboard.guards.budget.counters import counters
from tests.chaos.starts import read_starts

SKEW = 0.05


@dataclass(frozen=True)
class Evidence:
    """Everything at rest."""

    journals: Mapping[RunKey, Sequence[Stored]]
    queued: tuple[QueuedTask, ...]
    starts: tuple[EffectStart, ...]
    said: tuple[GuardEvent, ...] = ()
    accounts: Mapping[tuple[str, str], Balance] = field(default_factory=dict[tuple[str, str], Balance])

    def violations(self, receipts: Iterable[Receipt] = ()) -> tuple[Violation, ...]:
        """What the history checker finds."""
        states = {key: replay(entries) for key, entries in self.journals.items()}
        return check(
            self.journals, starts=self.starts, receipts=receipts, queued=self.queued,
            counters=counters(self.accounts, states), at_rest=True,
        )  # fmt: skip

    def repeated(self) -> list[str]:
        """Effects that started although their result was in the journal."""
        known = {
            (key, event.call): entry.at.timestamp()
            for key, entries in self.journals.items()
            for entry in entries
            if entry.record is not None and entry.at is not None
            for event in entry.record.events
            if isinstance(event, ModelResponded | ToolReturned)
        }
        return [
            f"{start.run} {start.call} started again"
            for start in self.starts
            if start.at > known.get((start.run, start.call), float("inf")) + SKEW
        ]

    def said_twice(self) -> list[str]:
        """Guard events that were stored more than once."""
        counted = Counter((event.guard, event.id) for event in self.said)
        return [f"guard {guard} said {name!r} {count} times" for (guard, name), count in counted.items() if count > 1]


async def collect(bus: Bus, folder: Path) -> Evidence:
    """Read it all from the bus and from ``folder``, where the processes worked."""
    keys = [entry.key async for entry in bus.scan()]
    journals = {key: await bus.journals.read(key) for key in keys}
    said = tuple(event for _, event in await bus.guard_log.events())
    return Evidence(journals, await queued(bus), read_starts(folder), said, await bus.ledger.accounts())


async def queued(bus: Bus) -> tuple[QueuedTask, ...]:
    """The task messages that are in the queue.

    Without those that their consumer has acknowledged: a server that is killed between the two writes of an
    acknowledgement keeps the message and never delivers it again.
    """
    subjects, found, after = bus.connection.subjects, [], 0
    floors: dict[str, int] = {}
    while True:
        message = await storage.next_of(
            bus.connection, subjects.stream("TASKS"), f"{subjects.prefix}.task.>", after=after
        )
        if message is None:
            return tuple(found)
        after = message.sequence
        address, body = subjects.parse_task(message.subject), decode_task(message.payload)
        consumer = task_consumer(subjects, address.agent, address.lane, ack_wait=1.0).name
        if consumer not in floors:
            floors[consumer] = await _ack_floor(bus, consumer)
        if message.sequence <= floors[consumer]:
            continue
        key = run_key(address, body, sequence=message.sequence, stored_at=message.at)
        resume = body.resume if isinstance(body, Resume) else 0
        parent = None if isinstance(body, Resume) else body.parent
        found.append(QueuedTask(message.sequence, key, resume, parent))


async def _ack_floor(bus: Bus, consumer: str) -> int:
    """Up to this sequence, the consumer has nothing more to deliver."""
    stream = bus.connection.subjects.stream("TASKS")
    info = await storage.patiently(lambda: storage.api(bus.connection, f"CONSUMER.INFO.{stream}.{consumer}", {}))
    return int(info["ack_floor"]["stream_seq"]) if "ack_floor" in info else 0
