"""Shell: ``callboard guards``: watch what guards say, look it up, and see who is alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from callboard.bus.guard_words import Action
from callboard.cli.client import board
from callboard.cli.shared import DONE, Shared, command
from callboard.errors import ConfigError

if TYPE_CHECKING:
    from callboard.bus.guard_log import KeptEvent

TenantFilter = Annotated[str | None, typer.Option("--tenant", help="Only of this tenant's runs.")]
GuardFilter = Annotated[str | None, typer.Option("--guard", help="Only of this guard.")]
ActionFilter = Annotated[Action | None, typer.Option("--action", help="Only these.")]
RunFilter = Annotated[str | None, typer.Option("--run", help="Only about this run.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="See what guards say, and who of them is alive.")
    command(group, "watch")(watch)
    command(group, "events")(events)
    command(group, "list")(list_guards)
    app.add_typer(group, name="guards")


async def watch(
    shared: Shared,
    *,
    tenant: TenantFilter = None,
    guard: GuardFilter = None,
    action: ActionFilter = None,
    run: RunFilter = None,
) -> int:
    """A line for every verdict, from now on. With --json each line is an event."""
    from callboard.bus.guard_watch import follow_guards
    from callboard.cli.guards_tables import VerdictLines

    which, of = _token(tenant, "tenant"), _token(guard, "guard")
    async with board(shared) as opened:
        bus, lines = opened.bus, VerdictLines(shared)
        following = follow_guards(bus.connection, bus.guard_log, tenant=which, guard=of, action=action or "*")
        async with following as verdicts:
            lines.begin()
            async for kept in verdicts:
                if run in (None, kept.event.run):
                    lines.show(kept)
    return DONE


async def events(
    shared: Shared,
    *,
    since: Annotated[str, typer.Option("--since", help="From when on: '2h' ago, or '2026-11-20T08:00Z'.")] = "1d",
    tenant: TenantFilter = None,
    guard: GuardFilter = None,
    action: ActionFilter = None,
    run: RunFilter = None,
    limit: Annotated[int, typer.Option("--limit", help="The latest so many.", min=1)] = 100,
) -> int:
    """What guards said, the newest last. CB_GUARDS keeps it for 30 days."""
    from callboard.cli.guards_tables import print_events
    from callboard.cli.instants import instant
    from callboard.cli.verdicts import verdict_as_json

    which, of = _token(tenant, "tenant"), _token(guard, "guard")
    async with board(shared) as opened:
        log = opened.bus.guard_log
        after = await log.sequence_before(instant(since, "--since", now=opened.bus.clock.now()))
        found = await log.kept(tenant=which, guard=of, action=action or "*", after=after)
    chosen: list[KeptEvent] = [kept for kept in found if run in (None, kept.event.run)][-limit:]
    if shared.json:
        shared.show([verdict_as_json(kept.tenant, kept.event) for kept in chosen])
    else:
        print_events(chosen)
    return DONE


async def list_guards(shared: Shared) -> int:
    """The guards: who is alive and how far behind, who is missing; and the circuits that are not closed."""
    from callboard.app.guards_alive import guards_alive
    from callboard.cli.guards_tables import print_alive

    async with board(shared) as opened:
        alive = await guards_alive(opened.bus)
    if shared.json:
        shared.show(
            {
                "guards": [process.as_json() for process in alive.processes],
                "absent": [guard.as_json() for guard in alive.absent],
                "silent": list(alive.silent),
                "circuits": [circuit.as_json() for circuit in alive.circuits],
            }
        )
    else:
        print_alive(alive)
    return DONE


def _token(value: str | None, what: str) -> str:
    from callboard.bus.subjects import token

    if value == "":
        raise ConfigError(f"--{what} is empty: name one, or leave it out for all")
    return "*" if value is None else token(value, what)
