"""Pure: the end of what a run's models are saying, for people who watch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from callboard.bus.deltas import ModelDelta, TextReplaced
from callboard.cli.teller import Line, plain

LINES: Final = 6
_KEPT: Final = 4_000
"""Characters, more than ``LINES`` lines have."""


@dataclass(slots=True)
class Growing:
    """The text of the call that spoke last: a run's model calls come one after another."""

    call: str = ""
    text: str = ""

    def hear(self, event: ModelDelta | TextReplaced) -> Line | None:
        """Take a piece. The line for people if what they saw does not count."""
        if isinstance(event, TextReplaced):
            self.text = ""
            return Line("↻", "yellow", f"model: what attempt {event.attempt} said does not count, it is replaced")
        before = self.text if event.n and event.call == self.call else ""
        self.call, self.text = event.call, (before + event.text)[-_KEPT:]
        return None

    def lines(self, call: str, *, width: int) -> Sequence[str]:
        """The last lines of what ``call`` says, none wider than ``width`` characters."""
        if call != self.call:
            return ()
        lines = [line for each in plain(self.text).splitlines() for line in textwrap.wrap(each, width) or [""]]
        return lines[-LINES:]
