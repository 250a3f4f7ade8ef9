"""Shell: pulling from durable consumers. A message that was delivered is handed out or given back, never forgotten.

Each pull is one shot: the server ends it with the first delivery, or after at most five seconds. What arrives when
nobody waits any more (the caller was cancelled) goes to the next pull of that consumer, or back to the queue.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio

from callboard.bus.client import Connection, Reply
from callboard.errors import BusError, BusUnreachable, InvalidMessage

_LONGEST: Final = 5.0
_GRACE: Final = 0.5
"""Seconds after which a pull that should have ended is given up: its status was lost."""
_PARKED: Final = 0.1
"""Seconds that a message without a taker is kept for the next pull."""
_NANO: Final = 1_000_000_000
_V1: Final = 9
_V2: Final = 11
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ConsumerGone(BusError):
    """The consumer does not exist (any more), or nobody serves it right now."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a ``$JS.ACK.…`` reply subject says about the message it came with."""

    stream: str
    consumer: str
    delivered: int
    sequence: int
    stored_at: datetime
    pending: int


def parse_ack(reply: str) -> Delivery:
    """Both forms: with and without domain and account. Raises ``InvalidMessage`` for any other subject.

    An acknowledgement goes only to a subject that has passed here: whoever can publish can also name a reply.
    """
    parts = reply.split(".")
    if len(parts) >= _V2:
        parts[2:4] = []
    if len(parts) < _V1 or parts[:2] != ["$JS", "ACK"]:
        raise InvalidMessage("bad_reply", f"{reply[:200]!r} is not the reply subject of a delivery")
    try:
        delivered, sequence, _, nanoseconds, pending = (int(part) for part in parts[4:9])
        at = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except (ValueError, OverflowError) as error:
        raise InvalidMessage("bad_reply", f"{reply[:200]!r} is not the reply subject of a delivery") from error
    return Delivery(parts[2], parts[3], delivered, sequence, at, pending)


@dataclass(frozen=True, slots=True)
class Held:
    """A delivered message that is not yet acknowledged."""

    connection: Connection
    message: Reply
    delivery: Delivery

    async def acknowledge(self) -> None:
        """Done with it. A lost acknowledgement means one more delivery."""
        await self.connection.publish(self.message.reply, b"+ACK")

    async def release(self, delay: float = 0.0) -> None:
        """Give it back: delivered again after ``delay`` seconds."""
        body = b"-NAK" if delay <= 0 else b"-NAK " + json.dumps({"delay": round(delay * _NANO)}).encode()
        await self.connection.publish(self.message.reply, body)

    async def progress(self) -> None:
        """Start its ``ack_wait`` again."""
        await self.connection.publish(self.message.reply, b"+WPI")


class Puller:
    """The pulls on one consumer. Several callers may wait at the same time; each message goes to one of them."""

    def __init__(self, pulls: Pulls, stream: str, consumer: str, inbox: str, *, returns: bool) -> None:
        self._pulls = pulls
        self._returns = returns
        self._connection = pulls.connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self.inbox = inbox
        self._ready: deque[Held] = deque()
        self._changed = anyio.Event()
        self._open: set[str] = set()
        self._gone = ""
        self._number = 0
        self._waiting = 0

    async def pull(self, *, batch: int, wait: float) -> Sequence[Held]:
        """Up to ``batch`` messages; waits up to ``wait`` seconds for the first. Raises ``ConsumerGone``."""
        until = anyio.current_time() + wait
        self._waiting += 1
        try:
            while not self._ready:
                left = until - anyio.current_time()
                await self._one_shot(batch, max(0.0, min(left, _LONGEST)))
                if self._gone and not self._ready:
                    raise ConsumerGone(f"{self._subject}: {self._gone}", retryable=True)
                if until - anyio.current_time() <= 0:
                    break
            return [self._ready.popleft() for _ in range(min(batch, len(self._ready)))]
        finally:
            self._waiting -= 1
            self._park()

    def give_back(self, held: Sequence[Held]) -> None:
        """Hand messages that were taken to the next pull."""
        self._ready.extendleft(reversed(held))
        self._park()

    def take_parked(self) -> Sequence[Held]:
        """What lies here although nobody waits for it."""
        if self._waiting:
            return ()
        parked = tuple(self._ready)
        self._ready.clear()
        return parked

    def arrived(self, held: Held) -> None:
        """A message came."""
        self._ready.append(held)
        self._wake()
        self._park()

    def ended(self, inbox: str, status: str, description: str) -> None:
        """The server ended a pull: nothing more comes of it."""
        self._open.discard(inbox)
        if status == "503" or "deleted" in description.lower():
            self._gone = description or "no such consumer"
        self._wake()

    def reset(self) -> None:
        """The connection was lost: no open pull will ever end."""
        self._open.clear()
        self._wake()

    async def _one_shot(self, batch: int, wait: float) -> None:
        """One pull: returns when something is ready or the server has ended it."""
        self._gone = ""
        self._number += 1
        inbox = f"{self.inbox}.{self._number}"
        body: dict[str, object] = {"batch": batch, "no_wait": True}
        if wait > 0:
            body["expires"] = round(wait * _NANO)
        self._open.add(inbox)
        with anyio.move_on_after(wait + _GRACE) as scope:
            try:
                await self._connection.publish(self._subject, json.dumps(body).encode(), reply=inbox)
                while inbox in self._open and not self._ready:
                    self._changed = self._changed if not self._changed.is_set() else anyio.Event()
                    await self._changed.wait()
            finally:
                self._open.discard(inbox)
        if scope.cancelled_caught and not self._connection.is_connected:
            raise BusUnreachable(f"{self._subject}: the bus is away", retryable=True)

    def _park(self) -> None:
        if self._returns and self._ready and not self._waiting:
            self._pulls.park(self)

    def _wake(self) -> None:
        self._changed.set()


