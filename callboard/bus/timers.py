"""Shell: durable timers. The server keeps the schedule and publishes when it is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.intake import Intake
from callboard.bus.ports import DueTimer, Graveyard
from callboard.bus.pull import Held, Pulls
from callboard.bus.subjects import RunKey, Subjects
from callboard.bus.topology import due_consumer

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""The server counts nanoseconds in 64 bits: year 2300 would fire at once, and year 1600 never."""


class JetStreamTimers:
    """Implements ``Timers``: a later schedule on the same subject replaces the earlier one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def schedule(self, key: RunKey, timer: str, at: datetime) -> None:
        subjects = self._connection.subjects
        headers = {
            "Nats-Schedule": f"@at {min(max(at, _EARLIEST), _LATEST).astimezone(UTC).isoformat()}",
            "Nats-Schedule-Target": subjects.due(key, timer),
        }
        subject = subjects.timer(key, timer)
        ack = await storage.publish_until_stored(self._connection, subject, b"{}", headers=headers)
        if ack.err_code:
            raise ack.error(f"timer {timer!r} of run {str(key)!r}")


@dataclass(frozen=True, slots=True)
class JetStreamDueTimer:
    """Implements ``DueTimer``."""

    held: Held
    key: RunKey
    timer: str

    async def acknowledge(self) -> None:
        await self.held.acknowledge()


class JetStreamDueTimers:
    """Implements ``DueTimers`` with the durable consumer ``due``."""

    def __init__(self, pulls: Pulls, graveyard: Graveyard, *, ack_wait: float) -> None:
        subjects = pulls.connection.subjects
        self._intake = Intake[DueTimer](
            pulls,
            subjects.stream("TIMERS"),
            spec=due_consumer(subjects, ack_wait=ack_wait),
            graveyard=graveyard,
            read=lambda held: _read(held, subjects),
        )

    async def pull(self, *, batch: int, wait: float) -> Sequence[DueTimer]:
        return await self._intake.pull(batch=batch, wait=wait)


def _read(held: Held, subjects: Subjects) -> JetStreamDueTimer:
    key, timer = subjects.parse_due(held.message.subject)
    return JetStreamDueTimer(held, key, timer)
