"""Pure: which runs belong together, and which replica of a guard judges them.

Runs are shared out by partition, partitions by rendezvous hashing over the replicas that were heard of late: nobody has
to agree with anybody. Two replicas that both judge a partition for a while do no harm, everything they do has an id.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from callboard.bus.guard_messages import Pulse
from callboard.bus.subjects import RunKey

PARTITIONS: Final = 8
HEARD_WITHIN: Final = 1.5
"""Seconds after which a replica that does not pulse counts as gone."""
HANDED_OVER_WITHIN: Final = 5.0
"""Seconds that a replica goes on judging what another one should have taken over."""


def partition_of(key: RunKey, partitions: int = PARTITIONS) -> int:
    """The partition of a run: CRC-32 of ``<tenant>.<run>``, as any language has it."""
    return partition_of_name(f"{key.tenant}.{key.run}", partitions)


def partition_of_name(name: str, partitions: int = PARTITIONS) -> int:
    """The same of ``<tenant>.<run>``, the end of the subjects of a run."""
    return zlib.crc32(name.encode()) % partitions


def share(me: str, others: Iterable[str], partitions: int = PARTITIONS) -> frozenset[int]:
    """The partitions of ``me`` when these are all replicas: of each partition one replica has the highest number."""
    return frozenset(
        partition
        for partition in range(partitions)
        if all(_rank(me, partition) >= _rank(other, partition) for other in others)
    )


def _rank(replica: str, partition: int) -> tuple[bytes, str]:
    return hashlib.blake2b(f"{partition}/{replica}".encode(), digest_size=8).digest(), replica


@dataclass(slots=True)
class Replicas:
    """The replicas of one guard, as one of them hears them. ``now`` is always monotonic."""

    me: str
    _heard: dict[str, float] = field(default_factory=dict[str, float])
    _judging: dict[int, tuple[str, float]] = field(default_factory=dict[int, tuple[str, float]])
    _wanted: dict[int, float] = field(default_factory=dict[int, float])
    """Partitions that others should take over from us, and since when."""

    def heard(self, pulse: Pulse, now: float) -> bool:
        """Note a pulse; True if its replica was unknown."""
        if pulse.replica == self.me or pulse.partitions != PARTITIONS:
            return False
        new = now - self._heard.get(pulse.replica, -HEARD_WITHIN) >= HEARD_WITHIN
        self._heard[pulse.replica] = now
        if pulse.watermark:
            self._judging[pulse.partition] = (pulse.replica, now)
        return new

    def mine(self, held: frozenset[int], now: float) -> frozenset[int]:
        """The partitions to judge, for one that judges ``held``: ours, and those that nobody has taken over yet."""
        self._heard = {replica: at for replica, at in self._heard.items() if now - at < HEARD_WITHIN}
        ours = share(self.me, self._heard)
        leaving = held - ours
        self._wanted = {partition: self._wanted.get(partition, now) for partition in leaving}
        return ours | {partition for partition in leaving if not self._taken(partition, now)}

    def _taken(self, partition: int, now: float) -> bool:
        since = self._wanted[partition]
        replica, at = self._judging.get(partition, ("", -HEARD_WITHIN))
        return now - since >= HANDED_OVER_WITHIN or (replica in self._heard and at >= since)
