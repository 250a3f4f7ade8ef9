"""Shell: CB_GUARDS, where everything lies that guards said."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.guard_messages import GuardEvent


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
        subject = f"{self._connection.subjects.prefix}.guard.{tenant}.{guard}.*"
        found: list[tuple[str, GuardEvent]] = []
        for message in await storage.direct_batch(self._connection, self._stream, subject, after=after):
            try:
                found.append((message.subject.split(".")[2], GuardEvent.model_validate_json(message.payload)))
            except ValidationError:
                continue
        return found
