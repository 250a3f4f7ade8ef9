"""Shell: the lines of some limits, and the alarm that looks at each again when somebody may go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from math import isfinite

from callboard.clock import Clock
from callboard.config.guards import RateLimit
from callboard.guards.rate.line import Line, Want, ended, freeze, join, next_up


class Desk:
    """Calls ``go(line, want)`` for each call that may start, in their turn; it must not block."""

    def __init__(self, limits: Mapping[str, RateLimit], clock: Clock, go: Callable[[str, Want], None]) -> None:
        self._lines = {name: Line.of(limit) for name, limit in limits.items()}
        self._clock, self._go = clock, go
        self._alarms: dict[str, asyncio.TimerHandle] = {}

    def knows(self, line: str) -> bool:
        """Is there such a limit?"""
        return line in self._lines

    def has_let_go(self, line: str, want: str) -> bool:
        """Is that call under way?"""
        return want in self._lines[line].held

    def take(self, line: str, want: Want) -> float:
        """Wait in ``line``, or go on waiting. Returns the seconds that it takes at least; 0: it may start."""
        now = self._clock.monotonic()
        self._lines[line] = join(self._lines[line], want, now)
        self._let_go(line)
        known = self._lines[line]
        return 0.0 if want.id in known.held else max(0.001, known.wait(want, now))

    def done(
        self, line: str, want: str, *, inputs: int | None, outputs: int | None, started: bool, frozen: float
    ) -> None:
        """A call is over."""
        known = ended(self._lines[line], want, inputs=inputs, outputs=outputs, started=started)
        self._lines[line] = freeze(known, self._clock.monotonic() + frozen) if frozen else known
        self._let_go(line)

    def close(self) -> None:
        """No more alarms."""
        for alarm in self._alarms.values():
            alarm.cancel()

    def _let_go(self, line: str) -> None:
        while True:
            self._lines[line], want, wait = next_up(self._lines[line], self._clock.monotonic())
            if want is None:
                break
            self._go(line, want)
        if line in self._alarms:
            self._alarms.pop(line).cancel()
        if isfinite(wait):
            self._alarms[line] = asyncio.get_running_loop().call_later(wait, self._let_go, line)
