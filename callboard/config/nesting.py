"""Pure: how deep JSON nests. What goes into a journal must not nest deeper than readers in every language stand."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

DEEPEST: Final = 90
"""Levels of one value in an entry, such as the arguments of a call. The entry puts some more around it."""


def nests_deeper(value: JsonValue, levels: int) -> bool:
    """Does ``value`` have more levels? A number has one, an empty list too."""
    level = [value]
    for _ in range(levels):
        inner: list[JsonValue] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return False
        level = inner
    return True
