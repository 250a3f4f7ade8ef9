"""Pure: how far a guard has judged a partition, and what came of it is out."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """Of one partition. Not ``ready``: its runs are still being rebuilt, and nothing can be said of it."""

    ready: bool = False
    mark: int = 0
    """The watermark that is stored."""
    _held: dict[int, int] = field(default_factory=dict[int, int])

    def begin(self, sequence: int) -> None:
        """What came of the entry at ``sequence`` is on its way out."""
        self._held[sequence] = self._held.get(sequence, 0) + 1

    def end(self, sequence: int) -> None:
        """It is out."""
        left = self._held[sequence] - 1
        if left:
            self._held[sequence] = left
        else:
            del self._held[sequence]

    def watermark(self, position: int) -> int:
        """Everything up to here is judged and out, when every entry up to ``position`` was handed out. 0: not ready."""
        if not self.ready:
            return 0
        return min(self._held) - 1 if self._held else position
