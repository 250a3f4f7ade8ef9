"""Pure: medians, percentiles, and the rows that the report is made of."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach."""

    kind: Literal["at least", "at most"]
    limit: float
    unit: str = ""

    def met(self, value: float) -> bool:
        """Does ``value`` reach it?"""
        return value >= self.limit if self.kind == "at least" else value <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.kind == "at least" else "≤"
        return f"{sign} {with_unit(self.limit, self.unit)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. ``judged`` is the figure that the target is for; ``raw`` is for ``--json`` only."""

    case: str
    durability: str
    figure: str
    floor: str = ""
    ratio: str = ""
    target: Target | None = None
    judged: float | None = None
    raw: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``met`` or ``MISSED``, and how much of the limit the figure is; empty without a target."""
        if self.target is None or self.judged is None:
            return ""
        share = f"{self.judged / self.target.limit:.2f} of it"
        return f"met ({share})" if self.target.met(self.judged) else f"MISSED ({share})"

    def as_json(self) -> dict[str, JsonValue]:
        """All of it."""
        judged = None if self.target is None or self.judged is None else self.target.met(self.judged)
        return {
            "case": self.case,
            "durability": self.durability,
            "figure": self.figure,
            "floor": self.floor,
            "ratio": self.ratio,
            "target": "" if self.target is None else str(self.target),
            "judged": self.judged,
            "met": judged,
            **self.raw,
        }


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratios(ours: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Ours by the floor, round by round."""
    return [mine / theirs for mine, theirs in zip(ours, floor, strict=True)]


def with_unit(value: float, unit: str) -> str:
    """Three significant digits or all before the point: ``1,234 /s``, ``4.21 ms``, ``0.62``."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{digits}f}{' ' if unit else ''}{unit}"
