"""Shell: the tasks of runs that have not begun, and whether anybody knows a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from callboard.actors.fold import replay
from callboard.bus import storage
from callboard.bus.bus import Bus
from callboard.bus.codec import decode_task, run_key
from callboard.bus.messages import Task
from callboard.bus.subjects import RunKey, token
from callboard.errors import InvalidMessage


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """An original task that is in the queue: nobody has taken it up yet, or a worker holds it."""

    key: RunKey
    agent: str
    at: datetime


async def is_known(bus: Bus, key: RunKey) -> bool:
    """Does the run's journal say how it began, or is its task in the queue?"""
    # A task leaves the queue only when its run has begun: the journal is read once more behind a look at the queue
    return await _has_begun(bus, key) or await queued_task(bus, key) is not None or await _has_begun(bus, key)


async def _has_begun(bus: Bus, key: RunKey) -> bool:
    return replay(await bus.journals.read(key)).created is not None


async def queued_task(bus: Bus, key: RunKey) -> QueuedTask | None:
    """The original task of a run, if it is in the queue: first where its id is in the subject, then among all."""
    for which in (f"{key.tenant}.*.*.{key.run}", f"{key.tenant}.>"):
        found = next((task for task in await _queued_on(bus, which) if task.key == key), None)
        if found is not None:
            return found
    return None


async def queued_tasks(bus: Bus, tenant: str | None) -> tuple[QueuedTask, ...]:
    """Every original task in the queue (of one tenant), oldest first."""
    return await _queued_on(bus, f"{'*' if tenant is None else token(tenant, 'tenant')}.>")


async def _queued_on(bus: Bus, which: str) -> tuple[QueuedTask, ...]:
    subjects = bus.connection.subjects
    everything = f"{subjects.prefix}.task.{which}"
    found: list[QueuedTask] = []
    for message in await storage.behind(bus.connection, subjects.stream("TASKS"), everything, after=0):
        try:
            address, body = subjects.parse_task(message.subject), decode_task(message.payload)
            key = run_key(address, body, sequence=message.sequence, stored_at=message.at)
        except InvalidMessage:
            continue  # whoever pulls it buries it
        if isinstance(body, Task):
            found.append(QueuedTask(key, address.agent, message.at))
    return tuple(found)
