"""Shell: ``callboard guard``: run the guards of a configuration, and try them on what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callboard.cli.guard_backtest import backtest
from callboard.cli.shared import DONE, Shared, command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    guard = typer.Typer(no_args_is_help=True, help="Run guards, and try them on recorded runs.")
    command(guard, "run", level="info")(run)
    command(guard, "backtest")(backtest)
    app.add_typer(guard, name="guard")


async def run(
    shared: Shared,
    file: Annotated[Path, typer.Argument(help="The configuration.", metavar="FILE")],
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="This guard, and no others; may be given several times.")
    ] = None,
) -> int:
    """Judge runs from outside, until SIGTERM, and post alerts. Any number of these share the runs."""
    from callboard.app.guarding import run_guard
    from callboard.app.guards import guarding_of
    from callboard.config.loader import load

    config = load(file)
    shared.logs(config.secrets)
    guarding = guarding_of(config)
    await run_guard(shared.bus(), guarding if only is None else guarding.only(only))
    return DONE
