"""Pure: which pieces of results were there before: 16 KB at most, whatever the run has read.

A Bloom filter in two generations. When the young one is full it becomes the old one, and what was only in the old one
is forgotten. It may take a new piece for a known one, about once in a hundred.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from callboard.guards.loop.fingerprint import Piece

_BITS: Final = 1 << 16
_FULL: Final = 4_000
_NOTHING: Final = bytes(_BITS // 8)


@dataclass(frozen=True, slots=True)
class Pieces:
    """What was seen of them. ``count``: how much of it is in the young generation."""

    young: bytes = _NOTHING
    old: bytes = _NOTHING
    count: int = 0

    def new(self, pieces: Sequence[Piece], *, enough: int) -> tuple[int, int]:
        """How long those are that were not there, and how many not even with other numbers or words of a call.

        It stops counting when ``enough`` were not.
        """
        fresh = novel = 0
        for piece, bare, echo, size in pieces:
            if not self._has(piece):
                fresh += size
                if not (self._has(bare) or self._has(echo)):
                    novel += 1
                    if novel == enough:
                        break
        return fresh, novel

    def __or__(self, pieces: Iterable[Piece]) -> Pieces:
        """With these."""
        bits, count = bytearray(self.young), self.count
        for each in {each for piece in pieces for each in piece[:3]}:
            one, other = each & 0xFFFF, each >> 16
            if not (bits[one >> 3] >> (one & 7) & bits[other >> 3] >> (other & 7) & 1):
                bits[one >> 3] |= 1 << (one & 7)
                bits[other >> 3] |= 1 << (other & 7)
                count += 1
        if count == self.count:
            return self
        return Pieces(_NOTHING, bytes(bits)) if count > _FULL else Pieces(bytes(bits), self.old, count)

    def _has(self, piece: int) -> bool:
        one, other = piece & 0xFFFF, piece >> 16
        first, second, low, high = one >> 3, other >> 3, one & 7, other & 7
        if self.young[first] >> low & self.young[second] >> high & 1:
            return True
        return bool(self.old[first] >> low & self.old[second] >> high & 1)
