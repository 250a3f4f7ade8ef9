"""Pure: what is said of a turn that was weighed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from callboard.guards.loop.fingerprint import Hash

WORK: Final = 0.0
NEWS: Final = 0.5
"""So much gain, and what was before does not count any more."""
WAITED: Final = 0.5
"""So much less counts a turn that waited, or the first one after it: who waits spends time, not money."""
Errors: TypeAlias = tuple[Hash | None, Hash | None, Hash | None]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a turn brought: its ``gain`` and its ``weight``. ``mark`` is what a cycle repeats."""

    weight: float = WORK
    gain: float = 0.0
    sure: float = 1.0
    """So much of the weight is a proof. The rest is a reason for a note, and for no more."""
    mark: Hash | None = None
    suspects: tuple[Hash, ...] = ()
    errors: Errors = (None, None, None)
    """What all its calls failed with: as said, without the words of the calls, and whether it was there before."""
    polled: bool = False
    unchanged: float = 0.0
    slept: bool = False
    """It waited, and did not fail."""
    stuck: int | None = None
    """How often in a row a tool that writes has failed by now for a known reason; None: none was called."""

    @property
    def is_news(self) -> bool:
        """Is enough of it new?"""
        return self.gain >= NEWS

    @property
    def is_work(self) -> bool:
        """Did it bring something new, or do something?"""
        return self.is_news or (self.weight == WORK and not self.polled)
