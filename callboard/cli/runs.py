"""Shell: ``callboard runs``: list, show, tail, verify, record."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from callboard.cli.client import board, known_run
from callboard.cli.options import RunId
from callboard.cli.shared import DONE, FAILED, Shared, Tenant, command, say

if TYPE_CHECKING:
    from pydantic import JsonValue

    from callboard.app.board import Board, Run
    from callboard.bus.ports import Stored

StatusName = Literal["queued", "running", "suspended", "completed", "failed", "killed"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Look at runs.")
    command(group, "list")(list_runs)
    command(group, "show")(show)
    command(group, "tail")(tail)
    command(group, "verify")(verify)
    command(group, "record")(record)
    app.add_typer(group, name="runs")


async def list_runs(
    shared: Shared,
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    status: Annotated[StatusName | None, typer.Option("--status", help="Only of this status.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 30,
) -> int:
    """The latest runs, newest first, also those that wait for a worker."""
    from callboard.cli.tables import print_runs

    async with board(shared) as opened:
        found = await opened.runs(tenant, status, limit)
    if shared.json:
        shared.show([each.as_json() for each in found])
    else:
        print_runs(found)
    return DONE


async def show(shared: Shared, run: RunId, *, tenant: Tenant = "default") -> int:
    """A run's journal as a timeline, and what came of it. With --json: the fold, and the entries."""
    from callboard.app.waiting import holds_of
    from callboard.cli.timeline import print_timeline, run_as_json

    async with board(shared) as opened:
        target = opened.run(run, tenant=tenant)
        entries = await _history(opened, target)
        held = await holds_of(opened.bus, target.key, entries)
        if shared.json:
            shared.show(run_as_json(target.key, entries, held))
        else:
            print_timeline(target.key, entries, held)
    return DONE


async def tail(
    shared: Shared,
    run: RunId,
    *,
    tenant: Tenant = "default",
    after: Annotated[int, typer.Option("--after", help="Only what lies behind this sequence.", min=0)] = 0,
) -> int:
    """A run's events, those that are there and those that come, until it is over."""
    from callboard.cli.outcome import show_event
    from callboard.cli.timeline import Timeline

    async with board(shared) as opened:
        target, timeline = await known_run(opened, run, tenant), Timeline()
        async with aclosing(target.events(after)) as events:
            async for event in events:
                if shared.json:
                    show_event(shared, event)
                else:
                    timeline.show(event)
    return DONE


async def verify(shared: Shared, run: RunId, *, tenant: Tenant = "default") -> int:
    """Check a run's journal against the rules of the protocol. Exit code 1: it breaks one."""
    from callboard.actors.history import check

    async with board(shared) as opened:
        target = opened.run(run, tenant=tenant)
        entries = await _history(opened, target)
    found = check({target.key: entries})
    listed: list[JsonValue] = [f"{each.rule} at {each.sequence}: {each.message}" for each in found]
    if shared.json:
        shared.show({"run": run, "tenant": tenant, "entries": len(entries), "violations": listed})
    else:
        for each in listed:
            say(f"violation: {each}")
        say(f"{len(entries)} entries, {len(found)} violations")
    return FAILED if found else DONE


async def record(
    shared: Shared,
    run: RunId,
    file: Annotated[Path, typer.Argument(help="Its configuration, whose secrets are left out.", metavar="FILE")],
    *,
    to: Annotated[Path, typer.Option("--to", help="Where the recording goes.")],
    tenant: Tenant = "default",
) -> int:
    """Write what the models of a run and of its children answered into a file, for tests that play it again."""
    from callboard.config.keys import known_secrets
    from callboard.config.loader import load
    from callboard.log import Redactor
    from callboard.testing.cassette import to_lines
    from callboard.testing.replay import recorded

    redactor = Redactor(known_secrets(load(file)))
    async with board(shared) as opened:
        cassette = await recorded(opened.bus, (await known_run(opened, run, tenant)).key)
    lines = [redactor.text(line) for line in to_lines(cassette)]
    to.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if shared.json:
        shared.show({"run": run, "tenant": tenant, "file": str(to), "answers": len(cassette.calls)})
    else:
        count = len(cassette.calls)
        found = "1 answer of run {} is" if count == 1 else f"{count} answers of run {{}} are"
        say(f"{found.format(run)} in {to}: look at it before you share it")
    return DONE


async def _history(opened: Board, run: Run) -> tuple[Stored, ...]:
    """The journal; empty while the run is queued. Raises ``ConfigError`` if nobody knows it."""
    entries = await run.history()
    if not entries:
        await known_run(opened, run.id, run.tenant)
    return entries
