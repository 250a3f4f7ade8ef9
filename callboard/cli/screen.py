"""Shell: shows runs while they go on. A terminal gets a live line for each step under way, others get plain lines."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import IO, Final

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from callboard.app.follow import TreeEvent
from callboard.bus.guard_messages import GuardEvent
from callboard.cli.teller import Line, Teller, dollars
from callboard.cli.verdicts import hold_line
from callboard.clock import SystemClock
from callboard.config.times import duration

_SPINNERS: Final = 12
"""Steps under way that are shown at the same time."""
_CLOCK: Final = SystemClock()


class Screen:
    """Tells a tree of runs, children indented, on ``stderr``; stdout is for the result."""

    def __init__(self, *, file: IO[str] | None = None) -> None:
        self.console = Console(stderr=file is None, file=file, highlight=False, soft_wrap=True)
        self._tellers: dict[str, tuple[int, Teller]] = {}
        self._live: Live | None = None

    @contextmanager
    def watching(self) -> Generator[None]:
        """Show the steps under way for as long as the body runs, if somebody watches."""
        if not self.console.is_terminal:
            yield
            return
        with Live(get_renderable=self._now, console=self.console, refresh_per_second=10, transient=True) as self._live:
            yield

    def show(self, given: TreeEvent) -> None:
        """Print what an event says."""
        depth, teller = self._tellers.setdefault(given.run.id, (given.depth, Teller()))
        line = hold_line(given.event) if isinstance(given.event, GuardEvent) else teller.tell(given.event)
        if line is not None:
            self.console.print(_text(line, depth))

    def total(self) -> str:
        """Turns, tokens and money of the whole tree."""
        tellers = [teller for _, teller in self._tellers.values()]
        turns = sum(teller.turns for teller in tellers)
        tokens, cost = sum(teller.tokens for teller in tellers), sum(teller.cost_usd_micros for teller in tellers)
        return f"{turns} {'turn' if turns == 1 else 'turns'} · {tokens:,} tokens · {dollars(cost)}"

    def _now(self) -> Group:
        rows: list[Spinner | Text] = []
        for depth, teller in self._tellers.values():
            for step in teller.open.values():
                since = 0.0 if step.since is None else max(0.0, (_CLOCK.now() - step.since).total_seconds())
                spinner = Spinner("dots", Text(f" {step.label}  {duration(since)}", style="dim"))
                rows.append(
                    spinner
                    if depth == 0
                    else Spinner("dots", Text(f"{'  ' * depth}{step.label}  {duration(since)}", style="dim"))
                )
        return Group(*rows[:_SPINNERS], Text(self.total(), style="dim"))


def _text(line: Line, depth: int) -> Text:
    took = f"  {duration(line.seconds)}" if line.seconds is not None else ""
    return Text.assemble("   " * depth, (line.sign, line.style), " ", line.text, (took, "dim"))
