"""Shell: CB_LEDGER, the accounts of shared budgets. A subject is a counter that adds up ``Nats-Incr`` atomically.

A balance has two figures and a counter is one integer of any size: it counts ``held`` times 10^18 plus ``spent``, so
that a call that ends moves what it held to what it spent in one step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import anyio

from callboard.bus import storage
from callboard.bus.client import Connection
from callboard.bus.ports import Balance, Posting
from callboard.bus.storage import StreamMessage

_HELD: Final = 10**18
_INCREMENT: Final = "Nats-Incr"
_MSG_ID: Final = "Nats-Msg-Id"
_NOTE: Final = "Callboard-Note"
_LOOKS: Final = 50
"""In a second at least: replicas remember a Msg-Id before its message is there."""
_LOOK_AGAIN: Final = 0.02


class JetStreamLedger:
    """Implements ``Ledger``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stream = connection.subjects.stream("LEDGER")

    async def post(self, tenant: str, account: str, add: Balance, *, once: str, note: str) -> Posting | None:
        subject = self._connection.subjects.ledger(tenant, account)
        headers = {_INCREMENT: f"{add.held * _HELD + add.spent:+d}", _MSG_ID: f"{tenant}.{account}.{once}", _NOTE: note}
        ack = await storage.publish_until_stored(self._connection, subject, b"", headers=headers)
        if ack.err_code:
            raise ack.error(f"a posting to {subject!r}")
        return await self._first(ack.sequence, subject) if ack.duplicate else Posting(_balance(int(ack.value)), note)

    async def read(self, tenant: str, account: str) -> Balance:
        subject = self._connection.subjects.ledger(tenant, account)
        found = await storage.last_of(self._connection, self._stream, subject)
        return Balance() if found is None else _balance(_total(found))

    async def accounts(self) -> Mapping[tuple[str, str], Balance]:
        everything = f"{self._connection.subjects.prefix}.ledger.>"
        names = await storage.subjects_of(self._connection, self._stream, everything)
        found: dict[tuple[str, str], Balance] = {}
        for name in names:
            _, _, tenant, account = name.split(".")
            found[tenant, account] = await self.read(tenant, account)
        return found

    async def _first(self, sequence: int, subject: str) -> Posting | None:
        """What was posted before under the same Msg-Id; None if it is not kept any more."""
        for _ in range(_LOOKS):  # an answer that takes long says nothing
            found = await storage.by_sequence(self._connection, self._stream, sequence)
            if found is not None and found.subject == subject:
                return Posting(_balance(_total(found)), found.headers.get(_NOTE, ""))
            await anyio.sleep(_LOOK_AGAIN)
        return None


def _total(message: StreamMessage) -> int:
    return int(json.loads(message.payload)["val"])


def _balance(total: int) -> Balance:
    held, spent = divmod(total, _HELD)
    return Balance(spent, held)
