"""Shell: the commands that talk to a deployment: ``submit``, ``watch``, ``kill``, ``pause``, ``steer``, and others."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from callboard.cli.options import InputJson, LaneOption, RunId, given_input, parsed
from callboard.cli.shared import DONE, FAILED, Shared, Tenant, command, say
from callboard.errors import ConfigError

if TYPE_CHECKING:
    from callboard.app.board import Board, Run


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "submit")(submit)
    command(app, "watch")(watch)
    command(app, "kill")(kill)
    command(app, "pause")(pause)
    command(app, "resume")(resume)
    command(app, "steer")(steer)
    command(app, "signal")(signal)
    command(app, "resolve")(resolve)


@asynccontextmanager
async def board(shared: Shared) -> AsyncGenerator[Board]:
    """The board of the deployment that the options name."""
    from callboard.app.board import open_board

    shared.logs()
    async with open_board(shared.bus(), by=shared.by) as opened:
        yield opened


async def submit(
    shared: Shared,
    agent: Annotated[str, typer.Argument(help="Which agent.", metavar="AGENT")],
    input: Annotated[str, typer.Argument(help="The task; '-' reads it from stdin.", metavar="INPUT")],  # noqa: A002 - the word of the message
    *,
    input_json: InputJson = False,
    tenant: Tenant = "default",
    lane: LaneOption = "normal",
    key: Annotated[str | None, typer.Option("--key", help="Submissions with the same key are one run.")] = None,
    deadline: Annotated[str | None, typer.Option("--deadline", help="From now to its end, e.g. 90, 15m, 1h.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show the run until it ends, and print its result.")] = False,
) -> int:
    """Give a task to an agent and print the run's id. Once it is printed, the run happens."""
    from callboard.app.serving import never_served

    given = given_input(input, as_json=input_json)
    seconds = None if deadline is None else _seconds(deadline)
    async with board(shared) as opened:
        run = await opened.submit(agent, given, tenant=tenant, lane=lane, key=key, deadline=seconds)
        unserved = await never_served(opened.bus, agent)
        if unserved and not shared.json:
            typer.secho(f"the task waits: {unserved}", fg="yellow", err=True)
        if wait:
            return await _watch(shared, opened, run)
        if shared.json:
            shared.show({"run": run.id, "tenant": run.tenant, "agent": agent, "served": not unserved})
        else:
            say(run.id)
    return DONE


