"""Pure: points in time as people write them: ``7d`` ago, or ``2026-11-20T08:00Z``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from callboard.config.durations import parse_duration
from callboard.errors import ConfigError


def instant(text: str, what: str, *, now: datetime) -> datetime:
    """So long before ``now``, or the instant (UTC, if it names no zone). Raises ``ConfigError``."""
    try:
        return now - timedelta(seconds=parse_duration(text))
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{what} is {text!r}: give a duration before now such as '7d' or '90m', or an instant such as '2026-11-20'"
        ) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
