"""Pure: the generic cell rate algorithm, so strict that no minute ever sees more than its limit.

A bucket that fills at the full rate and may be full at the start lets through more than the limit in its first minute.
This one holds a twentieth of the limit, and fills at the rate that leaves room for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

_MINUTE: Final = 61.0
"""Seconds. One more than a minute has: calls arrive closer together than they were let go."""
_BURST: Final = 0.05


@dataclass(frozen=True, slots=True)
class Bucket:
    """``limit`` a minute. ``at`` is when all that was taken has been earned; seconds of a monotonic clock."""

    limit: float
    at: float = -inf

    def wait(self, cost: float, now: float) -> float:
        """Seconds until ``cost`` may be taken. One that is larger than the burst needs a time without any."""
        spare = min(cost, self.limit) - self._burst
        return max(0.0, self.at + spare / self._rate - now)

    def take(self, cost: float, now: float) -> Bucket:
        """Take ``cost``: never refused, for the caller has waited."""
        return replace(self, at=max(self.at, now) + min(cost, self.limit) / self._rate)

    def hold(self, costs: Sequence[float], now: float) -> Bucket:
        """``costs`` were taken and are not used yet: nothing of them is earned before they are."""
        total = sum(min(cost, self.limit) for cost in costs)
        return replace(self, at=max(self.at, now + total / self._rate)) if total else self

    def correct(self, more: float) -> Bucket:
        """The cost was ``more`` than was taken (below 0: less)."""
        return replace(self, at=self.at + more / self._rate)

    @property
    def _burst(self) -> float:
        return max(1.0, self.limit * _BURST)

    @property
    def _rate(self) -> float:
        return max(self.limit - self._burst, self.limit / 2) / _MINUTE
