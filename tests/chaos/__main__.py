"""Shell: a storm of any length: ``python -m tests.chaos --seconds 300 --seed 7``; ``--cluster``: on three servers."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import anyio
from rich.console import Console
from rich.live import Live
from rich.table import Table

from tests.chaos.cluster import cluster
from tests.chaos.servers import one_server
from tests.chaos.storm import IN_CLUSTER, Outcome, Plan, Storm


def table(storm: Storm) -> Table:
    """What goes on."""
    plan, client = storm.plan, storm.client
    shown = Table(title=f"seed {plan.seed}", caption="faults stop, then everything must end", expand=False)
    shown.add_column("what")
    shown.add_column("count", justify="right")
    shown.add_row("seconds", f"{min(time.time() - storm.began, plan.seconds):.0f} of {plan.seconds:g}")
    if client is not None:
        over = sum(1 for state in client.states.values() if state.terminal is not None)
        shown.add_row("runs accepted", str(len(client.accepted)))
        shown.add_row("runs over, children included", str(over))
        shown.add_row("receipts", str(len(client.receipts)))
    for kind, count in sorted(storm.done.items()):
        shown.add_row(kind, str(count))
    return shown


async def storm(plan: Plan, folder: Path, *, clustered: bool) -> Outcome:
    """One storm under a live table."""
    console = Console()
    console.print(f"seed {plan.seed}, in {folder}", *plan.faults, sep="\n")
    async with cluster(folder) if clustered else one_server(folder) as servers:
        running = Storm(plan, servers, folder, tell=console.print)
        with Live(get_renderable=lambda: table(running), console=console, refresh_per_second=2):
            return await running.run()


def main() -> None:
    """Exit code 1: a promise was broken. The folder is kept then."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=float, default=Plan.rate, help="tasks a second")
    parser.add_argument("--cluster", action="store_true", help="three servers")
    given = parser.parse_args()
    more = IN_CLUSTER if given.cluster else {}
    plan = Plan(**{"rate": given.rate} | more, seconds=given.seconds, seed=given.seed)
    folder = Path(tempfile.mkdtemp(prefix="callboard-chaos-"))
    outcome = anyio.run(lambda: storm(plan, folder, clustered=given.cluster))
    print(outcome)
    if not outcome.ok:
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
