"""The guard over families of runs: how many it nudged, denied and killed, and after how many turns."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from callboard.bus.messages import ModelResponded
from callboard.guards.kit import Guard, Seen, Verdict
from callboard.guards.loop.guard import LoopGuard
from tests.guards.loop.trace import KEY, Trace

Family = Callable[[random.Random], Trace]


@dataclass(frozen=True)
class Judged:
    verdicts: tuple[Verdict, ...]
    turns: tuple[int, ...]

    def first(self, action: str) -> int:
        """The turn of the first such verdict; 0 is none."""
        return next(
            (turn for verdict, turn in zip(self.verdicts, self.turns, strict=True) if verdict.action == action), 0
        )


def judge(seen: Sequence[Seen], guard: Guard | None = None) -> Judged:
    """All that the guard says of a recorded run: nobody heeds it."""
    guard = LoopGuard() if guard is None else guard
    state, verdicts, turns, turn = guard.start(KEY), [], [], 0
    for each in seen:
        turn += isinstance(each.event, ModelResponded)
        state, said = guard.observe(state, each)
        verdicts += said
        turns += [turn] * len(said)
    return Judged(tuple(verdicts), tuple(turns))


@dataclass(frozen=True)
class Row:
    family: str
    label: str
    runs: int
    nudged: float
    denied: float
    killed: float
    kill_turn: float
    signals: str


def evaluate(family: Family, label: str, *, runs: int = 100, seed: int = 0) -> Row:
    """One family. Every run has its own seed."""
    judged = [judge(family(random.Random(f"{seed}/{family.__name__}/{n}")).seen) for n in range(runs)]
    kills = [each.first("kill") for each in judged if each.first("kill")]
    signals = Counter(
        verdict.data["signal"] for each in judged for verdict in each.verdicts[:1] if verdict.action == "nudge"
    )
    return Row(
        family.__name__,
        label,
        runs,
        sum(bool(each.first("nudge")) for each in judged) / runs,
        sum(bool(each.first("deny")) for each in judged) / runs,
        len(kills) / runs,
        median(kills) if kills else 0,
        ", ".join(f"{signal} {count}" for signal, count in signals.most_common(3)),
    )


def table(rows: Sequence[Row]) -> str:
    """As text."""
    lines = [
        f"{'family':26}{'label':12}{'runs':>5}{'nudged':>8}{'denied':>8}{'killed':>8}{'at turn':>9}  first nudge by"
    ]
    lines += [
        f"{row.family:26}{row.label:12}{row.runs:5}{row.nudged:8.1%}{row.denied:8.1%}{row.killed:8.1%}"
        f"{row.kill_turn or '-':>9}  {row.signals}"
        for row in rows
    ]
    for label, name in (("degenerate", "caught (killed)"), ("healthy", "false kills")):
        of = [row for row in rows if row.label == label]
        if of:
            nudged = share(of, label, lambda row: row.nudged)
            total = sum(row.runs for row in of)
            lines.append(
                f"{label}: {total} runs of {len(of)} families, nudged {nudged:.1%}, {name} {share(of, label):.1%}"
            )
    return "\n".join(lines)


def share(rows: Sequence[Row], label: str, what: Callable[[Row], float] = lambda row: row.killed) -> float:
    """Of the runs with that label: so many were killed, or whatever is asked."""
    of = [row for row in rows if row.label == label]
    return sum(what(row) * row.runs for row in of) / sum(row.runs for row in of)


def summary(found: Mapping[str, Sequence[Row]]) -> str:
    """One line for each set."""
    lines = [f"{'set':52}{'families':>9}{'caught':>9}{'false kills':>13}{'false nudges':>14}"]
    for name, rows in found.items():
        nudged = share(rows, "healthy", lambda row: row.nudged)
        lines.append(
            f"{name:52}{len(rows):9}{share(rows, 'degenerate'):9.1%}{share(rows, 'healthy'):13.1%}{nudged:14.1%}"
        )
    return "\n".join(lines)
