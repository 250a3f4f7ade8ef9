"""Shell: the feed of all journals that the dispatchers share, and the last entry of every journal. Headers only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import anyio

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.codec import EVENTS, FAMILY, PARENT
from callboard.bus.intake import Intake
from callboard.bus.ports import FeedEntry, Graveyard
from callboard.bus.pull import Held, Pulls
from callboard.bus.subjects import RunKey, Subjects, token
from callboard.bus.topology import feed_consumer
from callboard.errors import BusError, InvalidMessage

_BATCH: Final = 500
_ENOUGH: Final = 5.0
"""Seconds for the next batch of a scan."""
_FORGOTTEN_AFTER: Final = 600_000_000_000
"""Nanoseconds after which the server deletes the consumer of a scan whose process died, or reads very slowly."""


@dataclass(frozen=True, slots=True)
class JetStreamFeedEntry:
    """Implements ``FeedEntry``. ``at`` is when the server stored the entry."""

    held: Held
    key: RunKey

    @property
    def sequence(self) -> int:
        return self.held.delivery.sequence

    @property
    def at(self) -> datetime:
        return self.held.delivery.stored_at

    @property
    def events(self) -> tuple[str, ...] | None:
        types = self.held.message.headers.get(EVENTS, "")
        return tuple(kind.strip() for kind in types.split(",")) if types else None

    @property
    def family(self) -> str:
        return "none" if self.held.message.headers.get(FAMILY) == "none" else ""

    @property
    def parent(self) -> str:
        try:
            return token(self.held.message.headers.get(PARENT), "parent")
        except InvalidMessage:
            return ""  # a header that names no run names no parent

    async def acknowledge(self) -> None:
        await self.held.acknowledge()


class JetStreamFeed:
    """Implements ``Feed`` with the durable consumer ``dispatch``."""

    def __init__(self, pulls: Pulls, graveyard: Graveyard, *, ack_wait: float) -> None:
        subjects = pulls.connection.subjects
        self._intake = Intake[FeedEntry](
            pulls,
            subjects.stream("RUNS"),
            spec=feed_consumer(subjects, ack_wait=ack_wait),
            graveyard=graveyard,
            read=lambda held: _read(held, subjects),
        )

    async def pull(self, *, batch: int, wait: float) -> Sequence[FeedEntry]:
        return await self._intake.pull(batch=batch, wait=wait)


async def scan(pulls: Pulls, name: str, *, tenant: str | None) -> AsyncGenerator[JetStreamFeedEntry]:
    """The last entry of every journal (of one tenant), by a consumer ``name`` that is gone afterwards."""
    connection = pulls.connection
    stream = connection.subjects.stream("RUNS")
    which = "*" if tenant is None else token(tenant, "tenant")
    config: dict[str, Any] = {
        "name": name,
        "deliver_policy": "last_per_subject",
        "ack_policy": "none",
        "filter_subject": f"{connection.subjects.prefix}.run.{which}.*",
        "headers_only": True,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": _FORGOTTEN_AFTER,
    }
    body = {"stream_name": stream, "config": config}
    made = await storage.patiently(lambda: storage.api(connection, f"CONSUMER.CREATE.{stream}.{name}", body))
    if "error" in made:
        raise BusError(f"cannot scan {stream!r}: {made['error'].get('description')}")
    try:
        left = int(made["num_pending"])
        while left:
            taken = await pulls.consumer(stream, name, returns=False).pull(batch=_BATCH, wait=_ENOUGH)
            if not taken:
                raise BusError(f"the scan of {stream!r} stopped with {left} journals to go", retryable=True)
            left = taken[-1].delivery.pending
            for held in taken:
                entry = _entry_or_none(held, connection.subjects)
                if entry is not None:
                    yield entry
    finally:
        await _delete(connection, f"{stream}.{name}")
        pulls.forget(stream, name)


def _read(held: Held, subjects: Subjects) -> JetStreamFeedEntry:
    return JetStreamFeedEntry(held, subjects.parse_run(held.message.subject))


def _entry_or_none(held: Held, subjects: Subjects) -> JetStreamFeedEntry | None:
    try:
        return _read(held, subjects)
    except InvalidMessage:
        return None  # the feed buries it


async def _delete(connection: Connection, consumer: str) -> None:
    with anyio.move_on_after(storage.ATTEMPT, shield=True):
        try:
            await storage.api(connection, f"CONSUMER.DELETE.{consumer}", {})
        except BusError:
            return  # the server forgets it by itself
