"""Shell: the task queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.codec import decode_task, encode, run_key
from callboard.bus.intake import Intake
from callboard.bus.messages import Resume, Task
from callboard.bus.ports import Graveyard, HeldTask
from callboard.bus.pull import Held, Pulls
from callboard.bus.subjects import Lane, RunKey, Subjects, TaskAddress
from callboard.bus.topology import task_consumer
from callboard.errors import QueueFull

_RETRY_AFTER: Final = 1.0


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

    @property
    def followed(self) -> bool:
        return self.held.delivery.pending > 0

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
        self._intakes: dict[tuple[str, Lane], Intake[HeldTask]] = {}

    async def publish(self, address: TaskAddress, body: Task | Resume, *, dedup: str = "") -> int:
        subject = self._subjects.task(address)
        headers = {"Nats-Msg-Id": dedup} if dedup else {}
        payload = encode(body)
        ack = await storage.publish_until_stored(self._connection, subject, payload, headers=headers)
        if ack.duplicate and not await self._is_at(ack.sequence, subject):
            # Msg-Ids are remembered for the whole stream: another tenant may have used this one
            ack = await storage.publish_until_stored(self._connection, subject, payload, headers={})
        if ack.err_code == storage.FULL:
            text = f"the task queue takes nothing more ({ack.description}): nothing was stored, try again later"
            raise QueueFull(text, retryable=True, retry_after=_RETRY_AFTER)
        if ack.err_code:
            raise ack.error(f"a task on {subject!r}")
        return ack.sequence

    async def exists(self, sequence: int) -> bool:
        return await storage.by_sequence(self._connection, self._stream, sequence) is not None

    async def _is_at(self, sequence: int, subject: str) -> bool:
        found = await storage.by_sequence(self._connection, self._stream, sequence)
        return found is not None and found.subject == subject

    async def pull(self, agent: str, at: Lane, *, batch: int, wait: float) -> Sequence[HeldTask]:
        intake = self._intakes.get((agent, at)) or self._intake(agent, at)
        return await intake.pull(batch=batch, wait=wait)

    def _intake(self, agent: str, at: Lane) -> Intake[HeldTask]:
        spec = task_consumer(self._subjects, agent, at, ack_wait=self._ack_wait)
        intake = self._intakes[agent, at] = Intake[HeldTask](
            self._pulls,
            self._stream,
            spec=spec,
            graveyard=self._graveyard,
            read=lambda held: _read(held, self._subjects),
        )
        return intake


def _read(held: Held, subjects: Subjects) -> JetStreamHeldTask:
    address = subjects.parse_task(held.message.subject)
    body = decode_task(held.message.payload)
    delivery = held.delivery
    key = run_key(address, body, sequence=delivery.sequence, stored_at=delivery.stored_at)
    return JetStreamHeldTask(held, address, key, body)
