"""Shell: ``callboard guard``: run the guards of a configuration, and try them on what was recorded."""

from __future__ import annotations

import typer

from callboard.cli.guard_backtest import backtest
from callboard.cli.shared import command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    guard = typer.Typer(no_args_is_help=True, help="Run guards, and try them on recorded runs.")
    command(guard, "backtest")(backtest)
    app.add_typer(guard, name="guard")
