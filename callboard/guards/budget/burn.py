"""Pure: how long a run's dollars last at its present rate.

Its rate is the lower one of two, over a longer window and over a shorter one: what has lasted for a while, and lasts
still. A run that is younger than the longer window has no rate yet, so short runs are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

_LONGER: Final = 1 / 2
_SHORTER: Final = 1 / 10
"""The windows, as parts of the time within which the dollars are used up."""
_GRAIN: Final = 1 / 4
"""Of the shortest window: charges so close together are one."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What the run's own calls had used by then, in micro-dollars."""

    at: datetime
    total: int


Charges = tuple[Charge, ...]


def charged(before: Charges, at: datetime, total: int, *, within: tuple[float, ...]) -> Charges:
    """With one more. Kept are those of the longest window, and one before it, to tell what it began with."""
    if not within:
        return ()
    found = [*before, Charge(at, total)]
    if len(found) > 2 and _seconds(found[-3], at) < min(within) * _SHORTER * _GRAIN:  # noqa: PLR2004 - two and this one
        del found[-2]
    window = max(within) * _LONGER
    first = max((n for n, each in enumerate(found) if _seconds(each, at) >= window), default=0)
    return tuple(found[first:])


def lasts(charges: Charges, left: int, *, within: float) -> float | None:
    """In how many seconds ``left`` is used up; None if not ``within`` so many, or if that cannot be told yet.

    There is at least one of ``charges``.
    """
    rates = [_rate(charges, within * part) for part in (_LONGER, _SHORTER)]
    known = [rate for rate in rates if rate is not None]
    if left <= 0 or len(known) < len(rates) or min(known) * within < left:
        return None
    return left / min(known)


def _rate(charges: Charges, window: float) -> float | None:
    """Micro-dollars a second over the last ``window`` seconds; None: nobody knows what it began with."""
    last = charges[-1]
    before = [each for each in charges if _seconds(each, last.at) >= window]
    return (last.total - before[-1].total) / window if before else None


def _seconds(charge: Charge, until: datetime) -> float:
    return (until - charge.at).total_seconds()
