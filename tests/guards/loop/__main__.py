"""``python -m tests.guards.loop [RUNS] [SEED]`` prints what the loop guard makes of all families."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Final

from tests.guards.loop import families, fresh, held_out, recorded, reported, transcribed, unseen, withheld
from tests.guards.loop.evaluation import Row, evaluate, summary, table

SETS: Final[tuple[tuple[str, ModuleType], ...]] = (
    ("1 first: known while the guard was written", families),
    ("2 held out", held_out),
    ("3 fresh, after the corrections", fresh),
    ("4a after recorded runs, for tuning", recorded),
    ("4b after recorded runs, kept away from the tuning", unseen),
    ("5 recorded runs, transcribed", transcribed),
    ("6 after bug reports, for tuning", reported),
    ("7 after bug reports, kept away from the tuning", withheld),
)


def rows_of(families_of: ModuleType, *, runs: int, seed: int) -> list[Row]:
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
