"""Pure: the fake provider's own bill. Money in micro-dollars, each call rounded up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from callboard.testing.script import Tokens

_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars per million tokens. Without ``cached`` or ``written``: as ``input``."""

    input: float
    output: float
    cached: float | None = None
    written: float | None = None

    def micros(self, tokens: Tokens) -> int:
        """What ``tokens`` cost, rounded up."""
        cached = self.input if self.cached is None else self.cached
        written = self.input if self.written is None else self.written
        parts = (
            (tokens.input, self.input),
            (tokens.cached, cached),
            (tokens.written, written),
            (tokens.output, self.output),
        )
        return -(-sum(count * round(dollars * _MILLION) for count, dollars in parts) // _MILLION)


@dataclass(frozen=True, slots=True)
class Line:
    """What one model was used for. ``input_tokens`` excludes what was read from a cache or written to one."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    output_tokens: int = 0
    usd_micros: int = 0

    def plus(self, other: Line) -> Line:
        """Both together."""
        return Line(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.written_tokens + other.written_tokens,
            self.output_tokens + other.output_tokens,
            self.usd_micros + other.usd_micros,
        )


@dataclass(slots=True)
class Ledger:
    """Adds up calls. A model without a price costs nothing."""

    prices: Mapping[str, Rate]
    lines: dict[str, Line] = field(default_factory=dict[str, Line])

    def charge(self, model: str, tokens: Tokens) -> int:
        """One call, which costs so much."""
        rate = self.prices.get(model)
        money = rate.micros(tokens) if rate else 0
        used = Line(1, tokens.input, tokens.cached, tokens.written, tokens.output, money)
        self.lines[model] = self.lines.get(model, Line()).plus(used)
        return money


def total(lines: Iterable[Line]) -> Line:
    """All of them together."""
    summed = Line()
    for line in lines:
        summed = summed.plus(line)
    return summed
