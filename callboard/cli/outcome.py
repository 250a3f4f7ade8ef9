"""Shell: how a run goes, how it ended, and what a kill did, for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, assert_never

import anyio
from rich.console import Console
from rich.text import Text

from callboard.app.follow import follow_tree
from callboard.app.summary import summary
from callboard.bus.messages import RunCompleted, RunFailed
from callboard.cli.shared import DONE, FAILED, KILLED, Shared, say
from callboard.cli.teller import plain, total
from callboard.clock import SystemClock
from callboard.config.times import duration, instant

if TYPE_CHECKING:
    from pydantic import JsonValue

    from callboard.actors.receipt import Receipt
    from callboard.actors.state import RunState
    from callboard.app.board import Board, Run, RunEvent
    from callboard.app.run_event import TextEvent
    from callboard.cli.screen import Screen


_SILENCE: Final = 3.0
"""Seconds after which somebody who waits for a run is told that it has not begun."""


async def show_progress(shared: Shared, board: Board, run: Run, screen: Screen) -> None:
    """Show the run and its children until it is over; with ``--json`` only wait."""
    begun = anyio.Event()

    async def say_if_not() -> None:
        with anyio.move_on_after(_SILENCE):
            await begun.wait()
        if not begun.is_set():
            text = "queued: no worker has it yet, `callboard doctor` says why"
            screen.console.print(f"· {text}", style="yellow", markup=False)

    tokens = screen.lively and not shared.json
    with screen.watching():
        async with anyio.create_task_group() as group, follow_tree(board, run, tokens=tokens) as events:
            if not shared.json:
                group.start_soon(say_if_not)
            async for event in events:
                begun.set()
                if not shared.json:
                    screen.show(event)
            begun.set()
    if not shared.json:
        screen.console.print(await _total(screen), style="dim", markup=False)


async def _total(screen: Screen) -> str:
    """What the whole tree used, as its journals say: a call that the end cut off is charged behind it."""
    now = SystemClock().now()
    told = [summary(run.key, await run.state(), None, now=now) for run in screen.runs]
    tokens, cost = sum(each.tokens for each in told), sum(each.cost_usd_micros for each in told)
    return total(sum(each.turns for each in told), tokens, cost)


async def show_outcome(shared: Shared, run: Run) -> int:
    """Print the result of a run that is over (or the whole outcome as JSON), and return the exit code.

    What a guard let a run finish with, a partial result, is printed like a result; the exit code tells it from one.
    """
    state = await run.state()
    code, end = outcome_code(state), state.terminal
    result = await run.content(end.result) if isinstance(end, RunCompleted) else None
    partial = await run.content(end.partial) if isinstance(end, RunFailed) and end.partial is not None else None
    if shared.json:
        told = summary(run.key, state, None, now=SystemClock().now()).as_json()
        shared.show({**told, "result": result, "partial": partial, "in_doubt": list(state.in_doubt)})
    elif code == DONE or partial is not None:
        print_value(result if code == DONE else partial)
    return code


def outcome_code(state: RunState) -> int:
    """The exit code for the end of a run."""
    match state.outcome:
        case "completed":
            return DONE
        case "failed":
            return FAILED
        case "killed":
            return KILLED
        case None:
            raise AssertionError("the run is over")
        case _:
            assert_never(state.outcome)


def show_event(shared: Shared, event: RunEvent | TextEvent) -> None:
    """One event as a line of JSON."""
    at = None if event.at is None else event.at.isoformat()
    body = event.event.model_dump(mode="json", exclude_defaults=True)
    shared.show({"sequence": event.sequence, "at": at, "type": event.event.type, **body})


def print_value(value: JsonValue) -> None:
    """A result on stdout: text as it is (a terminal gets no control characters), everything else as JSON."""
    console = Console(soft_wrap=True, highlight=False)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    say(plain(text) if console.is_terminal else text)


def print_receipt(shared: Shared, receipt: Receipt, *, known: bool = True) -> None:
    """The receipt of a kill, on stdout. ``known``: was there such a run, or will the kill meet one that comes?"""
    if shared.json:
        shared.show({**receipt.as_json(), "known": known})
        return
    console = Console(soft_wrap=True, highlight=False)
    if receipt.earlier is not None:
        before = receipt.earlier
        at = "" if before.at is None else f" at {instant(before.at)}"
        told = f" {receipt.run}{at} by {before.by or 'somebody'}: {before.reason or 'no reason given'}"
        head = Text.assemble(("■ killed already:", "bold magenta"), plain(told))
    elif receipt.killed:
        head = Text.assemble(("■ killed", "bold magenta"), f" {receipt.run}")
    else:
        head = Text.assemble(("the kill came too late: ", "yellow"), f"{receipt.run} had {receipt.outcome}")
    console.print(head)
    console.print(f"  accepted  {instant(receipt.accepted_at)}   the owner can record nothing more", markup=False)
    settled = receipt.settled_at
    if settled is None:
        console.print("  settled   not yet: an effect that was about to start may still start", style="yellow")
    else:
        by = (receipt.settled_by or "").replace("_", " ")
        after = max(0.0, (settled - receipt.accepted_at).total_seconds())
        console.print(f"  settled   after {duration(after)} ({by})   no effect starts any more", markup=False)
    if not known:
        about = f"no run {receipt.run!r} of tenant {receipt.tenant!r} is known: if one comes, it ends before it starts"
        console.print(f"  {about}", style="bold yellow", markup=False)
    for name, calls in (("in doubt", receipt.in_doubt), ("running", receipt.running)):
        if calls:
            console.print(f"  {name}  {', '.join(calls)}", style="yellow", markup=False)
