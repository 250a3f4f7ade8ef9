"""Shell: the commands that start processes: ``up``, ``worker``, ``supervisor``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from callboard.cli.shared import DONE, Shared, command, say

Port = Annotated[int | None, typer.Option("--port", help="Port of the server. Default: a free one.", min=1, max=65535)]
Slots = Annotated[int, typer.Option("--slots", help="Runs at the same time, in each worker.", min=1)]
Drain = Annotated[float, typer.Option("--drain", help="Seconds that steps under way get when it is to end.", min=0)]


if TYPE_CHECKING:
    from callboard.app.bus_at import BusAt


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "up", level="info")(up)
    command(app, "worker", level="info")(worker)
    command(app, "supervisor", level="info")(supervisor)


async def up(
    shared: Shared,
    file: Annotated[Path | None, typer.Argument(help="The configuration for the workers.", metavar="[FILE]")] = None,
    *,
    workers: Annotated[int, typer.Option("--workers", help="How many worker processes.", min=0)] = 2,
    guards: Annotated[int, typer.Option("--guards", help="How many guard processes; they share the runs.", min=0)] = 1,
    slots: Slots = 100,
    data: Annotated[Path, typer.Option("--data", help="Where the bus keeps its data.")] = Path(".callboard"),
    port: Port = None,
    durability: Annotated[
        Literal["always", "relaxed"],
        typer.Option("--durability", help="relaxed: faster, and a power loss may lose what was written last."),
    ] = "always",
) -> int:
    """Start a deployment here: bus (unless --url names one), supervisor, guards, workers. Ctrl-C or SIGTERM ends it."""
    from callboard.app.bus_at import BusAt
    from callboard.app.process import up as run_up
    from callboard.app.server import kept_server
    from callboard.bus.subjects import Subjects

    _look_at(shared, file)
    subjects = Subjects(shared.prefix)
    async with AsyncExitStack() as stack:
        if shared.url is None:
            server = await stack.enter_async_context(kept_server(data, durability=durability, port=port))
            at = BusAt((server.url,), subjects)
        else:
            at = shared.bus()
        commands = {} if file is None else {
            "guard": (_command(shared, at.urls, "guard", "run", str(file)), guards),
            "worker": (_command(shared, at.urls, "worker", str(file), "--slots", str(slots)), workers),
        }  # fmt: skip
        told = partial(_say_up, shared, at, {kind: count for kind, (_, count) in commands.items()}, data)
        await run_up(at, commands, told=told)
    return DONE


async def worker(
    shared: Shared,
    file: Annotated[Path, typer.Argument(help="The configuration.", metavar="FILE")],
    *,
    slots: Slots = 100,
    drain: Drain = 0.8,
    name: Annotated[str | None, typer.Option("--name", help="What it is called. Default: host and process.")] = None,
) -> int:
    """Run the agents of a configuration, until SIGTERM: then it finishes or hands over what it holds, within 1 s."""
    from callboard.app.agents import load_agents
    from callboard.app.guards import guarding_of
    from callboard.app.node import WorkerSettings
    from callboard.app.process import process_name, run_worker
    from callboard.bus.subjects import token
    from callboard.config.keys import open_providers
    from callboard.config.loader import load

    config = load(file)
    providers = open_providers(config)
    shared.logs(config.secrets | providers.secrets)
    settings = WorkerSettings(token(name or process_name(), "name"), slots, drain, warms=True)
    agents, guarding = load_agents(config), guarding_of(config)
    await run_worker(shared.bus(), agents, settings, guarding=guarding, providers=providers)
    return DONE


async def supervisor(shared: Shared) -> int:
    """Wake suspended runs, end the children of ended ones, sweep what was lost. Any number of these share the work."""
    from callboard.app.process import run_supervisor

    shared.logs()
    await run_supervisor(shared.bus())
    return DONE


def _look_at(shared: Shared, file: Path | None) -> None:
    """A mistake in the configuration, or a missing key, is better found here than by each worker."""
    from callboard.app.agents import load_agents
    from callboard.config.keys import open_providers
    from callboard.config.loader import load

    config = None if file is None else load(file)
    shared.logs(frozenset() if config is None else config.secrets)
    if config is not None:
        load_agents(config)
        open_providers(config)


def _say_up(shared: Shared, at: BusAt, counts: Mapping[str, int], data: Path) -> None:
    where, workers, guards = ",".join(at.urls), counts.get("worker", 0), counts.get("guard", 0)
    if shared.json:
        shared.show(
            {
                "url": where,
                "prefix": at.subjects.prefix,
                "workers": workers,
                "guards": guards,
                "data_dir": str(data),
            }
        )
    else:
        kept = f" · data in {data}" if shared.url is None else ""
        say(f"up: {where} · {workers} workers · {guards} guards{kept} · Ctrl-C ends it")


def _command(shared: Shared, urls: tuple[str, ...], *arguments: str) -> list[str]:
    options = ["--url", ",".join(urls), "--prefix", shared.prefix]
    logs = ["--log-format", shared.log_format, "--log-level", shared.log_level]
    return [sys.executable, "-m", "callboard", *arguments, *options, *logs]
