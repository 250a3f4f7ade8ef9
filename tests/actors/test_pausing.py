"""Paused runs on the real bus: they start nothing, hold no worker, and can be killed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from callboard.actors.armed import Armed
from callboard.actors.function import worker
from callboard.actors.history import check
from callboard.actors.owner import Owner
from callboard.actors.ownership import Paused
from callboard.bus.messages import RunClaimed, RunCreated, RunPaused, RunResumed, RunSteered, ToolRequested
from callboard.bus.subjects import RunKey
from callboard.tools.tool import tool
from tests.support.fleet import CLOCK, Fleet, fleet, function, scripted


class Door:
    """A tool that is inside until it is let out, and counts who came in."""

    def __init__(self) -> None:
        self.inside, self.out, self.starts = anyio.Event(), anyio.Event(), 0

    def code(self, *turns: Any, **limits: Any):
        @tool(effect="at_most_once")
        async def enter() -> str:
            """Enter."""
            self.starts += 1
            self.inside.set()
            await self.out.wait()
            return "out"

        return scripted(
            "a", *(turns or ({"tools": [{"name": "enter"}]},) * 2), {"text": "done"}, tools=(enter,), **limits
        )


def suspended(state: Any) -> bool:
    return bool(state.suspended)


async def pause_inside(board: Fleet, door: Door, **fields: Any) -> RunKey:
    """A run that is paused while its first tool runs, and then let out."""
    key = await board.submit("a", "go")
    with anyio.fail_after(20):
        await door.inside.wait()
    await board.signal(key, RunPaused(**{"name": "person", **fields}))
    door.out.set()
    return key


async def test_a_paused_run_keeps_what_ran_starts_nothing_and_holds_no_worker_until_it_is_resumed():
    door = Door()
    async with fleet(door.code()) as board:
        key = await pause_inside(board, door)
        state = await board.until(key, suspended)
        assert door.starts == 1
        assert [call.result.value for call in state.calls.values() if call.kind == "tool"] == ["out"]
        with anyio.fail_after(20):
            while board.workers[0].held:
                await board.bus.connection.barrier()
        await board.signal(key, RunSteered(text="still there?"))
        await board.signal(key, RunResumed(name="person"))
        over = await board.over(key)
        assert (over.outcome, door.starts, over.claims) == ("completed", 2, 2)
        assert check({key: await board.bus.journals.read(key)}) == ()


async def test_a_pause_with_an_end_ends_by_itself():
    door = Door()
    async with fleet(door.code()) as board:
        short = await pause_inside(board, door, until=CLOCK.now() + timedelta(seconds=0.5))
        assert (await board.over(short)).claims == 1
        door = Door()
    async with fleet(door.code()) as board:
        longer = await pause_inside(board, door, until=CLOCK.now() + timedelta(seconds=3))
        await board.until(longer, suspended)
        over = await board.over(longer)
        assert (over.outcome, over.claims, door.starts) == ("completed", 2, 2)


async def test_a_run_that_is_paused_before_it_starts_starts_nothing():
    door = Door()
    door.out.set()
    async with fleet(door.code()) as board:
        key = RunKey("default", CLOCK.new_id())
        await board.signal(key, RunPaused(name="person"))
        await board.submit("a", "go", run=key.run)
        await board.until(key, suspended)
        assert not (await board.state(key)).calls
        await board.signal(key, RunResumed(name="person"))
        assert (await board.over(key)).outcome == "completed"


async def test_the_kill_of_a_paused_run_is_settled_at_once_and_nothing_is_in_doubt():
    door = Door()
    async with fleet(door.code()) as board:
        key = await pause_inside(board, door)
        await board.until(key, suspended)
        receipt = await board.kill(key)
        assert (receipt.outcome, receipt.in_doubt, receipt.running, door.starts) == ("killed", (), (), 1)
        assert receipt.settled_at is not None
        assert (await board.over(key)).outcome == "killed"
        assert check({key: await board.bus.journals.read(key)}) == ()


async def test_the_deadline_of_a_paused_run_goes_on():
    door = Door()
    async with fleet(door.code(deadline=2.0)) as board:
        key = await pause_inside(board, door)
        over = await board.over(key)
        assert (over.outcome, over.terminal.problem.kind, door.starts) == ("failed", "deadline", 1)


async def test_a_paused_function_parks_at_its_next_step_and_completes_if_there_is_none():
    inside, out, steps = anyio.Event(), anyio.Event(), []

    async def first() -> str:
        inside.set()
        await out.wait()
        return "first"

    async def second() -> str:
        steps.append("second")
        return "second"

    @worker("f")
    async def two(task: Any, run: Any) -> list:
        return [await run.step("first", first), *([await run.step("second", second)] if task else [])]

    async with fleet(function(two)) as board:
        key = await board.submit("f", True)
        last = await board.submit("f", False)
        with anyio.fail_after(20):
            await inside.wait()
        await board.until(last, lambda state: state.calls)
        await board.signal(key, RunPaused(name="person"))
        await board.signal(last, RunPaused(name="person"))
        out.set()
        assert (await board.over(last)).terminal.result.value == ["first"]
        await board.until(key, suspended)
        assert not steps
        await board.signal(key, RunResumed(name="person"))
        assert (await board.over(key)).terminal.result.value == ["first", "second"]
        assert check({key: await board.bus.journals.read(key)}) == ()


async def test_a_paused_function_goes_on_when_its_pause_ends_by_itself():
    inside, out = anyio.Event(), anyio.Event()

    async def first() -> None:
        inside.set()
        await out.wait()

    async def second() -> str:
        return "second"

    @worker("f")
    async def two(task: Any, run: Any) -> str:
        await run.step("first", first)
        return await run.step("second", second)

    async with fleet(function(two)) as board:
        for seconds, claims in ((0.5, 1), (3, 2)):
            key = await board.submit("f", None)
            with anyio.fail_after(20):
                await inside.wait()
            await board.until(key, lambda state: state.calls)
            await board.signal(key, RunPaused(name="person", until=CLOCK.now() + timedelta(seconds=seconds)))
            out.set()
            over = await board.over(key)
            assert (over.terminal.result.value, over.claims) == ("second", claims)
            inside, out = anyio.Event(), anyio.Event()


async def owned(board: Fleet) -> Owner:
    """A run in the hands of this test."""
    key = RunKey("default", CLOCK.new_id())
    owner = Owner(key, "o1", await board.state(key), journals=board.bus.journals, clock=CLOCK)
    owner.defer(RunCreated(agent="a", at=CLOCK.now()), RunClaimed(task=1))
    await owner.flush()
    return owner


INTENT = ToolRequested(call="t1", tool="pay")


async def test_no_intent_is_written_behind_a_pause_that_its_owner_has_not_seen():
    async with fleet(scripted("b", {"text": "x"})) as board:
        owner = await owned(board)
        await board.signal(owner.key, RunPaused(name="person"))
        with pytest.raises(Paused):
            await owner.append(INTENT)
        await board.signal(owner.key, RunSteered(text="hurry"))
        with pytest.raises(Paused):
            await owner.append(INTENT)
        assert not (await board.state(owner.key)).calls
        await board.signal(owner.key, RunResumed(name="person"))
        await owner.hear(None)
        await owner.append(INTENT)
        assert (await board.state(owner.key)).calls["t1"].status == "open"


async def test_facts_are_written_although_the_run_is_paused():
    async with fleet(scripted("b", {"text": "x"})) as board:
        owner = await owned(board)
        await board.signal(owner.key, RunPaused(name="person"))
        owner.defer(ToolRequested(call="t2", tool="pay"))
        with pytest.raises(Paused):
            await owner.append(INTENT)
        assert set((await board.state(owner.key)).calls) == {"t2"}


async def test_an_effect_that_missed_its_window_waits_for_the_end_of_a_pause_and_no_longer_than_it_may():
    async with fleet(scripted("b", {"text": "x"})) as board, anyio.create_task_group() as group:
        owner = await owned(board)
        late = Armed(owner, (INTENT,), CLOCK.monotonic() - 9)
        await board.signal(owner.key, RunPaused(name="person"))
        assert not await late.opened(within=0.6)

        async def let_go() -> None:
            await board.signal(owner.key, RunResumed(name="person"))
            await owner.hear(None)

        group.start_soon(let_go)
        with anyio.fail_after(20):
            assert await late.opened(within=20)
