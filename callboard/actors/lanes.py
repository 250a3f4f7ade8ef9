"""Pure: which lane to pull from next. High before normal before low, and nobody starves.

Of any 16 tasks that a worker takes in a row, at least one is low if low has work all the time, and at least one is
normal if normal has. Everything else is strict priority. How to use it: try the pulls in their order, tell ``taken``
about each one (0 for a lane that had nothing), and ask again after the first one that gave tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from callboard.bus.subjects import Lane

PERIOD: Final = 16
"""Of so many tasks in a row one is low and one is normal, if they have work."""
_LOW_DUE: Final = PERIOD - 1
_NORMAL_DUE: Final = PERIOD - 2
"""One earlier than low: when both are due, one of them has to wait for the other."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How many tasks of other lanes were taken since normal and low last had their turn."""

    since_normal: int = 0
    since_low: int = 0


def next_pull(quota: Quota, free: int) -> tuple[tuple[Lane, int], ...]:
    """The lanes to try, in this order, and the largest batch for each; at most ``free`` tasks can be taken."""
    if free < 1:
        return ()
    plan: list[tuple[Lane, int]] = []
    for lane in _order(quota):
        plan.append((lane, min(free, _batch(quota, lane))))
        quota = taken(quota, lane, 0)  # the next lane is only tried if this one had nothing
    return tuple(plan)


def taken(quota: Quota, lane: Lane, count: int) -> Quota:
    """``quota`` after a pull from ``lane`` gave ``count`` tasks. A lane that had nothing is owed nothing."""
    match lane:
        case "high":
            return Quota(quota.since_normal + count, quota.since_low + count)
        case "normal":
            return Quota(0, quota.since_low + count)
        case "low":
            return Quota(quota.since_normal + count, 0)
        case _:
            assert_never(lane)


def _order(quota: Quota) -> tuple[Lane, ...]:
    low, normal = quota.since_low >= _LOW_DUE, quota.since_normal >= _NORMAL_DUE
    if low and normal:
        return ("low", "normal", "high")
    if low:
        return ("low", "high", "normal")
    return ("normal", "high", "low") if normal else ("high", "normal", "low")


def _batch(quota: Quota, lane: Lane) -> int:
    """As many as may go before another lane is due; one for a lane whose turn it is only because it is due."""
    to_normal, to_low = _NORMAL_DUE - quota.since_normal, _LOW_DUE - quota.since_low
    match lane:
        case "high":
            return min(to_normal, to_low)  # it is tried behind every lane that is due
        case "normal":
            return 1 if to_normal <= 0 else to_low
        case "low":
            return 1 if to_low <= 0 else to_normal
        case _:
            assert_never(lane)
