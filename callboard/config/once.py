"""Pure: what is worked out once for each frozen object, by its identity: nothing of it is hashed or compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_KEPT: Final = 256


def once(work: Callable[[K], V]) -> Callable[[K], V]:
    """``work``, done once for each object. Of many objects only the latest are remembered."""
    known: dict[int, tuple[K, V]] = {}  # with the object: as long as it lives, no other one has its id

    @wraps(work)
    def remembered(key: K) -> V:
        found = known.get(id(key))
        if found is None:
            if len(known) >= _KEPT:
                known.clear()
            found = known[id(key)] = key, work(key)
        return found[1]

    return remembered
