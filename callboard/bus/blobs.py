"""Shell: the object store. A JSON value under the hash of its canonical form, in chunks of one message each."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from pydantic import JsonValue

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.codec import canonical
from callboard.bus.messages import Blob
from callboard.errors import BusError, InvalidMessage

_CHUNK: Final = 512 * 1024
_LARGEST: Final = 64 * 1024 * 1024


class JetStreamBlobs:
    """Implements ``Blobs`` on CB_BLOBS. Storing the same value again changes nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stream = connection.subjects.stream("BLOBS")

    async def put(self, value: JsonValue) -> Blob:
        data = canonical(value)
        if len(data) > _LARGEST:
            raise InvalidMessage("too_large", f"{len(data)} bytes of JSON, at most {_LARGEST} are stored: write a file")
        blob = Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        for number in range(_chunks(blob)):
            subject = self._subject(blob, number)
            chunk = data[number * _CHUNK : (number + 1) * _CHUNK]
            ack = await storage.publish_until_stored(self._connection, subject, chunk, headers={})
            if ack.err_code:
                raise ack.error(f"chunk {number} of blob {blob.sha256!r}")
        return blob

    async def get(self, blob: Blob) -> JsonValue:
        if not 0 < blob.size <= _LARGEST:
            raise BusError(f"blob {blob.sha256!r} claims {blob.size} bytes: at most {_LARGEST} are stored")
        data = b"".join([await self._chunk(blob, number) for number in range(_chunks(blob))])
        if hashlib.sha256(data).hexdigest() != blob.sha256:
            raise BusError(
                f"blob {blob.sha256!r} has other content than its hash says: it was overwritten from outside"
            )
        value: JsonValue = json.loads(data)
        return value

    async def _chunk(self, blob: Blob, number: int) -> bytes:
        subject = self._subject(blob, number)
        found = await storage.last_of(self._connection, self._stream, subject)
        if found is None:
            raise BusError(f"blob {blob.sha256!r} is not there (chunk {number}): it was purged, or never stored")
        return found.payload

    def _subject(self, blob: Blob, number: int) -> str:
        return f"{self._connection.subjects.prefix}.blob.{blob.sha256}.{number}"


def _chunks(blob: Blob) -> int:
    return -(-blob.size // _CHUNK)
