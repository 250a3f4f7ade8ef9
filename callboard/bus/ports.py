"""Pure: what actors need from the bus, as Protocols. The adapters are in this package, the simulation has its own.

Every method that goes to the server raises ``BusUnreachable`` when it has no answer within the adapter's deadline;
a retryable failure is retried inside, and an ambiguous one (no answer, perhaps stored) is reconciled by reading.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from pydantic import JsonValue

from callboard.bus.messages import Blob, Record, Resume, Task
from callboard.bus.subjects import Lane, RunKey, TaskAddress


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry of a journal: its stream sequence, and the record, or None with the reason if it does not validate."""

    sequence: int
    record: Record | None
    problem: str = ""
    at: datetime | None = None
    """When the server stored it."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An entry that was stored just now, and the sequence of the one before it in its journal; 0: it is the first."""

    entry: Stored
    before: int


class Journals(Protocol):
    """The journals of all runs."""

    async def append(self, key: RunKey, record: Record, *, expect: int, family: str = "", parent: str = "") -> int:
        """Compare-and-set: store ``record`` if the journal's last sequence is ``expect`` (0: empty).

        Returns its sequence. Raises ``StaleAppend`` if the journal has moved on and ``record.id`` is not what moved
        it. ``family`` (``none`` if the run has neither a parent nor an unfinished child) and ``parent`` go into the
        headers.
        """
        ...

    async def signal(self, key: RunKey, record: Record, *, parent: str = "") -> int:
        """Append unconditionally, retried until it is acknowledged. Returns its sequence."""
        ...

    async def read(self, key: RunKey, *, after: int = 0) -> Sequence[Stored]:
        """The entries behind sequence ``after``, complete as of the call: the tail is checked through the leader."""
        ...


class HeldTask(Protocol):
    """A task message, held until it is acknowledged or its ``ack_wait`` passes; ``followed``: more waited behind it."""

    @property
    def sequence(self) -> int:
        """Its sequence in the task stream: the identity that claims rest on."""
        ...

    @property
    def followed(self) -> bool: ...

    @property
    def address(self) -> TaskAddress: ...

    @property
    def key(self) -> RunKey:
        """The run that it is for: named by the subject or the body, else derived (idempotency key, sequence)."""
        ...

    @property
    def body(self) -> Task | Resume:
        """Its validated body. A message that does not validate never becomes a ``HeldTask``."""
        ...

    async def acknowledge(self) -> None:
        """Remove it from the queue."""
        ...

    async def release(self, delay: float = 0.0) -> None:
        """Give it back: it is delivered again after ``delay`` seconds."""
        ...

    async def progress(self) -> None:
        """Heartbeat: start its ``ack_wait`` again."""
        ...


class Tasks(Protocol):
    """The task queue."""

    async def publish(self, address: TaskAddress, body: Task | Resume, *, dedup: str = "") -> int:
        """Store a task. Returns its sequence. Raises ``QueueFull``. ``dedup`` is a Msg-Id: economy, nothing more."""
        ...

    async def exists(self, sequence: int) -> bool:
        """Is the task message of this sequence still in the queue?"""
        ...

    async def pull(self, agent: str, at: Lane, *, batch: int, wait: float) -> Sequence[HeldTask]:
        """Up to ``batch`` tasks of an agent's lane; waits up to ``wait`` seconds for the first one (0: do not wait).

        Messages that do not validate are moved to CB_DEAD on the way and are not returned.
        """
        ...


class Hints(Protocol):
    """Core NATS: fast and lossy. The journal is the truth."""

    def listen(
        self, key: RunKey, hear: Callable[[Copy | None], None], *, owner: Callable[[], str]
    ) -> AbstractAsyncContextManager[None]:
        """Call ``hear`` (it must not block) for every entry of ``key`` that is stored and is not by ``owner()``.

        None: something may have been missed.
        """
        ...


class Timers(Protocol):
    """Durable timers."""

    async def schedule(self, key: RunKey, timer: str, at: datetime) -> None:
        """Store a schedule; setting the same timer again replaces it. An instant in the past fires at once."""
        ...


class Blobs(Protocol):
    """The object store: JSON values by the hash of their canonical form."""

    async def put(self, value: JsonValue) -> Blob:
        """Store ``value`` and return its reference."""
        ...

    async def get(self, blob: Blob) -> JsonValue:
        """The value of a reference. Raises ``BusError`` if it is not there."""
        ...


