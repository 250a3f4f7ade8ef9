"""Pure: what came of a model's answer so far, piece by piece: its bytes, and what its provider has counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from callboard.models.port import Counted, Delta, TextDelta, Usage

_NOTHING: Final = Usage()


def _nobody() -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class Heard:
    """What came of an answer so far: whether it has ``begun``, its text, the bytes beside it, and the latest counts.

    ``on_begin`` is called when it begins.
    """

    on_begin: Callable[[], None] = _nobody
    begun: bool = False
    texts: list[str] = field(default_factory=list[str])
    unseen: int = 0
    counted: Usage = _NOTHING
    _counted_at: tuple[int, int] = (0, 0)
    """How many texts, and how many bytes beside them, are in the latest count of the output."""

    def take(self, piece: Delta) -> bool:
        """Whether it said something, be it beside the text."""
        if not self.begun:
            self.begin()
        if isinstance(piece, TextDelta):
            self.texts.append(piece.text)
            return True
        if isinstance(piece, Counted):
            self._count(piece.usage)
            return False
        self.unseen += piece.size
        return piece.size > 0

    def begin(self) -> None:
        """It has begun."""
        if not self.begun:
            self.begun = True
            self.on_begin()

    @property
    def since_count(self) -> int:
        """The bytes of all that the model said since its output was counted."""
        texts, unseen = self._counted_at
        return self.unseen - unseen + len("".join(self.texts[texts:]).encode("utf-8", "replace"))

    def _count(self, usage: Usage) -> None:
        """Each count is of the whole so far. One that is no more than the one before is none."""
        before = self.counted
        if usage.output_tokens > before.output_tokens:
            self._counted_at = len(self.texts), self.unseen
        output = max(usage.output_tokens, before.output_tokens)
        self.counted = replace(usage if usage.prompt_tokens else before, output_tokens=output)
