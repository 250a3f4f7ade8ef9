"""Pure: how long a run's dollars last at its present rate.

Its rate is the lower one of two, over a longer window and over a shorter one: what has lasted for a while, and lasts
still. A run that is younger than the longer window has no rate yet, so short runs are left alone.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from operator import itemgetter
from typing import Final, NamedTuple

_LONGER: Final = 1 / 2
_SHORTER: Final = 1 / 10
"""The windows, as parts of the time within which the dollars are used up."""
_GRAIN: Final = 1 / 4
"""Of the shortest window: charges so close together are one."""


class Charge(NamedTuple):
    """At ``at`` (seconds since the epoch) the run's own calls had used so much, in micro-dollars."""

    at: float
    total: int


Charges = tuple[Charge, ...]


def charged(before: Charges, at: datetime, total: int, *, within: tuple[float, ...]) -> Charges:
    """With one more. Kept are those of the longest window, and one before it, to tell what it began with."""
    if not within:
        return ()
    last = Charge(at.timestamp(), total)
    close = len(before) > 1 and last.at - before[-2].at < min(within) * _SHORTER * _GRAIN
    found = (*(before[:-1] if close else before), last)
    return found[max(0, _begun(found, max(within) * _LONGER)) :]


def lasts(charges: Charges, left: int, *, within: float) -> float | None:
    """In how many seconds ``left`` is used up; None if not ``within`` so many, or if that cannot be told yet.

    There is at least one of ``charges``.
    """
    longer = _begun(charges, within * _LONGER)
    if longer < 0 or left <= 0:
        return None
    shorter, now = _begun(charges, within * _SHORTER), charges[-1].total
    over_long, over_short = (now - charges[longer].total) / _LONGER, (now - charges[shorter].total) / _SHORTER
    most = min(over_long, over_short)  # what would be used ``within`` at the lower rate
    return None if most < left else within * left / most


def _begun(charges: Charges, window: float) -> int:
    """The place of the charge that the last ``window`` seconds begin with; -1: nobody knows."""
    return bisect_right(charges, charges[-1].at - window, key=itemgetter(0)) - 1
