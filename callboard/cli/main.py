"""Shell: the command line. Commands import what they need when they run, so that ``--help`` is there at once."""

from __future__ import annotations

import gc
import io
import sys

import typer

from callboard.cli import budget, cache, client, guard, guards, look, nodes, run, runs
from callboard.cli.shared import EXIT_CODES

app = typer.Typer(
    name="callboard",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its boxes take as long as all the rest
    epilog=EXIT_CODES,
)
for part in (run, nodes, client, runs, guard, guards, budget, cache, look):
    part.register(app)


@app.callback()
def callboard() -> None:
    """Runs AI agents as actors on a NATS bus: every run is a journal, any worker can finish it, any kill is proven."""


def main() -> None:
    """The entry point ``callboard``."""
    gc.set_threshold(20_000)  # what commands import stays: to look for garbage there is 7 % of their start
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character is no reason to fail
    sys.path.insert(0, "")  # `package.module:function` is looked for where the user stands
    app()
