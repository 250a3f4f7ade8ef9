"""Pure: a value cut to what a journal entry and a model's context should carry."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from pydantic import JsonValue
from pydantic_core import to_json


@dataclass(frozen=True, slots=True)
class Capped:
    """``preview`` is the value itself, or (``truncated``) its beginning as text. ``size`` in bytes of all JSON."""

    preview: JsonValue
    truncated: bool
    size: int


def cap(value: JsonValue, limit_bytes: int) -> Capped:
    """Cut ``value`` so that the JSON of the preview has at most ``limit_bytes`` (never below its own note)."""
    encoded = to_json(value)
    size = len(encoded)
    if size <= limit_bytes:
        return Capped(value, truncated=False, size=size)
    # The limit in bytes is more characters than can ever fit, so the search below need not look at the rest.
    text = (value if isinstance(value, str) else encoded.decode())[:limit_bytes]
    note = f"… {size:,} bytes in all, cut"
    # Escapes make JSON longer than its text, by an amount that only encoding tells.
    length = bisect_right(range(len(text) + 1), limit_bytes, key=lambda end: len(to_json(text[:end] + note)))
    return Capped(text[: max(0, length - 1)] + note, truncated=True, size=size)
