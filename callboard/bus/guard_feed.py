"""Shell: what guards say, as work: each event is held until it is acknowledged, and goes to one of those who share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from callboard.bus.guard_messages import GuardEvent
from callboard.bus.intake import Intake
from callboard.bus.ports import Graveyard
from callboard.bus.pull import Held, Pulls
from callboard.bus.reconcile import ensure_consumer
from callboard.bus.subjects import token
from callboard.bus.topology import ConsumerSpec
from callboard.errors import InvalidMessage


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """A guard event that this process holds. ``sequence`` is its place in CB_GUARDS."""

    held: Held
    tenant: str
    event: GuardEvent

    @property
    def sequence(self) -> int:
        return self.held.delivery.sequence

    async def acknowledge(self) -> None:
        """Done with it."""
        await self.held.acknowledge()

    async def release(self) -> None:
        """Give it back: somebody else may have it now."""
        await self.held.release()

    async def progress(self) -> None:
        """Start its ``ack_wait`` again."""
        await self.held.progress()


class JetStreamGuardFeed:
    """The events of CB_GUARDS by the durable consumer ``spec``. What is no guard event is buried on the way."""

    def __init__(self, pulls: Pulls, graveyard: Graveyard, spec: ConsumerSpec) -> None:
        self._stream = pulls.connection.subjects.stream("GUARDS")
        self._connection = pulls.connection
        self._spec = spec
        self._intake = Intake[HeldEvent](pulls, self._stream, spec=spec, graveyard=graveyard, read=_read)

    async def open(self) -> None:
        """Make the consumer: what is stored from now on is kept for those who share it."""
        await ensure_consumer(self._connection, self._stream, self._spec)

    async def pull(self, *, batch: int, wait: float) -> Sequence[HeldEvent]:
        """Up to ``batch`` events; waits up to ``wait`` seconds for the first one."""
        return await self._intake.pull(batch=batch, wait=wait)


def _read(held: Held) -> HeldEvent:
    subject, body = held.message.subject, held.message.payload
    try:
        event = GuardEvent.model_validate_json(body)
        tenant, guard, action = subject.split(".")[2:]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidMessage("bad_shape", f"{where[:200]}: {first['msg'][:200]}") from error
    except ValueError as error:
        raise InvalidMessage("bad_subject", f"{subject[:200]!r} is not a guard subject") from error
    if (guard, action) != (event.guard, event.action):
        raise InvalidMessage("bad_subject", f"{subject[:200]!r} has a {event.action!r} of guard {event.guard!r}")
    return HeldEvent(held, token(tenant, "tenant"), event)
