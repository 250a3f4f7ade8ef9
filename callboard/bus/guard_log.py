"""Shell: CB_GUARDS, where everything lies that guards said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.guard_messages import GuardEvent
from callboard.errors import BusError


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """A guard event at its place in CB_GUARDS; ``sequence`` 0: it has just been said, its place is not known."""

    sequence: int
    tenant: str
    event: GuardEvent


class JetStreamGuardLog:
    """Implements ``GuardLog``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stream = connection.subjects.stream("GUARDS")

    async def publish(self, tenant: str, event: GuardEvent) -> None:
        subject = self._connection.subjects.guard(tenant, event.guard, event.action)
        body = event.model_dump_json(exclude_defaults=True).encode()
        headers = {"Nats-Msg-Id": f"{tenant}.{event.guard}.{event.id}"}
        ack = await storage.publish_until_stored(self._connection, subject, body, headers=headers)
        if ack.err_code:
            raise ack.error(f"a guard event on {subject!r}")

    async def events(self, *, tenant: str = "*", guard: str = "*", after: int = 0) -> Sequence[tuple[str, GuardEvent]]:
        return [(kept.tenant, kept.event) for kept in await self.kept(tenant=tenant, guard=guard, after=after)]

    async def kept(
        self, *, tenant: str = "*", guard: str = "*", action: str = "*", after: int = 0
    ) -> Sequence[KeptEvent]:
        """Those behind stream sequence ``after``, oldest first. What is no guard event is left out."""
        subject = f"{self._connection.subjects.prefix}.guard.{tenant}.{guard}.{action}"
        found = await storage.direct_batch(self._connection, self._stream, subject, after=after)
        events = (heard(message.subject, message.payload, sequence=message.sequence) for message in found)
        return [event for event in events if event is not None]

    async def sequence_before(self, at: datetime) -> int:
        """The stream sequence behind which everything lies that was said at ``at`` or later."""
        everything = f"{self._connection.subjects.prefix}.guard.>"
        first = await storage.first_since(self._connection, self._stream, everything, at)
        return await self.last() if first is None else first.sequence - 1

    async def last(self) -> int:
        """The stream's last sequence."""
        info = await storage.patiently(lambda: storage.api(self._connection, f"STREAM.INFO.{self._stream}", {}))
        if "error" in info:
            raise BusError(f"cannot look at {self._stream!r}: {info['error'].get('description')}")
        return int(info["state"]["last_seq"])


def heard(subject: str, payload: bytes, *, sequence: int = 0) -> KeptEvent | None:
    """A message on a guard subject; None if it is no guard event."""
    try:
        return KeptEvent(sequence, subject.split(".")[2], GuardEvent.model_validate_json(payload))
    except ValidationError:
        return None
