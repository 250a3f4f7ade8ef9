"""Pure: what the headers of a provider's answer say about its limits.

``anthropic-ratelimit-*`` names instants (RFC 3339), ``x-ratelimit-*`` durations (``6m0s``, ``20ms``), and there a
negative number means that it is not known. Both say when a limit will be whole again, not when one more call fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from callboard.config.guards import RateLimit
from callboard.guards.rate.wire import Allowed

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_SECONDS: Final = {"h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_MOST: Final = 10**15
EARNED: Final = 0.05
"""Share of a limit that must have come back before the next call: what a bucket lets go at once."""
_NAMES: Final = {
    "requests": ("anthropic-ratelimit-requests-", "x-ratelimit-{}-requests"),
    "input_tokens": ("anthropic-ratelimit-input-tokens-", "x-ratelimit-{}-input-tokens", "x-ratelimit-{}-tokens"),
    "output_tokens": ("anthropic-ratelimit-output-tokens-", "x-ratelimit-{}-output-tokens"),
}


@dataclass(frozen=True, slots=True)
class Learned:
    """``allowed``: what the provider says that it allows; None if it says nothing.

    ``frozen``: seconds during which it wants to hear nothing, because one of its limits is used up.
    """

    allowed: Allowed | None = None
    frozen: float = 0.0


def learn(headers: Mapping[str, str], *, now: datetime) -> Learned:
    """What an answer with ``headers`` says. What does not parse is passed over."""
    known = {name.lower(): value.strip() for name, value in headers.items()}
    found: dict[str, int] = {}
    frozen = 0.0
    for what, names in _NAMES.items():
        limit, remaining, reset = (_first(known, names, part) for part in ("limit", "remaining", "reset"))
        if (said := _count(limit)) is not None and 0 < said <= _MOST:
            found[what] = said
        if _count(remaining) == 0:  # without its size nobody knows how much comes back before all of it has
            frozen = max(frozen, _until(reset, now) * (EARNED if what in found else 1.0))
    return Learned(Allowed.model_validate(found) if found else None, frozen)


def narrowed(limit: RateLimit, allowed: Allowed) -> RateLimit:
    """What is configured, and what the provider says where that is less, or nothing is configured."""
    said = {
        name: min(value, getattr(limit, name) or value) for name, value in allowed.model_dump(exclude_none=True).items()
    }
    return limit.model_copy(update=said)


def _first(headers: Mapping[str, str], names: tuple[str, ...], part: str) -> str:
    spelled = (name.format(part) if "{}" in name else name + part for name in names)
    return next((headers[name] for name in spelled if name in headers), "")


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _until(text: str, now: datetime) -> float:
    """Seconds from ``now``; 0 for what is neither a duration nor an instant."""
    if _DURATION.fullmatch(text):
        return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
