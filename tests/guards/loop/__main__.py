"""``python -m tests.guards.loop [RUNS] [SEED]`` prints what the loop guard makes of all families."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, Final
from zlib import crc32

from tests.guards.loop import (
    astray,
    families,
    fresh,
    held_out,
    logged_coding,
    logged_lost,
    on_track,
    plain_astray,
    plain_on_track,
    recorded,
    reported,
    transcribed,
    unseen,
    withheld,
)
from tests.guards.loop.evaluation import Row, evaluate, summary, table


def _half(which: int, degenerate: Any, healthy: Any) -> SimpleNamespace:
    """Of a set those whose names hash to it: nobody chose which may be looked at."""
    mine = [
        tuple(family for family in families_of if crc32(family.__name__.encode()) % 2 == which)
        for families_of in (degenerate.DEGENERATE, healthy.HEALTHY)
    ]
    return SimpleNamespace(DEGENERATE=mine[0], HEALTHY=mine[1])


SETS: Final[tuple[tuple[str, Any], ...]] = (
    ("1 first: known while the guard was written", families),
    ("2 held out", held_out),
    ("3 fresh, after the corrections", fresh),
    ("4a after recorded runs, for tuning", recorded),
    ("4b after recorded runs, kept away from the tuning", unseen),
    ("5 recorded runs, transcribed", transcribed),
    ("6 after bug reports, for tuning", reported),
    ("7 after bug reports, kept away from the tuning", withheld),
    ("8a of other harnesses, may be looked at", _half(0, astray, on_track)),
    ("8b of other harnesses, kept away from the tuning", _half(1, astray, on_track)),
    ("9a of an independent judge, may be looked at", _half(0, plain_astray, plain_on_track)),
    ("9b of an independent judge, kept away from the tuning", _half(1, plain_astray, plain_on_track)),
    ("10a of another judge, may be looked at", _half(0, logged_lost, logged_coding)),
    ("10b of another judge, kept away from the tuning", _half(1, logged_lost, logged_coding)),
)


def rows_of(families_of: Any, *, runs: int, seed: int) -> list[Row]:
    """All families of a set."""
    rows = [evaluate(family, "degenerate", runs=runs, seed=seed) for family in families_of.DEGENERATE]
    return rows + [evaluate(family, "healthy", runs=runs, seed=seed) for family in families_of.HEALTHY]


def main() -> None:
    """Print the tables, and one line for each set."""
    runs, seed = (int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 100), (2, 0)))
    found = {name: rows_of(module, runs=runs, seed=seed) for name, module in SETS}
    for name, rows in found.items():
        print(f"{name}\n{table(rows)}\n")
    print(summary(found))


if __name__ == "__main__":
    main()
