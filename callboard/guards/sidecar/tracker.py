"""Pure: the order of the feed. Live messages get lost, repeated and reordered; the stream does not.

Sequences are those of the whole stream, so they are contiguous: what is missing between two live messages is in the
stream, or does not exist. Everything comes out once, in the order of the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")
KEPT: Final = 5_000
"""Live messages that wait for a gap to be read; what does not fit is read from the stream, too."""


@dataclass(slots=True)
class FeedTracker(Generic[T]):
    """Everything up to ``seen`` has come out, and the stream goes at least up to ``end``."""

    seen: int
    end: int = 0
    _waiting: dict[int, T] = field(default_factory=dict[int, T])

    @property
    def behind(self) -> bool:
        """Must the stream be read behind ``seen``?"""
        return self.end > self.seen

    def live(self, sequence: int, message: T) -> Sequence[T]:
        """A live message came. Returns what comes out now."""
        if sequence == self.seen + 1 and not self._waiting:
            self.seen = sequence
            return (message,)
        if sequence <= self.seen:
            return ()
        self.end = max(self.end, sequence)
        if len(self._waiting) < KEPT:
            self._waiting[sequence] = message
        return self._next()

    def tail(self, last: int) -> None:
        """The stream's last sequence is ``last``, or was when it was asked."""
        self.end = max(self.end, last)

    def read(self, found: Iterable[tuple[int, T]], *, upto: int) -> Sequence[T]:
        """The stream was read behind ``seen``: up to ``upto`` it has these only. Returns what comes out now."""
        out: list[T] = []
        for sequence, message in found:
            if sequence > self.seen:
                out.append(message)
                self.seen = sequence
        self.seen = max(self.seen, upto)
        self._waiting = {sequence: message for sequence, message in self._waiting.items() if sequence > self.seen}
        return (*out, *self._next())

    def _next(self) -> list[T]:
        out: list[T] = []
        while self.seen + 1 in self._waiting:
            self.seen += 1
            out.append(self._waiting.pop(self.seen))
        return out
