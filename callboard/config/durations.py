"""Pure: durations as people write them: ``15m``, ``1h30m``, ``250ms``, or a plain number of seconds."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 366 * 86_400.0
"""Seconds. Bounded, so that an instant plus a duration is always an instant."""

_NUMBER: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_COMPOUND: Final = re.compile("".join(rf"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in _UNITS))
_PLAIN: Final = re.compile(_NUMBER)


def parse_duration(value: object) -> float:
    """Seconds: above 0 and at most ``LONGEST``. Raises ``ValueError`` that says what is expected, not the value."""
    seconds = _seconds(value)
    if seconds is None or not 0 < seconds <= LONGEST:
        raise ValueError("expected seconds above 0, or a duration such as '15m', '1h30m' or '250ms' (up to 366d)")
    return seconds


def _seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if value <= LONGEST else None
    if not isinstance(value, str):
        return None
    if _PLAIN.fullmatch(value):
        return float(value)
    match = _COMPOUND.fullmatch(value)
    if match is None or not value:
        return None
    return sum(float(number) * _UNITS[unit] for unit, number in match.groupdict().items() if number is not None)