async def watch(
    shared: Shared,
    run: Annotated[str | None, typer.Argument(help="The run's id.", metavar="[RUN]")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All runs of all tenants, from now on.")] = False,
    tokens: Annotated[bool, typer.Option("--tokens", help="With --json: a line for each piece of text too.")] = False,
    tenant: Tenant = "default",
) -> int:
    """Show a run as it happens, and end with it. With --json each line is an event."""
    if (run is None) != everything:
        raise ConfigError("watch what? Give a run's id, or --all")
    if tokens and (everything or not shared.json):
        raise ConfigError("--tokens is for --json and one run: a terminal shows the text of a run anyway")
    async with board(shared) as opened:
        if run is not None:
            target = await known_run(opened, run, tenant)
            return await (_stream(shared, target, tokens=tokens) if shared.json else _watch(shared, opened, target))
        from callboard.cli.watch_all import watch_all

        await watch_all(shared, opened.bus.connection)
    return DONE


async def kill(
    shared: Shared,
    run: RunId,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the journal.")] = "",
    tenant: Tenant = "default",
) -> int:
    """End a run and all that it spawned, and print the receipt: accepted, settled, and what is in doubt.

    The kill of a run that is not there (yet) stands: if it comes, it ends before it starts. Exit code 1: the run had
    ended by itself before.
    """
    from callboard.cli.outcome import print_receipt

    async with board(shared) as opened:
        target = opened.run(run, tenant=tenant)
        known = await opened.knows(target)
        receipt = await target.kill(reason)
    print_receipt(shared, receipt, known=known)
    return DONE if receipt.killed else FAILED


async def pause(
    shared: Shared,
    run: RunId,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the journal.")] = "",
    tenant: Tenant = "default",
) -> int:
    """Hold a run before its next model call, tool call or step. What runs ends; its children wait too."""
    async with board(shared) as opened:
        target = await _open_run(opened, run, tenant)
        await target.pause(reason)
        queued = (await target.state()).created is None
    return _said(shared, target, "paused", "it is queued: it is held before its first step" if queued else "")


async def resume(shared: Shared, run: RunId, *, tenant: Tenant = "default") -> int:
    """Let a paused run go on, whoever paused it."""
    async with board(shared) as opened:
        target = await _open_run(opened, run, tenant)
        if not await target.resume():
            raise ConfigError(f"run {run!r} is not paused: there is nothing to resume")
    return _said(shared, target, "resumed")


async def steer(
    shared: Shared,
    run: RunId,
    text: Annotated[str, typer.Argument(help="What the agent should know.", metavar="TEXT")],
    *,
    tenant: Tenant = "default",
) -> int:
    """Leave a note that the agent reads before its next turn."""
    async with board(shared) as opened:
        target = await _open_run(opened, run, tenant)
        await target.steer(text)
    return _said(shared, target, "noted")


async def signal(
    shared: Shared,
    run: RunId,
    name: Annotated[str, typer.Argument(help="Which signal.", metavar="NAME")],
    value: Annotated[str, typer.Argument(help="Its value, as JSON.", metavar="[VALUE]")] = "null",
    *,
    tenant: Tenant = "default",
) -> int:
    """Send the signal that a run waits for. The first one of a name counts."""
    from callboard.bus.subjects import token

    given = parsed(value, "the value")
    token(name, "signal name")
    async with board(shared) as opened:
        target = await _open_run(opened, run, tenant)
        await target.send(name, given)
    return _said(shared, target, "sent")


async def resolve(
    shared: Shared,
    run: RunId,
    call: Annotated[str, typer.Argument(help="The call in doubt, as `runs show` names it.", metavar="CALL")],
    decision: Annotated[Literal["done", "retry", "fail"], typer.Argument(help="What became of it.")],
    value: Annotated[str, typer.Argument(help="With done: its result, as JSON.", metavar="[VALUE]")] = "null",
    *,
    tenant: Tenant = "default",
) -> int:
    """Say what became of a call in doubt: it took effect (done), it did not (retry), or the agent must do without."""
    given = parsed(value, "the value")
    async with board(shared) as opened:
        target = await _open_run(opened, run, tenant)
        state = await target.state()
        if call not in state.in_doubt:
            listed = ", ".join(state.in_doubt) or "none"
            raise ConfigError(f"call {call!r} of run {run!r} is not in doubt: the calls in doubt are {listed}")
        await target.resolve(call, decision, given)
    return _said(shared, target, "resolved")


async def _stream(shared: Shared, run: Run, *, tokens: bool) -> int:
    """Each event, and with ``tokens`` each piece of text, as a line of JSON."""
    from callboard.cli.outcome import outcome_code, show_event

    async with aclosing(run.events(tokens=True) if tokens else run.events()) as events:
        async for event in events:
            show_event(shared, event)
    return outcome_code(await run.state())


async def _watch(shared: Shared, opened: Board, run: Run) -> int:
    from callboard.cli.outcome import show_outcome, show_progress
    from callboard.cli.screen import Screen

    await show_progress(shared, opened, run, Screen())
    return await show_outcome(shared, run)


async def known_run(opened: Board, run: str, tenant: str) -> Run:
    """A run that has begun, or is queued. Raises ``ConfigError``."""
    target = opened.run(run, tenant=tenant)
    if not await opened.knows(target):
        raise ConfigError(f"there is no run {run!r} of tenant {tenant!r}: `callboard runs list` has those that are")
    return target


async def _open_run(opened: Board, run: str, tenant: str) -> Run:
    """A run that can still hear. Raises ``ConfigError``."""
    target = await known_run(opened, run, tenant)
    state = await target.state()
    if state.terminal is not None:
        raise ConfigError(f"run {run!r} is over ({state.status}): it hears nothing any more")
    return target


def _said(shared: Shared, run: Run, what: str, more: str = "") -> int:
    if shared.json:
        shared.show({"run": run.id, "tenant": run.tenant, "status": what})
    else:
        say(f"{what}: {run.id}{f'  ({more})' if more else ''}")
    return DONE


def _seconds(text: str) -> float:
    from callboard.config.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--deadline is {text!r}: {error}") from error
