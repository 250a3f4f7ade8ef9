"""Shell: the task queue. What does not validate is buried with its reason, and only then removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.codec import decode_task, encode, run_key
from callboard.bus.messages import Resume, Task
from callboard.bus.ports import Graveyard, HeldTask
from callboard.bus.pull import ConsumerGone, Held, Puller, Pulls
from callboard.bus.reconcile import ensure_consumer
from callboard.bus.subjects import Lane, RunKey, TaskAddress
from callboard.bus.topology import task_consumer
from callboard.errors import InvalidMessage, QueueFull

_RETRY_AFTER: Final = 1.0
_ELECTION_PAUSE: Final = 0.1
"""Seconds: a consumer that exists and is not served has no leader yet."""


@dataclass(frozen=True, slots=True)
class JetStreamHeldTask:
    """Implements ``HeldTask``."""

    held: Held
    address: TaskAddress
    key: RunKey
    body: Task | Resume

    @property
    def sequence(self) -> int:
        return self.held.delivery.sequence

    async def acknowledge(self) -> None:
        await self.held.acknowledge()

    async def release(self, delay: float = 0.0) -> None:
        await self.held.release(delay)

    async def progress(self) -> None:
        await self.held.progress()


class JetStreamTasks:
    """Implements ``Tasks`` on CB_TASKS, with one durable consumer for each agent and lane."""

    def __init__(self, connection: Connection, pulls: Pulls, graveyard: Graveyard, *, ack_wait: float) -> None:
        self._connection = connection
        self._subjects = connection.subjects
        self._stream = connection.subjects.stream("TASKS")
        self._pulls = pulls
        self._graveyard = graveyard
        self._ack_wait = ack_wait
        self._pullers: dict[tuple[str, Lane], Puller] = {}

    async def publish(self, address: TaskAddress, body: Task | Resume, *, dedup: str = "") -> int:
        subject = self._subjects.task(address)
        headers = {"Nats-Msg-Id": dedup} if dedup else {}
        ack = await storage.publish_until_stored(self._connection, subject, encode(body), headers=headers)
        if ack.err_code == storage.FULL:
            text = f"the task queue takes nothing more ({ack.description}): nothing was stored, try again later"
            raise QueueFull(text, retryable=True, retry_after=_RETRY_AFTER)
        if ack.err_code:
            raise ack.error(f"a task on {subject!r}")
        return ack.sequence

    async def exists(self, sequence: int) -> bool:
        return await storage.by_sequence(self._connection, self._stream, sequence) is not None

    async def pull(self, agent: str, at: Lane, *, batch: int, wait: float) -> Sequence[HeldTask]:
        puller = self._pullers.get((agent, at)) or await self._ensured(agent, at)
        try:
            taken = await puller.pull(batch=batch, wait=wait)
        except ConsumerGone:
            await self._ensured(agent, at)
            await anyio.sleep(min(wait, _ELECTION_PAUSE))
            return ()
        tasks: list[HeldTask] = []
        try:
            for held in taken:
                try:
                    tasks.append(self._opened(held))
                except InvalidMessage as error:
                    await self._bury(held, error)
        except BaseException:
            puller.give_back(taken)
            raise
        return tasks

    async def _ensured(self, agent: str, at: Lane) -> Puller:
        spec = task_consumer(self._subjects, agent, at, ack_wait=self._ack_wait)
        await ensure_consumer(self._connection, self._stream, spec)
        puller = self._pullers[agent, at] = self._pulls.consumer(self._stream, spec.name)
        return puller

    def _opened(self, held: Held) -> JetStreamHeldTask:
        address = self._subjects.parse_task(held.message.subject)
        body = decode_task(held.message.payload)
        delivery = held.delivery
        key = run_key(address, body, sequence=delivery.sequence, stored_at=delivery.stored_at)
        return JetStreamHeldTask(held, address, key, body)

    async def _bury(self, held: Held, error: InvalidMessage) -> None:
        message = held.message
        tenant, agent = (*message.subject.split(".")[2:4], "-", "-")[:2]
        await self._graveyard.bury((tenant, agent), message.subject, error.reason, str(error), message.payload)
        await held.acknowledge()
