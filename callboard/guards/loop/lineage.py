"""Pure: agents that hand the same work to each other and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_PERIODS: Final = (2, 3, 4)
"""An agent that hands on to itself divides its work: the depth bounds that."""


def circle(path: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """How often the path of delegations ends in the same 2 to 4 agents, one after the other, and which: 1 is once."""
    best: tuple[int, tuple[str, ...]] = (1, ())
    for period in _PERIODS:
        unit = tuple(path[-period:])
        times = 1
        while len(set(unit)) > 1 and tuple(path[-(times + 1) * period : -times * period]) == unit:
            times += 1
        if times > best[0]:
            best = (times, unit)
    return best
