"""The dispatcher on the real bus: it pays every debt of the journals, also twice, also after another one died."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from callboard.actors.fold import replay
from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.actors.worker import Worker
from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import ChildFinished, RunKilled, SignalReceived, Task, TimerFired, ToolResolved
from callboard.bus.ports import Feed, FeedEntry
from callboard.bus.server import embedded_server
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.supervisors.dispatcher import Dispatcher
from tests.support.fleet import CLOCK, Fleet, fleet, function, ports, scripted


@worker("waiter")
async def waiter(task: object, run: RunContext) -> object:
    return await run.signal("go")


@worker("busy")
async def busy(task: object, run: RunContext) -> None:
    await run.step("long", anyio.sleep, 60)


def dispatcher(bus: Bus, *, feed: Feed | None = None) -> Dispatcher:
    return Dispatcher(bus.journals, bus.tasks, feed or bus.feed, bus.due, bus.graveyard, CLOCK)


@dataclass
class StutteringFeed:
    """Delivers every entry twice."""

    feed: Feed

    async def pull(self, *, batch: int, wait: float) -> Sequence[FeedEntry]:
        return [entry for entry in await self.feed.pull(batch=batch, wait=wait) for _ in range(2)]


async def suspended(board: Fleet, key: RunKey) -> None:
    await board.until(key, lambda state: state.suspended)


async def test_several_dispatchers_wake_every_run_once() -> None:
    async with fleet(function(waiter), workers=2, dispatchers=3) as board:
        keys = [await board.submit("waiter", None) for _ in range(20)]
        for key in keys:
            await suspended(board, key)
            await board.signal(key, SignalReceived(name="go", value=key.run))
        for key in keys:
            state = await board.over(key)
            assert state.terminal.result.value == key.run
            assert state.claims == 2


async def test_what_is_delivered_twice_is_done_once() -> None:
    @worker("parent")
    async def parent(task: object, run: RunContext) -> object:
        await run.sleep(2.1)
        return await run.wait(await run.spawn("child", 1), await run.spawn("child", 2))

    child = scripted("child", {"text": "{{ input }}"})
    async with fleet(function(parent), child, dispatchers=0) as board:
        board.group.start_soon(dispatcher(board.bus, feed=StutteringFeed(board.bus.feed)).run, anyio.Event())
        state = await board.over(await board.submit("parent", None))
        assert state.terminal.result.value == ["1", "2"]
        assert state.claims <= 4


async def test_what_a_dead_dispatcher_had_in_hand_is_done_by_the_next_one() -> None:
    async with fleet(function(waiter), dispatchers=0) as board:
        key = await board.submit("waiter", None)
        await suspended(board, key)
        sequence = await board.signal(key, SignalReceived(name="go", value="at last"))
        taken: list[int] = []
        while sequence not in taken:  # and dies
            taken += [entry.sequence for entry in await board.bus.feed.pull(batch=10, wait=1)]
        board.group.start_soon(dispatcher(board.bus).run, anyio.Event())
        assert (await board.over(key)).terminal.result.value == "at last"


async def test_a_resume_that_is_published_twice_resumes_once() -> None:
    async with fleet(function(waiter), dispatchers=0) as board:
        key = await board.submit("waiter", None)
        await suspended(board, key)
        await board.signal(key, SignalReceived(name="go", value=1))
        entries = [entry for entry in await board.bus.feed.pull(batch=10, wait=1) if entry.key == key]
        for entry in entries:
            for _ in range(2):
                await dispatcher(board.bus)._pay(entry)
        state = await board.over(key)
        assert (state.outcome, state.claims) == ("completed", 2)


async def test_the_end_of_a_parent_ends_its_queued_running_and_suspended_children() -> None:
    @worker("parent")
    async def parent(task: object, run: RunContext) -> object:
        return await run.wait(*[await run.spawn(agent, None) for agent in ("nobody", "busy", "waiter")])

    async with fleet(function(parent), function(busy), function(waiter), dispatchers=2) as board:
        key = await board.submit("parent", None)
        state = await board.until(key, lambda state: state.suspended)
        queued, running, waiting = (RunKey("default", child) for child in state.children)
        await board.until(running, lambda state: state.calls)
        await suspended(board, waiting)
        await board.signal(key, RunKilled(reason="enough"))  # a plain publish: nobody but the dispatcher follows
        for child in (queued, running, waiting):
            assert (await board.over(child)).outcome == "killed"
        assert (await board.until(running, lambda state: state.settled)).settled.running == ()
        with anyio.fail_after(20):
            while board.workers[0].held:
                await anyio.lowlevel.checkpoint()


async def test_a_failed_parent_takes_grandchildren_with_it() -> None:
    @worker("top")
    async def top(task: object, run: RunContext) -> None:
        await run.spawn("middle", None)
        await run.signal("go")
        raise ValueError("no")

    @worker("middle")
    async def middle(task: object, run: RunContext) -> object:
        return await run.wait(await run.spawn("waiter", None))

    async with fleet(function(top), function(middle), function(waiter)) as board:
        key = await board.submit("top", None)
        state = await board.until(key, lambda state: state.suspended)
        below = RunKey("default", next(iter(state.children)))
        state = await board.until(below, lambda state: state.suspended)
        lowest = RunKey("default", next(iter(state.children)))
        await suspended(board, lowest)
        await board.signal(key, SignalReceived(name="go"))
        assert (await board.over(key)).outcome == "failed"
        assert (await board.over(below)).outcome == "killed"
        assert (await board.over(lowest)).outcome == "killed"


async def test_a_timer_fires_although_the_server_was_killed_meanwhile(tmp_path: Path) -> None:
    @worker("sleeper")
    async def sleeper(task: object, run: RunContext) -> str:
        await run.sleep(3)
        return "awake"

    key = RunKey("default", "r1")
    code = function(sleeper)
    async with (
        embedded_server(tmp_path, durability="relaxed") as server,
        open_bus(server.url, name="w") as bus,
        Worker({"sleeper": code}, ports(bus), name="w"),
        anyio.create_task_group() as group,
    ):
        group.start_soon(dispatcher(bus).run, anyio.Event())
        await bus.tasks.publish(TaskAddress("default", "sleeper", "normal", "r1"), Task(input=None))
        with anyio.fail_after(20):
            state = replay(())
            async with bus.watch.follow(key) as entries:
                async for entry in entries:
                    before, state = state, replay((entry,), state)
                    if state.suspended and not before.suspended:
                        await server.kill()
                        await server.start()
                    if state.terminal is not None:
                        break
        assert state.terminal.result.value == "awake"
        group.cancel_scope.cancel()


async def test_signals_for_what_does_not_exist_change_nothing() -> None:
    async with fleet(function(waiter)) as board:
        key = await board.submit("waiter", None)
        await suspended(board, key)
        for forged in (
            TimerFired(timer="sleep-1"),
            ToolResolved(call="pay#1", decision="done"),
            ChildFinished(child="c1", outcome="completed"),
            SignalReceived(name="other"),
        ):
            await board.signal(key, forged)
            await board.signal(RunKey("default", "unheard-of"), forged)
        await board.signal(key, SignalReceived(name="go", value="right"))
        state = await board.over(key)
        assert (state.terminal.result.value, state.claims) == ("right", 2)


async def test_a_due_message_for_a_timer_that_no_run_has_set_leaves_no_trace() -> None:
    async with fleet(function(waiter)) as board:
        stranger = RunKey("default", "stranger")
        connection = board.bus.connection
        await connection.request(board.subjects.due(stranger, "sleep-1"), b"", timeout=10)
        key = await board.submit("waiter", None)  # something behind it, so that we know when it was handled
        await suspended(board, key)
        with anyio.fail_after(20):
            while await timers_in_hand(board):
                await anyio.lowlevel.checkpoint()
        assert await board.bus.journals.read(stranger) == ()


async def timers_in_hand(board: Fleet) -> int:
    """How many due timers are not acknowledged yet."""
    stream = board.subjects.stream("TIMERS")
    info = await board.bus.connection.request(f"$JS.API.CONSUMER.INFO.{stream}.due", b"", timeout=10)
    answer = json.loads(info.payload)
    return answer["num_pending"] + answer["num_ack_pending"]
