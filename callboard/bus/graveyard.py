"""Shell: CB_DEAD, where messages lie that could not be run, each with its reason."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.messages import DeadLetter
from callboard.clock import Clock

_KEPT_BYTES: Final = 64 * 1024
_SUBJECT: Final = 1024


class JetStreamGraveyard:
    """Implements ``Graveyard``."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._stream = connection.subjects.stream("DEAD")

    async def bury(self, address: tuple[str, str], subject: str, reason: str, message: str, payload: bytes) -> None:
        letter = DeadLetter(
            reason=reason,
            message=_text(message),
            subject=_text(subject[:_SUBJECT]),
            payload=base64.b64encode(payload[:_KEPT_BYTES]).decode(),
            at=self._clock.now(),
        )
        where = self._connection.subjects.dead(*address)
        body = letter.model_dump_json().encode()
        ack = await storage.publish_until_stored(self._connection, where, body, headers={})
        if ack.err_code:
            raise ack.error(f"a dead letter on {where!r}")

    async def letters(self, limit: int = 100) -> Sequence[DeadLetter]:
        """The last ``limit`` letters, oldest first; ``sequence`` is theirs in CB_DEAD. Foreign bytes are left out."""
        info = await storage.patiently(lambda: storage.api(self._connection, f"STREAM.INFO.{self._stream}", {}))
        after = max(0, int(info["state"]["last_seq"]) - limit)
        everything = f"{self._connection.subjects.prefix}.dead.>"
        found = await storage.direct_batch(self._connection, self._stream, everything, after=after)
        letters: list[DeadLetter] = []
        for message in found:
            try:
                letter = DeadLetter.model_validate_json(message.payload)
            except ValidationError:
                continue
            letters.append(letter.model_copy(update={"sequence": message.sequence}))
        return letters


def _text(value: str) -> str:
    """Without lone surrogates, which JSON cannot carry."""
    return value.encode("utf-8", "replace").decode()
