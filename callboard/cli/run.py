"""Shell: ``callboard run``: everything embedded, the run shown as it happens."""

from __future__ import annotations

import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from callboard.cli.options import InputJson, LaneOption, given_input
from callboard.cli.shared import INTERRUPTED, Shared, Tenant, command

if TYPE_CHECKING:
    from callboard.actors.receipt import Receipt
    from callboard.app.board import Board, Run
    from callboard.app.embedded import Embedded
    from callboard.cli.screen import Screen

File = Annotated[Path, typer.Argument(help="The configuration, e.g. agents.yaml.", metavar="FILE")]
AgentName = Annotated[str, typer.Argument(help="Which agent or function of it.", metavar="AGENT")]
Input = Annotated[str, typer.Argument(help="The task; '-' reads it from stdin.", metavar="INPUT")]
Data = Annotated[Path, typer.Option("--data", help="Where the bus keeps its data.")]
Durability = Annotated[
    Literal["always", "relaxed"],
    typer.Option("--durability", help="relaxed: faster, and a power loss may lose what was written last."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "run")(run)


async def run(
    shared: Shared,
    file: File,
    agent: AgentName,
    input: Input,  # noqa: A002 - the word of the message
    *,
    input_json: InputJson = False,
    tenant: Tenant = "default",
    lane: LaneOption = "normal",
    data: Data = Path(".callboard"),
    durability: Durability = "always",
) -> int:
    """Run an agent here: bus, supervisor, guards and worker are started, and ended, for you. Prints the result.

    A server that lives in the data directory already, or the one of --url, is used. Ctrl-C kills the run and prints
    the receipt.
    """
    from callboard.cli.screen import Screen

    given = given_input(input, as_json=input_json)
    async with _deployed(shared, file, agent, data=data, durability=durability) as here:
        screen = Screen()
        submitted = await here.board.submit(agent, given, tenant=tenant, lane=lane)
        if not shared.json:
            kept = f" · data in {here.data_dir}" if here.data_dir is not None else ""
            screen.console.print(f"run {submitted.id} · {here.url}{kept}", style="dim", markup=False)
        return await _killable(shared, here.board, submitted, screen)


def _deployed(
    shared: Shared, file: Path, agent: str, *, data: Path, durability: Literal["always", "relaxed"]
) -> AbstractAsyncContextManager[Embedded]:
    """What the file has, all of it in this process. Raises ``ConfigError`` if it does not have the agent."""
    from callboard.app.agents import load_agents
    from callboard.app.embedded import embedded
    from callboard.app.guards import guarding_of
    from callboard.bus.subjects import Subjects
    from callboard.config.expectations import nearest
    from callboard.config.keys import open_providers
    from callboard.config.loader import load
    from callboard.errors import ConfigError

    config = load(file)
    providers = open_providers(config)
    shared.logs(config.secrets | providers.secrets)
    agents = load_agents(config)
    if agent not in agents:
        raise ConfigError(f"there is no agent {agent!r} in {str(file)!r}{nearest(agent, agents)}")
    at, guarding = None if shared.url is None else shared.bus(), guarding_of(config)
    subjects, by = Subjects(shared.prefix), shared.by
    return embedded(
        agents,
        at=at,
        data_dir=data,
        durability=durability,
        subjects=subjects,
        by=by,
        guarding=guarding,
        providers=providers,
    )


async def _killable(shared: Shared, board: Board, run: Run, screen: Screen) -> int:
    """Show the run until it ends; Ctrl-C kills it, a second one leaves at once. Returns the exit code."""
    import anyio

    from callboard.cli.outcome import print_receipt, show_outcome, show_progress

    interrupted = anyio.Event()
    receipts: list[Receipt] = []

    async def kill() -> None:
        receipts.append(await run.kill("interrupted"))
        group.cancel_scope.cancel()

    async def listen() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if interrupted.is_set():
                    group.cancel_scope.cancel()
                interrupted.set()
                group.start_soon(kill)

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await show_progress(shared, board, run, screen)
        if interrupted.is_set():
            await anyio.sleep_forever()  # until the receipt is there
        group.cancel_scope.cancel()
    if not interrupted.is_set():
        return await show_outcome(shared, run)
    for receipt in receipts:
        print_receipt(shared, receipt)
    return INTERRUPTED
