"""Pure: instants and durations as people read them. In UTC, so that what several machines say can be compared."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_MINUTE: Final = 60


def instant(at: datetime) -> str:
    """``2026-11-21 16:20:03Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def time_of_day(at: datetime) -> str:
    """``16:20:03Z``: for lines that follow each other within a day."""
    return at.astimezone(UTC).strftime("%H:%M:%SZ")


def duration(seconds: float) -> str:
    """``250 ms``, ``7.0 s``, ``2 min 3 s``, ``1 h 30 min``: the two largest units that say something."""
    if not math.isfinite(seconds):
        return "for ever"
    if round(seconds * 1000) < 1000:  # noqa: PLR2004 - a second has as many milliseconds
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    left, parts = round(seconds), list[str]()
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        parts.append(f"{count} {unit}" if count else "")
    first = next(place for place, part in enumerate(parts) if part)
    return " ".join(filter(None, parts[first : first + 2]))
