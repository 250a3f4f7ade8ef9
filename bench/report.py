"""Shell: the table for people, the same in Markdown, and all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from bench.stats import Row

COLUMNS = ("case", "durability", "callboard", "floor", "share of the floor (rounds)", "target", "verdict")


def show(rows: Sequence[Row], facts: Mapping[str, str]) -> None:
    """Print machine and table to stdout."""
    console = Console(width=None if Console().is_terminal else 190, highlight=False)
    console.print(", ".join(f"{name}: {value}" for name, value in facts.items()), markup=False)
    table = Table(*COLUMNS, show_lines=False)
    last = rows[0].durability
    for row in rows:
        if row.durability != last:
            table.add_section()
            last = row.durability
        style = "red" if row.verdict.startswith("MISSED") else "green" if row.verdict else ""
        *cells, verdict = _cells(row)
        table.add_row(*cells, f"[{style}]{verdict}[/]" if style else verdict)
    console.print(table)


def markdown(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """For ``docs/benchmarks.md``."""
    lines = ["; ".join(f"{name}: {value}" for name, value in facts.items()), ""]
    lines += [_line(COLUMNS), _line(("---",) * len(COLUMNS))]
    return "\n".join([*lines, *(_line(_cells(row)) for row in rows)])


def as_json(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """One document: the machine, and every row with the figures of every round."""
    return json.dumps({"machine": dict(facts), "rows": [row.as_json() for row in rows]}, indent=2, ensure_ascii=False)


def _cells(row: Row) -> tuple[str, ...]:
    target = "" if row.target is None else str(row.target)
    return (row.case, row.durability or "-", row.figure, row.floor, row.ratio, target, row.verdict)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
