"""Shell: the journals. The only place that sets an expected sequence; a header in the wrong case would switch it off.

Ambiguity is settled by reading: what follows ``expect`` in the journal is either this very record, or what won.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.codec import EVENTS, FAMILY, PARENT, decode_record, encode, event_types
from callboard.bus.messages import Record
from callboard.bus.ports import Stored
from callboard.bus.storage import Ack, Patience, StreamMessage
from callboard.bus.subjects import RunKey
from callboard.errors import BusError, BusUnreachable, InvalidMessage, StaleAppend

_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_MSG_ID: Final = "Nats-Msg-Id"
_STALE_ATTEMPTS: Final = 10
"""About a second: a write in flight, or a new leader, may answer "stale" before a read shows why."""
_SILENCE: Final = Ack(description="no answer", retryable=True)


class JetStreamJournals:
    """Implements ``Journals`` on CB_RUNS."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._subjects = connection.subjects
        self._stream = connection.subjects.stream("RUNS")

    async def append(self, key: RunKey, record: Record, *, expect: int, family: str = "", parent: str = "") -> int:
        subject = self._subjects.run(key)
        payload = encode(record)
        headers = _headers(key, record, family=family, parent=parent)
        headers[_EXPECTED] = str(expect)
        patience, stale = Patience(), 0
        while True:
            ack = await self._attempt(subject, payload, headers)
            if ack.sequence and not ack.duplicate:
                return ack.sequence
            if ack.err_code == storage.FULL:
                raise _full(key, ack)
            final = not (ack.retryable or ack.duplicate or ack.err_code == storage.STALE)
            if final:
                raise ack.error(f"an entry of run {str(key)!r}")
            if ack.err_code != storage.IN_FLIGHT:
                found = await storage.next_of(self._connection, self._stream, subject, after=expect)
                if found is not None:
                    return _own(found, record, key, expect)
            if ack.duplicate:  # remembered and not there: without a Msg-Id the expectation alone decides
                headers.pop(_MSG_ID, None)
            stale += ack.err_code == storage.STALE
            if stale == _STALE_ATTEMPTS:
                raise StaleAppend(
                    f"run {str(key)!r} ends before {expect} ({ack.description}): read it, then decide again"
                )
            await patience.pause(BusUnreachable(f"run {str(key)!r}: {ack.description}", retryable=True))

    async def signal(self, key: RunKey, record: Record, *, parent: str = "") -> int:
        subject = self._subjects.run(key)
        payload = encode(record)
        headers = _headers(key, record, family="", parent=parent)
        ack = await storage.publish_until_stored(self._connection, subject, payload, headers=headers)
        if ack.duplicate and not await self._is_at(ack.sequence, subject, record.id):
            # three replicas remember a Msg-Id before its message is committed: without one it is surely stored
            del headers[_MSG_ID]
            ack = await storage.publish_until_stored(self._connection, subject, payload, headers=headers)
        if ack.err_code == storage.FULL:
            raise _full(key, ack)
        if ack.err_code:
            raise ack.error(f"a signal for run {str(key)!r}")
        return ack.sequence

    async def read(self, key: RunKey, *, after: int = 0) -> Sequence[Stored]:
        found = await storage.behind(self._connection, self._stream, self._subjects.run(key), after=after)
        return tuple(opened(message) for message in found)

    async def _attempt(self, subject: str, payload: bytes, headers: dict[str, str]) -> Ack:
        try:
            return await storage.publish(self._connection, subject, payload, headers=headers)
        except BusUnreachable as error:
            if not error.retryable:
                raise
            return _SILENCE

    async def _is_at(self, sequence: int, subject: str, record_id: str) -> bool:
        found = await storage.by_sequence(self._connection, self._stream, sequence)
        return found is not None and found.subject == subject and _record_id(found) == record_id


def opened(message: StreamMessage) -> Stored:
    """A journal entry: the record, or the problem as ``<reason>: <message>`` if it does not validate."""
    try:
        record = decode_record(message.payload, sequence=message.sequence)
    except InvalidMessage as error:
        return Stored(message.sequence, None, f"{error.reason}: {error}", message.at)
    return Stored(message.sequence, record, at=message.at)


def _own(found: StreamMessage, record: Record, key: RunKey, expect: int) -> int:
    if _record_id(found) == record.id:
        return found.sequence
    raise StaleAppend(f"run {str(key)!r} has moved from {expect} to {found.sequence}: read it, then decide again")


def _record_id(message: StreamMessage) -> str:
    try:
        return decode_record(message.payload, sequence=message.sequence).id
    except InvalidMessage:
        return ""


def _headers(key: RunKey, record: Record, *, family: str, parent: str) -> dict[str, str]:
    # the server compares Msg-Ids over the whole stream, and one signal may go to several runs
    headers = {_MSG_ID: f"{key.tenant}.{key.run}.{record.id}", EVENTS: event_types(record)}
    if family:
        headers[FAMILY] = family
    if parent:
        headers[PARENT] = parent
    return headers


def _full(key: RunKey, ack: Ack) -> BusError:
    return BusError(f"journal full: run {str(key)!r} takes no more entries ({ack.description})")
