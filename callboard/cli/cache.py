"""Shell: ``callboard cache``: how much of their prompts runs have read from the providers' caches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from callboard.cli.client import board
from callboard.cli.shared import DONE, Shared, command, say

if TYPE_CHECKING:
    from callboard.guards.cache.ratios import Read


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "cache")(cache)


async def cache(
    shared: Shared,
    *,
    since: Annotated[str, typer.Option("--since", help="Runs with an entry since: '1d' ago, or '2026-11-20'.")] = "1d",
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only of this agent.")] = None,
) -> int:
    """How much of their prompts calls have read from the providers' caches, and what the misses cost.

    By agent, model and prefix (tools and system prompt). A new prefix begins with an empty cache.
    """
    from callboard.cli.guard_backtest import reading
    from callboard.cli.instants import instant
    from callboard.guards.backtest import spec_of
    from callboard.guards.cache.ratios import added_up, as_json, reads_of
    from callboard.guards.recordings import recordings
    from callboard.guards.sidecar.judge import created_in

    found: list[Read] = []
    async with board(shared) as opened:
        now = opened.bus.clock.now()
        start = instant(since, "--since", now=now)
        with reading(shared) as progress:
            read = recordings(opened.bus, since=start, until=now, tenant=tenant, progress=progress)
            async with aclosing(read) as runs:
                async for _, entries in runs:
                    created = created_in(entries)
                    if created is not None and agent in (None, created.agent):
                        found += reads_of(entries, spec_of(created))
    rows = added_up(found)
    if shared.json:
        shared.show(as_json(rows))
    else:
        _print(rows)
    return DONE


def _print(rows: Sequence[Read]) -> None:
    from rich.table import Table
    from rich.text import Text

    from callboard.cli.layout import show_table
    from callboard.cli.teller import dollars
    from callboard.config.times import instant

    if not rows:
        say("no calls of models with a prompt cache")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("agent", "model", "tools/system", "since"):
        table.add_column(name, no_wrap=True)
    for name in ("calls", "ratio", "read", "written", "fresh", "missed", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        figures = (f"{number:,}" for number in (row.read, row.written, row.fresh, row.missed))
        words = (row.agent, row.model, row.prefix, instant(row.at))
        table.add_row(*map(Text, words), f"{row.calls:,}", f"{row.ratio:.0%}", *figures, dollars(row.missed_usd_micros))
    show_table(table)
