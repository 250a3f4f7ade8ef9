"""Shell: tables as they are, or, on a terminal that is too narrow, a card for each row: no id is ever cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

_WIDE: Final = 200
"""Columns where nobody watches: a pipe has no width."""
_READABLE: Final = 28
"""Columns that a text needs which may be folded or cut."""
_GAP: Final = 2


def console() -> Console:
    """Where tables go: stdout, wide if that is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDE)


def show_table(table: Table) -> None:
    """Print a table of texts. Its last column, and those that fold, may lose width; the others may not."""
    out = console()
    spare = out.width - sum(_least(table, column) + _GAP for column in table.columns) + _GAP
    if out.is_terminal and spare < 0:
        _show_cards(out, table)
        return
    for column in reversed(table.columns):  # rich would take it from all columns alike
        least = _least(table, column)
        column.width = least + min(max(spare, 0), _natural(column) - least)
        spare -= column.width - least
    out.print(table)


def _show_cards(out: Console, table: Table) -> None:
    names = [_text(column.header).plain for column in table.columns]
    footers = [[column.footer for column in table.columns]] if table.show_footer else []
    for row in (*zip(*(column.cells for column in table.columns), strict=True), *footers):
        _show_card(out, names, row)


def _show_card(out: Console, names: Sequence[str], row: Sequence[RenderableType]) -> None:
    label = max(map(cell_len, names)) + _GAP
    for name, cell in zip(names, row, strict=True):
        for line in _text(cell).split("\n"):
            if line.plain.strip():
                out.print(Text.assemble((f"{name:<{label}}", "dim"), line), soft_wrap=True)
    out.print()


def _least(table: Table, column: Column) -> int:
    """What it must have to be readable."""
    natural = _natural(column)
    yields = column is table.columns[-1] or column.overflow == "fold"
    return min(natural, _READABLE) if yields else natural


def _natural(column: Column) -> int:
    cells = (column.header, column.footer, *column.cells)
    widest = max(cell_len(line.plain) for cell in cells for line in _text(cell).split("\n"))
    return widest if column.max_width is None else min(widest, column.max_width)


def _text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))
