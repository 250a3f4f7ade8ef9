"""Shell: what guards say and who of them is alive, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callboard.app.guards_alive import GuardsAlive, OpenCircuit
from callboard.bus.guard_log import KeptEvent
from callboard.bus.guard_words import Missing
from callboard.cli.layout import show_table
from callboard.cli.shared import Shared, say
from callboard.cli.teller import plain
from callboard.cli.verdicts import SIGN_OF, STYLE_OF, said_only, verdict_as_json, verdict_line
from callboard.config.times import instant, time_of_day

_WITHOUT: Final[Mapping[Missing, str]] = {"open": "runs go on", "closed": "runs wait"}
_NOW: Final[Mapping[Missing | None, str]] = {
    "open": "runs go on without it", "closed": "runs wait for it", None: "no worker that is alive has it"
}  # fmt: skip
_BEHIND: Final = 1_000
"""Entries from which on a lag is worth a colour."""


class VerdictLines:
    """A line for each verdict, as it comes."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._console = Console(soft_wrap=True, highlight=False)

    def begin(self) -> None:
        """Say that somebody listens."""
        Console(stderr=True, highlight=False).print("watching what guards say · Ctrl-C ends it", style="dim")

    def show(self, kept: KeptEvent) -> None:
        """Print one."""
        if self._shared.json:
            self._shared.show(verdict_as_json(kept.tenant, kept.event))
            return
        line = verdict_line(kept.tenant, kept.event)
        clock = time_of_day(kept.event.at)
        self._console.print(Text.assemble((f"{clock}  ", "dim"), (f"{line.sign} {line.text}", line.style)))


def print_events(events: Sequence[KeptEvent]) -> None:
    """Verdicts, a line each."""
    if not events:
        say("no guard events")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("at", "tenant", "run", "agent", "guard", "action"):
        table.add_column(name, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for kept in events:
        event = kept.event
        style = STYLE_OF[event.action]
        action = Text(f"{SIGN_OF[event.action]} {event.action}{said_only(event)}", style=style)
        at = instant(event.at)
        table.add_row(at, kept.tenant, event.run, event.agent, event.guard, action, Text(plain(event.reason)))
    show_table(table)


def print_alive(alive: GuardsAlive) -> None:
    """Guards that are alive, those that are not, then circuits."""
    if alive.processes or alive.absent:
        table = Table(box=None, pad_edge=False)
        for name in ("guard", "state", "process", "shares"):
            table.add_column(name, no_wrap=True)
        for name in ("judged up to", "behind"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("without it", no_wrap=True)
        for each in alive.processes:
            shares = f"{len(each.partitions)} of {each.of}" if each.partitions else ""
            state = Text("alive", style="green") if each.partitions else Text("stands by", style="dim")
            behind = Text(f"{each.lag:,}", style="yellow" if each.lag >= _BEHIND else "")
            table.add_row(
                each.guard, state, each.replica, shares, f"{each.watermark:,}", behind, _WITHOUT[each.missing]
            )
        for gone in alive.absent:
            style = "bold red" if gone.missing == "closed" else "yellow"
            judged = f"{gone.watermark:,}" if gone.watermark else ""
            without = Text(_NOW[gone.missing], style=style if gone.missing else "dim")
            table.add_row(gone.guard, Text(gone.state.replace("_", " "), style=style), "", "", judged, "", without)
        show_table(table)
    if not alive.processes:
        say("no guard process is alive: runs have the guards of their workers (budget, breaker, limits) only.")
    if alive.absent or not alive.processes:
        say("`callboard guard run FILE` starts what is missing")
    for name in alive.silent:
        say(f"{name} answers, and its guards do not pulse: look at its log")
    if alive.circuits:
        say("")
        _print_circuits(alive.circuits)


def _print_circuits(circuits: Sequence[OpenCircuit]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("circuit", "tenant", "phase", "until", "cause", "trips"):
        table.add_column(name, no_wrap=True)
    for each in circuits:
        tenant = "all" if each.tenant == "_" else each.tenant
        phase = Text(each.phase.replace("_", " "), style="red" if each.phase == "open" else "yellow")
        until = instant(each.until)
        table.add_row(Text(plain(each.name)), tenant, phase, until, each.cause, str(each.trips))
    show_table(table)
