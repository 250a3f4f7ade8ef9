"""What a step or a function does wrong ends its run with a reason, and never the worker."""

from __future__ import annotations

import asyncio
import sys

import anyio
import anyio.lowlevel
import pytest

from callboard.actors import decide, owner
from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.errors import QueueFull, ToolError
from tests.support.fleet import fleet, function


def leave() -> None:
    sys.exit(3)


async def leave_async() -> None:
    sys.exit(3)


async def cancelled() -> None:
    raise asyncio.CancelledError


async def full() -> None:
    raise QueueFull("full", retryable=True)


@pytest.mark.parametrize("body", [leave, leave_async, cancelled, full])
async def test_a_step_that_exits_or_cancels_itself_is_a_failed_step(body) -> None:
    @worker("bad")
    async def bad(task: object, run: RunContext) -> str:
        try:
            await run.step("bad", body)
        except ToolError as error:
            return error.kind
        return "?"

    async with fleet(function(bad)) as board:
        state = await board.over(await board.submit("bad", None))
        assert state.terminal.result.value == "step_raised"
        assert state.claims == 1


@pytest.mark.parametrize("body", [leave_async, cancelled])
async def test_a_function_that_exits_or_cancels_itself_is_a_failed_run(body) -> None:
    @worker("bad")
    async def bad(task: object, run: RunContext) -> None:
        await body()

    async with fleet(function(bad)) as board:
        state = await board.over(await board.submit("bad", None))
        assert state.terminal.problem.kind == "function_raised"
        assert state.claims == 1


async def test_a_function_that_fills_its_journal_fails_with_that_reason_although_it_catches_everything(
    monkeypatch,
) -> None:
    monkeypatch.setattr(decide, "MAX_ENTRIES", 30)

    @worker("endless")
    async def endless(task: object, run: RunContext) -> None:
        while True:
            try:
                await run.step("again", anyio.lowlevel.checkpoint)
            except Exception:  # noqa: BLE001 - as users do
                await anyio.lowlevel.checkpoint()

    @worker("spawner")
    async def spawner(task: object, run: RunContext) -> None:
        while True:
            await run.spawn("nobody", None)

    async with fleet(function(endless), function(spawner)) as board:
        for agent in ("endless", "spawner"):
            state = await board.over(await board.submit(agent, None))
            assert state.terminal.problem.kind == "journal_full"
            assert state.entries <= 32


async def test_a_long_journal_is_a_warning_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "LONG", 6)

    @worker("steps")
    async def steps(task: object, run: RunContext) -> None:
        for _ in range(10):
            await run.step("s", lambda: 1, effect="pure")

    async with fleet(function(steps)) as board:
        assert (await board.over(await board.submit("steps", None))).outcome == "completed"
    assert sum("the journal grows long" in record.getMessage() for record in caplog.records) == 1