class Graveyard(Protocol):
    """CB_DEAD."""

    async def bury(self, address: tuple[str, str], subject: str, reason: str, message: str, payload: bytes) -> None:
        """Keep a message that could not be run. ``address`` is (tenant, agent); what is not a token becomes ``-``."""
        ...


class FeedEntry(Protocol):
    """One journal entry as the dispatcher's consumer sees it: headers only, unacknowledged."""

    @property
    def key(self) -> RunKey: ...

    @property
    def sequence(self) -> int: ...

    @property
    def events(self) -> tuple[str, ...] | None:
        """The event types from the header; None if the publisher set none (then the journal must be read)."""
        ...

    @property
    def family(self) -> str:
        """``none`` if the writer knew that there is neither a parent nor an unfinished child, else ``""``."""
        ...

    @property
    def parent(self) -> str:
        """The parent's run id from the header, ``""`` if there is none."""
        ...

    async def acknowledge(self) -> None:
        """Done with it."""
        ...


class Feed(Protocol):
    """The durable consumer over all journals that the dispatchers share."""

    async def pull(self, *, batch: int, wait: float) -> Sequence[FeedEntry]:
        """Up to ``batch`` entries; waits up to ``wait`` seconds for the first one."""
        ...


class DueTimer(Protocol):
    """A timer that is due, unacknowledged."""

    @property
    def key(self) -> RunKey: ...

    @property
    def timer(self) -> str: ...

    async def acknowledge(self) -> None:
        """Done with it."""
        ...


class DueTimers(Protocol):
    """The durable consumer over due timers that the dispatchers share."""

    async def pull(self, *, batch: int, wait: float) -> Sequence[DueTimer]:
        """Up to ``batch`` timers; waits up to ``wait`` seconds for the first one."""
        ...


class Watch(Protocol):
    """Follow one journal live: what is there, then what comes, in order, without gaps or repeats."""

    def follow(self, key: RunKey, *, after: int = 0) -> AbstractAsyncContextManager[AsyncIterator[Stored]]:
        """Entries behind ``after``; ends only when the context is left."""
        ...


@dataclass(frozen=True, slots=True)
class StateValue:
    """A value of the bucket that guards share. ``revision`` is its stream sequence."""

    revision: int
    value: bytes
    at: datetime


class States(Protocol):
    """The bucket that guards share: circuit breakers, caps that were set at run time, how far guards have judged."""

    async def get(self, *key: str) -> StateValue | None:
        """The last value of ``key`` as the leader has it."""
        ...

    async def put(self, *key: str, value: bytes, expect: int | None = None, ttl: float | None = None) -> int:
        """Store; returns the revision. ``expect`` is the revision to replace (0: none yet), else ``StaleAppend``.

        After ``ttl`` seconds (at least 1) it is as if the key had never been, unless it was put again by then.
        """
        ...

    async def all(self, *head: str) -> Mapping[tuple[str, ...], StateValue]:
        """Every key that begins with ``head``, with its last value."""
        ...

    def watch(
        self, *head: str, deliver: Callable[[tuple[str, ...], StateValue], None]
    ) -> AbstractAsyncContextManager[None]:
        """Call ``deliver`` with every key that begins with ``head``: what there is, then each change, soon.

        Missed changes are healed (on a reconnect, and every few seconds).
        """
        ...


class Balance(NamedTuple):
    """What an account has: ``spent`` for good, ``held`` for what is under way. Money in micro-dollars."""

    spent: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Posting:
    """A message of an account: its balance with that posting, and the ``note`` of who posted."""

    balance: Balance
    note: str


class Ledger(Protocol):
    """The accounts of shared budgets: atomic counters. ``tenant`` is ``_`` for those of all tenants."""

    async def post(self, tenant: str, account: str, add: Balance, *, once: str, note: str) -> Posting | None:
        """Add to an account. ``once`` that was used within the last hour adds nothing.

        Then the posting that was first is the answer; None: it is not kept any more.
        """
        ...

    async def read(self, tenant: str, account: str) -> Balance:
        """What an account has, as the leader knows it."""
        ...

    async def accounts(self) -> Mapping[tuple[str, str], Balance]:
        """Every account there is, by tenant and name."""
        ...
