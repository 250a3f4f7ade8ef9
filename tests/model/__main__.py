"""Shell: ``python -m tests.model [name] [--full]`` runs the checks whose name contains ``name`` and shows a table.

``--full`` adds the large bounds (minutes, and some gigabytes of memory).
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from .catalogue import LARGE, MUTANTS, PROTOCOL, Check
from .explore import Verdict

_WIDTH = 150
"""Columns of a table that goes into a file."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description="Check the run protocol by model.")
    parser.add_argument("name", nargs="?", default="", help="run the checks whose name contains this")
    parser.add_argument("--full", action="store_true", help="the large bounds too: minutes, and gigabytes of memory")
    given = parser.parse_args()
    chosen = [check for check in (*PROTOCOL, *MUTANTS, *(LARGE if given.full else ())) if given.name in check.name]
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    results: list[tuple[Check, Verdict]] = []
    with console.status("") as status:
        for check in chosen:
            status.update(f"{len(results) + 1} of {len(chosen)}  {check.name}")
            results.append((check, check.run()))
    console.print(_table(results))
    for check, verdict in results:
        if verdict.problem and (given.name or not check.as_expected(verdict)):
            console.print(f"\n[bold]{check.name}[/]: {verdict.problem}", highlight=False)
            for number, label in enumerate(verdict.trace, 1):
                console.print(f"{number:4}  {label}", highlight=False, markup=False)
    wrong = sum(not check.as_expected(verdict) for check, verdict in results)
    seconds = sum(verdict.seconds for _, verdict in results)
    console.print(f"{len(results)} checks, {wrong} not as expected, {seconds:.0f} s of CPU")
    return 1 if wrong or not results else 0


def _table(results: list[tuple[Check, Verdict]]) -> Table:
    table = Table("setup", "verdict", "property")
    for column in ("states", "depth", "seconds"):
        table.add_column(column, justify="right")
    for check, verdict in results:
        word = "refuted" if verdict.problem else "holds" if verdict.complete else "not complete"
        colour = "green" if check.as_expected(verdict) else "red"
        table.add_row(
            check.name,
            f"[{colour}]{word}[/]",
            verdict.problem.split(" ", 1)[0],
            f"{verdict.states:,}",
            str(verdict.depth),
            f"{verdict.seconds:.1f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
