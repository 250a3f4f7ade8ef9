"""Pure: what was there before, of results, calls and texts: 32 KB at most, whatever the run has read.

A Bloom filter in two generations. When the young one is full it becomes the old one, and what was only in the old one
is forgotten. It may take a new piece for a known one, about once in a hundred.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from callboard.guards.loop.fingerprint import Piece, Words

_BITS: Final = 17
_LOW: Final = (1 << _BITS) - 1
_HIGH: Final = 32 - _BITS
_FULL: Final = 10_000
_NOTHING: Final = bytes((1 << _BITS) // 8)


@dataclass(frozen=True, slots=True)
class Pieces:
    """What was seen of them. ``count``: how much of it is in the young generation."""

    young: bytes = _NOTHING
    old: bytes = _NOTHING
    count: int = 0


class Sieve:
    """The same, open for the length of a turn."""

    def __init__(self, pieces: Pieces) -> None:
        self._from = pieces
        self._young = bytearray(pieces.young)
        self._old = pieces.old
        self._count = pieces.count

    def pieces(self) -> Pieces:
        """As a value; the sieve is not used any more."""
        if self._count == self._from.count and self._old is self._from.old:
            return self._from
        return Pieces(bytes(self._young), self._old, self._count)

    def new(self, pieces: Sequence[Piece]) -> tuple[int, int]:
        """How long those are that were not there; and not even with other numbers, or other words of a call."""
        fresh = novel = 0
        for piece, bare, echo, size in pieces:
            if not self.has(piece):
                fresh += size
                if not (self.has(bare) or self.has(echo)):
                    novel += size
        return fresh, novel

    def share(self, words: Words) -> float:
        """So much of them was not there."""
        return sum(not self.has(word) for word in words) / len(words) if words else 1.0

    def add(self, marks: Iterable[int]) -> None:
        """They are known from now on."""
        bits, count = self._young, self._count
        for each in marks:
            one, other = each & _LOW, each >> _HIGH
            if not (bits[one >> 3] >> (one & 7) & bits[other >> 3] >> (other & 7) & 1):
                bits[one >> 3] |= 1 << (one & 7)
                bits[other >> 3] |= 1 << (other & 7)
                count += 1
        self._count = count
        if count > _FULL:
            self._young, self._old, self._count = bytearray(_NOTHING), bytes(bits), 0

    def has(self, mark: int) -> bool:
        """Was it there?"""
        one, other = mark & _LOW, mark >> _HIGH
        first, second, low, high = one >> 3, other >> 3, one & 7, other & 7
        if self._young[first] >> low & self._young[second] >> high & 1:
            return True
        return bool(self._old[first] >> low & self._old[second] >> high & 1)
