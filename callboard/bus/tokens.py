"""Shell: telling what models say, over core NATS: nobody waits for it, and nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from callboard.bus.client import Connection
from callboard.bus.deltas import ModelDelta
from callboard.bus.subjects import RunKey
from callboard.errors import CallboardError

_EVERY: Final = 0.05
"""Seconds for which pieces are gathered. An answer that is complete by then is in the journal as soon."""
_LONGEST: Final = 8_192
"""Characters of a message, so that it fits whatever the server's ``max_payload`` is."""


class NatsTokens:
    """Implements ``Tokens``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def telling(self, key: RunKey, call: str, attempt: int) -> _Telling:
        return _Telling(self._connection, self._connection.subjects.tokens(key), call, attempt)


class _Telling:
    """The text of one attempt, as far as it goes, and how far it was told."""

    __slots__ = ("_attempt", "_call", "_connection", "_said", "_subject", "_timer", "_told", "_whole")

    def __init__(self, connection: Connection, subject: str, call: str, attempt: int) -> None:
        self._connection, self._subject = connection, subject
        self._call, self._attempt = call, attempt
        self._said: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._told = 0
        self._whole = 0

    def __enter__(self) -> Callable[[str], None]:
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self, text: str) -> None:
        self._said.append(text)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._publish)

    def _publish(self) -> None:
        self._timer = None
        text = "".join(self._said)
        self._said = [text]
        if len(text) >= 2 * self._whole:  # all of it again, for who came late or lost a piece: twice the bytes at most
            self._told, self._whole = 0, len(text)
        for n in range(self._told, len(text), _LONGEST):
            if not self._offer(n, text[n : n + _LONGEST]):
                return  # it goes with the next pieces
            self._told = min(n + _LONGEST, len(text))

    def _offer(self, n: int, text: str) -> bool:
        try:
            piece = ModelDelta(call=self._call, attempt=self._attempt, n=n, text=text)
            return self._connection.offer(self._subject, piece.model_dump_json().encode())
        except (CallboardError, ValueError):  # too large for this server, or no Unicode
            return False
