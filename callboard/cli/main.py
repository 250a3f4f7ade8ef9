"""Shell: the command line. Commands import what they need when they run, so that ``--help`` is there at once."""

from __future__ import annotations

import sys

import typer

from callboard.cli.run import run

app = typer.Typer(name="callboard", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(run)


@app.callback()
def callboard() -> None:
    """Runs AI agents as actors on a NATS bus."""


def main() -> None:
    """The entry point ``callboard``."""
    sys.path.insert(0, "")
    app()