class Pulls:
    """All pullers of a connection, behind one subscription. Made by ``open_pulls``."""

    def __init__(self, connection: Connection, inbox: str) -> None:
        self.connection = connection
        self._inbox = inbox
        self._by_consumer: dict[tuple[str, str], Puller] = {}
        self._by_inbox: dict[str, Puller] = {}
        self._made = 0
        self._parked: set[Puller] = set()
        self._has_parked = anyio.Event()

    def consumer(self, stream: str, name: str, *, returns: bool = True) -> Puller:
        """The puller of a consumer; always the same one.

        ``returns``: what nobody waits for is given back to the server. Without acknowledgements it would be lost then.
        """
        found = self._by_consumer.get((stream, name))
        if found is None:
            self._made += 1
            inbox = f"{self._inbox}.{self._made}"
            found = self._by_consumer[stream, name] = self._by_inbox[inbox] = Puller(
                self, stream, name, inbox, returns=returns
            )
        return found

    def forget(self, stream: str, name: str) -> None:
        """The consumer is gone for good."""
        gone = self._by_consumer.pop((stream, name), None)
        if gone is not None:
            self._parked.discard(gone)
            del self._by_inbox[gone.inbox]

    def deliver(self, message: Reply) -> None:
        """Route a message by its reply subject (its own subject is the stored one), a status by its inbox."""
        status = message.headers.get("Status")
        if status is not None and message.subject.startswith(self._inbox):
            puller = self._by_inbox.get(message.subject.rpartition(".")[0])
            if puller is not None and status != "100":
                puller.ended(message.subject, status, message.headers.get("Description", ""))
            return
        delivery = parse_ack(message.reply)
        puller = self._by_consumer.get((delivery.stream, delivery.consumer))
        if puller is not None:
            puller.arrived(Held(self.connection, message, delivery))

    def reconnected(self) -> None:
        """Give up every open pull."""
        for puller in self._by_consumer.values():
            puller.reset()

    def park(self, puller: Puller) -> None:
        """Somebody should look whether the messages of ``puller`` are still without a taker in a while."""
        self._parked.add(puller)
        self._has_parked.set()

    async def return_parked(self) -> None:
        """Give messages without a taker back to the server, for ever."""
        while True:
            await self._has_parked.wait()
            await anyio.sleep(_PARKED)
            self._has_parked = anyio.Event()
            await self.release_parked()

    async def release_parked(self) -> None:
        """Give messages without a taker back to the server, now."""
        parked, self._parked = self._parked, set()
        for puller in parked:
            for held in puller.take_parked():
                try:
                    await held.release()
                except BusUnreachable:
                    continue  # the server knows that we are gone, and delivers it again after its ack_wait


@asynccontextmanager
async def open_pulls(connection: Connection) -> AsyncGenerator[Pulls]:
    """The pullers of a connection; at the end what nobody took is given back."""
    inbox = connection.new_inbox()
    pulls = Pulls(connection, inbox)
    try:
        async with connection.subscribe(f"{inbox}.>", pulls.deliver), anyio.create_task_group() as group:
            with connection.on_reconnect(pulls.reconnected):
                group.start_soon(pulls.return_parked)
                try:
                    yield pulls
                finally:
                    group.cancel_scope.cancel()
                    with anyio.CancelScope(shield=True):
                        await pulls.release_parked()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:  # what the caller's block raised: that we have a task group is our business
            raise errors.exceptions[0] from None
        raise
