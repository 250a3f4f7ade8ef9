"""Shell: ``callboard guard backtest``: what a guard would have done to the runs that are recorded."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callboard.cli.client import board
from callboard.cli.shared import DONE, Shared
from callboard.errors import ConfigError

if TYPE_CHECKING:
    from callboard.app.backtest import Period
    from callboard.guards.backtest import Report

Guard = Annotated[str, typer.Argument(help="Its name, or 'file.py:Class' for one of your own.", metavar="GUARD")]
File = Annotated[
    Path | None, typer.Argument(help="Take the settings of its agents, not those that the runs had.", metavar="[FILE]")
]


async def backtest(
    shared: Shared,
    guard: Guard,
    file: File = None,
    *,
    since: Annotated[
        str | None, typer.Option("--since", help="From when on: '7d' ago (the default), or '2026-11-20'.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until when. Default: now.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only runs of this tenant.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only runs of this agent.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Another setting, e.g. --set threshold=3. Any number of these.")
    ] = None,
    journals: Annotated[
        list[Path] | None,
        typer.Option("--journal", help="The runs in this file (`runs show RUN --json`), not the bus's. Any number."),
    ] = None,
) -> int:
    """Run a guard over recorded runs: whom it would have nudged or killed, who had finished well, what it would save.

    Nothing is written to the bus.
    """
    from callboard.app.backtest import backtest as run_backtest
    from callboard.app.backtest import backtest_files, candidate
    from callboard.config.loader import load
    from callboard.guards.overrides import parsed

    if journals and (since or until):
        raise ConfigError("--since and --until choose runs of the bus: a file of --journal is judged whole")
    period = _period(since or "7d", until, tenant=tenant, agent=agent)
    tried = candidate(guard, parsed(settings or ()), None if file is None else load(file))
    if journals:
        _show(shared, backtest_files(journals, tried, tenant=tenant, agent=agent))
        return DONE
    async with board(shared) as opened:
        with reading(shared) as progress:
            report = await run_backtest(opened.bus, tried, period, progress=progress)
    _show(shared, report)
    return DONE


def _period(since: str, until: str | None, *, tenant: str | None, agent: str | None) -> Period:
    from callboard.app.backtest import Period
    from callboard.cli.instants import instant
    from callboard.clock import SystemClock

    now = SystemClock().now()
    end = now if until is None else instant(until, "--until", now=now)
    return Period(instant(since, "--since", now=now), end, tenant, agent)


def _show(shared: Shared, report: Report) -> None:
    from callboard.cli.backtest_tables import print_report, report_as_json

    if shared.json:
        shared.show(report_as_json(report))
    else:
        print_report(report)


@contextmanager
def reading(shared: Shared) -> Generator[Callable[[int, int], None]]:
    """A bar on stderr, if somebody looks."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=shared.json or not console.is_terminal) as bar:
        task = bar.add_task("reading runs", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
