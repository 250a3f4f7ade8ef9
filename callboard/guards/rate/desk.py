"""Shell: the lines of some limits, and the alarm that looks at each again when somebody may go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from math import isfinite

from callboard.clock import Clock
from callboard.config.guards import RateLimit
from callboard.guards.rate.families import limit_of
from callboard.guards.rate.headers import narrowed
from callboard.guards.rate.line import Line, Want, begun, ended, freeze, join, next_up, relimited
from callboard.guards.rate.wire import Done


class Desk:
    """Calls ``go(line, want)`` for each call that may start, in their turn; it must not block."""

    def __init__(self, limits: Mapping[str, RateLimit], clock: Clock, go: Callable[[str, Want], None]) -> None:
        self._limits, self._clock, self._go = limits, clock, go
        self._lines: dict[str, Line] = {}
        self._alarms: dict[str, asyncio.TimerHandle] = {}

    def knows(self, line: str) -> bool:
        """Is there such a limit?"""
        return limit_of(self._limits, line) is not None

    def has_let_go(self, line: str, want: str) -> bool:
        """Is that call under way?"""
        return want in self._line(line).held

    def has(self, line: str, want: str) -> bool:
        """Is that call under way, or does it wait?"""
        known = self._line(line)
        return want in known.held or any(want == each.id for queue in known.queues.values() for each, _ in queue)

    def take(self, line: str, want: Want) -> float:
        """Wait in ``line``, or go on waiting. Returns the seconds that it takes at least; 0: it may start."""
        now = self._clock.monotonic()
        self._lines[line] = join(self._line(line), want, now)
        self._let_go(line)
        known = self._lines[line]
        return 0.0 if want.id in known.held else max(0.001, known.wait(want, now))

    def begun(self, line: str, want: Want) -> None:
        """A call begins, whoever let it go."""
        self._lines[line] = begun(self._line(line), want, self._clock.monotonic())
        self._let_go(line)

    def done(self, done: Done) -> None:
        """A call is over."""
        line, now = done.line, self._clock.monotonic()
        inputs, outputs = done.input_tokens, done.output_tokens
        known = ended(self._line(line), done.id, now, inputs=inputs, outputs=outputs, started=done.started)
        configured = limit_of(self._limits, line)
        if done.allowed is not None and configured is not None:
            known = relimited(known, narrowed(configured, done.allowed))
        self._lines[line] = freeze(known, now + done.frozen) if done.frozen else known
        self._let_go(line)

    def close(self) -> None:
        """No more alarms."""
        for alarm in self._alarms.values():
            alarm.cancel()

    def _line(self, line: str) -> Line:
        """Made when it is first asked about: there is one for each key of a provider."""
        known = self._lines.get(line)
        if known is None:
            known = self._lines[line] = Line.of(limit_of(self._limits, line) or RateLimit())
        return known

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
