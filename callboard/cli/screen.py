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
from callboard.app.run import Run
from callboard.app.run_event import RunEvent, TextEvent
from callboard.bus.guard_messages import GuardEvent
from callboard.cli.growing import Growing
from callboard.cli.teller import Line, Teller, total
from callboard.cli.verdicts import hold_line
from callboard.clock import SystemClock
from callboard.config.times import duration

_ROWS: Final = 16
"""Of steps under way, and of what they say."""
_NARROW: Final = 20
_CLOCK: Final = SystemClock()


class Screen:
    """Tells a tree of runs, children indented, on ``stderr``; stdout is for the result."""

    def __init__(self, *, file: IO[str] | None = None) -> None:
        self.console = Console(stderr=file is None, file=file, highlight=False, soft_wrap=True)
        self._tellers: dict[str, tuple[int, Teller, Growing]] = {}
        self._runs: dict[str, Run] = {}
        self._live: Live | None = None

    @property
    def lively(self) -> bool:
        """Is it a terminal? Then what models say is shown as it grows."""
        return self.console.is_terminal

    @contextmanager
    def watching(self) -> Generator[None]:
        """Show the steps under way for as long as the body runs, if somebody watches."""
        if not self.lively:
            yield
            return
        with Live(get_renderable=self._now, console=self.console, refresh_per_second=10, transient=True) as self._live:
            yield

    def show(self, given: TreeEvent) -> None:
        """Print what an event says."""
        self._runs[given.run.id] = given.run
        depth, teller, growing = self._tellers.setdefault(given.run.id, (given.depth, Teller(), Growing()))
        line = _line(given.event, teller, growing)
        if line is not None:
            self.console.print(_text(line, depth))

    @property
    def runs(self) -> tuple[Run, ...]:
        """Those that were told of."""
        return tuple(self._runs.values())

    def _total(self) -> str:
        """Turns, tokens and money of the whole tree so far."""
        tellers = [teller for _, teller, _ in self._tellers.values()]
        turns = sum(teller.turns for teller in tellers)
        tokens, cost = sum(teller.tokens for teller in tellers), sum(teller.cost_usd_micros for teller in tellers)
        return total(turns, tokens, cost)

    def _now(self) -> Group:
        rows: list[Spinner | Text] = []
        for depth, teller, growing in self._tellers.values():
            indent, width = "  " * depth, max(_NARROW, self.console.width - 2 * depth - 4)
            for call, step in teller.open.items():
                since = 0.0 if step.since is None else max(0.0, (_CLOCK.now() - step.since).total_seconds())
                head = f" {step.label}  {duration(since)}" if depth == 0 else f"{indent}{step.label}  {duration(since)}"
                rows.append(Spinner("dots", Text(head, style="dim")))
                rows += [Text(f"{indent}  │ {line}") for line in growing.lines(call, width=width)]
        return Group(*rows[:_ROWS], Text(self._total(), style="dim"))


def _line(event: RunEvent | TextEvent | GuardEvent, teller: Teller, growing: Growing) -> Line | None:
    if isinstance(event, GuardEvent):
        return hold_line(event)
    return growing.hear(event.event) if isinstance(event, TextEvent) else teller.tell(event)


def _text(line: Line, depth: int) -> Text:
    took = f"  {duration(line.seconds)}" if line.seconds is not None else ""
    return Text.assemble("   " * depth, (line.sign, line.style), " ", line.text, (took, "dim"))
