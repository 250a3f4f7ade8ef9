"""``python -m tests.guards.loop [RUNS] [SEED]`` prints what the loop guard makes of all families."""

from __future__ import annotations

import sys

from tests.guards.loop import families, fresh, held_out
from tests.guards.loop.evaluation import evaluate, table


def main() -> None:
    """Print the tables."""
    runs, seed = (int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 100), (2, 0)))
    for name, half in (("first half", families), ("held out", held_out), ("fresh", fresh)):
        rows = [evaluate(family, "degenerate", runs=runs, seed=seed) for family in half.DEGENERATE]
        rows += [evaluate(family, "healthy", runs=runs, seed=seed) for family in half.HEALTHY]
        print(f"{name}\n{table(rows)}\n")


if __name__ == "__main__":
    main()
