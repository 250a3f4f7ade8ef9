"""Shell: every adapter of the bus over one connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast

from callboard.bus.blobs import JetStreamBlobs
from callboard.bus.client import Connection, connect
from callboard.bus.feed import JetStreamFeed, JetStreamFeedEntry, scan
from callboard.bus.graveyard import JetStreamGraveyard
from callboard.bus.guard_log import JetStreamGuardLog
from callboard.bus.hints import NatsHints
from callboard.bus.journal import JetStreamJournals
from callboard.bus.ledger import JetStreamLedger
from callboard.bus.pull import Pulls, open_pulls
from callboard.bus.queue import JetStreamTasks
from callboard.bus.reconcile import Json, reconcile, stream_info
from callboard.bus.state import JetStreamStates
from callboard.bus.subjects import Subjects
from callboard.bus.timers import JetStreamDueTimers, JetStreamTimers
from callboard.bus.tokens import NatsTokens
from callboard.bus.topology import ACK_WAIT_ALONE, ACK_WAIT_CLUSTER, topology
from callboard.bus.watch import JetStreamWatch
from callboard.clock import Clock, SystemClock
from callboard.errors import BusRefused

_DEFAULT_SUBJECTS: Final = Subjects()
_SYSTEM_CLOCK: Final = SystemClock()
_IN_CLUSTER: Final = 3


@dataclass(frozen=True, slots=True)
class Bus:
    """The adapters of ``ports``. ``ack_wait``: seconds after which the work of a silent process goes to another."""

    connection: Connection
    journals: JetStreamJournals
    tasks: JetStreamTasks
    hints: NatsHints
    timers: JetStreamTimers
    due: JetStreamDueTimers
    feed: JetStreamFeed
    blobs: JetStreamBlobs
    graveyard: JetStreamGraveyard
    watch: JetStreamWatch
    guard_log: JetStreamGuardLog
    ledger: JetStreamLedger
    states: JetStreamStates
    tokens: NatsTokens
    ack_wait: float
    pulls: Pulls
    clock: Clock

    def scan(self, tenant: str | None = None) -> AsyncGenerator[JetStreamFeedEntry]:
        """The last entry of every journal (of one tenant), headers only: ``key``, ``sequence``, ``events``, ``at``."""
        return scan(self.pulls, f"scan_{self.clock.new_id()}", tenant=tenant)


@asynccontextmanager
async def open_bus(
    url: str | Sequence[str],
    *,
    subjects: Subjects = _DEFAULT_SUBJECTS,
    name: str,
    clock: Clock = _SYSTEM_CLOCK,
    replicas: int | None = None,
) -> AsyncGenerator[Bus]:
    """Connect, bring the streams into being, and hand out the adapters. ``replicas`` None: as it is, else 3 or 1.

    Raises ``BusUnreachable`` and ``BusRefused`` like ``connect`` and ``reconcile``.
    """
    async with connect(url, subjects=subjects, name=name) as connection:
        replicas = await _reconciled(connection, replicas)
        async with open_pulls(connection) as pulls:
            yield _bus(connection, pulls, clock, in_cluster=replicas > 1)


def _bus(connection: Connection, pulls: Pulls, clock: Clock, *, in_cluster: bool) -> Bus:
    ack_wait = ACK_WAIT_CLUSTER if in_cluster else ACK_WAIT_ALONE
    journals = JetStreamJournals(connection)
    graveyard = JetStreamGraveyard(connection, clock)
    return Bus(
        connection=connection,
        journals=journals,
        tasks=JetStreamTasks(connection, pulls, graveyard, ack_wait=ack_wait),
        hints=NatsHints(connection),
        timers=JetStreamTimers(connection),
        due=JetStreamDueTimers(pulls, graveyard, ack_wait=ack_wait),
        feed=JetStreamFeed(pulls, graveyard, ack_wait=ack_wait),
        blobs=JetStreamBlobs(connection),
        graveyard=graveyard,
        watch=JetStreamWatch(connection, journals),
        guard_log=JetStreamGuardLog(connection),
        ledger=JetStreamLedger(connection),
        states=JetStreamStates(connection, clock),
        tokens=NatsTokens(connection),
        ack_wait=ack_wait,
        pulls=pulls,
        clock=clock,
    )


async def _reconciled(connection: Connection, replicas: int | None) -> int:
    """Make the streams; returns how many replicas they have. Only the server knows whether it is in a cluster."""
    subjects = connection.subjects
    wanted = replicas or await _present(connection)
    if wanted is None:
        try:
            await reconcile(connection, topology(subjects, replicas=_IN_CLUSTER))
        except BusRefused as error:
            if "non-clustered" not in str(error):
                raise
            wanted = 1
        else:
            return _IN_CLUSTER
    await reconcile(connection, topology(subjects, replicas=wanted))
    return wanted


async def _present(connection: Connection) -> int | None:
    info = await stream_info(connection, connection.subjects.stream("RUNS"))
    if info is None:
        return None
    return cast("int", cast("Json", info["config"])["num_replicas"])
