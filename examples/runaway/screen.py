"""The picture: three runs side by side, below them what the guards say. Without a terminal: line after line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from examples.runaway.story import LINES, Tale, Verdict

COLOURS = {"observe": "dim", "warn": "yellow", "nudge": "magenta", "throttle": "cyan", "deny": "yellow",
    "pause": "cyan", "kill": "bold red"}  # fmt: skip
HEIGHT = LINES + 6
ROWS = 9


class Screen:
    """Draws itself whenever something came. ``live`` False: prints what is new instead."""

    def __init__(self, console: Console, tales: Mapping[str, Tale], *, cap: float) -> None:
        self._console = console
        self._tales = dict(tales)
        self._cap = cap
        self._verdicts: list[Verdict] = []
        self._live = Live(console=console, refresh_per_second=12, screen=False) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, tale: Tale) -> None:
        before = self._tales[tale.agent]
        self._tales[tale.agent] = tale
        if self._live is not None:
            self._draw()
        elif tale.lines[-1:] != before.lines[-1:]:
            style, text = tale.lines[-1]
            self._console.print(Text.assemble((f"{tale.agent:8} ", "bold"), (text, style)), soft_wrap=True)
        elif tale.end and not before.end:
            self._console.print(Text.assemble((f"{tale.agent:8} ", "bold"), (_end(tale), "red")))

    def judge(self, verdict: Verdict) -> None:
        self._verdicts.append(verdict)
        if self._live is not None:
            self._draw()
        else:
            self._console.print(Text.assemble(("guards   ", "bold red"), row_text(verdict)), soft_wrap=True)

    def _draw(self) -> None:
        assert self._live is not None
        runs = Table.grid(expand=True)
        for _ in self._tales:
            runs.add_column(ratio=1)
        runs.add_row(*(panel(tale, self._cap) for tale in self._tales.values()))
        self._live.update(Group(runs, guards_panel(self._verdicts)))


def _end(tale: Tale) -> str:
    return f"■ {'killed' if tale.end == 'killed' else 'failed'} · stopped by {tale.by}"


def panel(tale: Tale, cap: float) -> RenderableType:
    colour = "red" if tale.end else "green"
    status = Text(_end(tale) if tale.end else "● running", style=f"bold {colour}")
    spent = Text(f"{tale.calls} model calls · {tale.seconds:4.1f} s · ${tale.micros / 1e6:.2f}")
    bar = ProgressBar(total=cap, completed=min(cap, tale.micros / 1e6), complete_style="red" if tale.end else "cyan")
    lines = [Text(text, style=style, overflow="ellipsis", no_wrap=True) for style, text in tale.lines]
    body = Group(Text(tale.does, style="dim italic", no_wrap=True, overflow="ellipsis"), status, spent, bar, *lines)
    return Panel(body, title=f"[bold]{tale.agent}", border_style=colour, height=HEIGHT)


def guards_panel(verdicts: Sequence[Verdict]) -> RenderableType:
    table = Table(box=None, show_header=False, expand=True, padding=(0, 1))
    for width in (8, 8, 9):
        table.add_column(width=width, no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for verdict in verdicts[-ROWS:]:
        colour = COLOURS[verdict.action]
        table.add_row(verdict.agent, verdict.guard, Text(verdict.action, style=colour), verdict.reason)
    return Panel(table, title="[bold]cb.guard.>", border_style="yellow", height=ROWS + 2)


def row_text(verdict: Verdict) -> Text:
    action = (f"{verdict.action:8} ", COLOURS[verdict.action])
    return Text.assemble((f"{verdict.agent:8} ", "bold"), f"{verdict.guard:8} ", action, verdict.reason)


def summary(tales: Sequence[Tale]) -> Table:
    """What became of them."""
    table = Table(title="What stopped each, and what it cost", title_style="bold", box=None, padding=(0, 2))
    for column in ("agent", "what it did", "stopped by", "after", "model calls", "cost"):
        table.add_column(column, justify="right" if column in {"after", "model calls", "cost"} else "left")
    for tale in tales:
        cost, after = f"${tale.micros / 1e6:.2f}", f"{tale.seconds:.1f} s"
        table.add_row(f"[bold]{tale.agent}", tale.does, f"[red]{tale.by}", after, str(tale.calls), cost)
    return table
