"""A worker that leaves finishes or hands over what it holds, within its second and without losing or doubting work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext

import anyio
import anyio.lowlevel

from callboard.actors.attempt import Attempt
from callboard.actors.fold import EMPTY
from callboard.actors.function import worker
from callboard.actors.owner import Owner
from callboard.actors.ownership import OwnershipLost
from callboard.actors.run_context import RunContext
from callboard.actors.turns import Turns
from callboard.actors.worker import Drain
from callboard.bus.bus import open_bus
from callboard.bus.messages import Record, RunClaimed, RunCreated, RunReleased, SignalReceived, Task, ToolRequested
from callboard.bus.ports import Copy, Journals, Stored
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.models.registry import open_model
from callboard.tools.tool import tool
from tests.support.bus import bus_url, fresh_bus
from tests.support.fleet import CLOCK, fleet, function, ports, scripted


class SlowJournals:
    """The journals of a bus that answers an append only when ``go_on`` is set; ``asked`` says that it was asked."""

    def __init__(self, journals: Journals) -> None:
        self._journals = journals
        self.asked, self.go_on = anyio.Event(), anyio.Event()

    async def append(self, key: RunKey, record: Record, *, expect: int, family: str = "", parent: str = "") -> int:
        self.asked.set()
        sequence = await self._journals.append(key, record, expect=expect, family=family, parent=parent)
        await self.go_on.wait()
        return sequence

    async def signal(self, key: RunKey, record: Record, *, parent: str = "") -> int:
        return await self._journals.signal(key, record, parent=parent)

    async def read(self, key: RunKey, *, after: int = 0) -> Sequence[Stored]:
        return await self._journals.read(key, after=after)


async def test_an_effect_whose_intent_is_being_written_counts_as_running_for_a_worker_that_leaves() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        slow = SlowJournals(bus.journals)
        owner = Owner(RunKey("default", "r1"), "me", EMPTY, journals=slow, clock=CLOCK)
        owner.defer(RunCreated(agent="a", at=CLOCK.now()), RunClaimed(task=1))
        order: list[str] = []

        async def effect() -> None:
            async with owner.armed(ToolRequested(call="pay", tool="pay")):
                order.append("started")
                await anyio.lowlevel.checkpoint()
                order.append("ended")

        async def leave() -> None:
            owner.leaving = True
            await owner.quiet()
            order.append("left")

        async with anyio.create_task_group() as group:
            group.start_soon(effect)
            await slow.asked.wait()
            group.start_soon(leave)
            await anyio.lowlevel.checkpoint()
            slow.go_on.set()
        assert order == ["started", "ended", "left"]


async def test_a_run_that_is_cut_off_before_its_effect_starts_writes_no_intent() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = Owner(RunKey("default", "r1"), "me", EMPTY, journals=bus.journals, clock=CLOCK)
        owner.defer(RunCreated(agent="a", at=CLOCK.now()), RunClaimed(task=1))
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with owner.armed(ToolRequested(call="pay", tool="pay")):
                raise AssertionError("started")
        await owner.flush()
        assert "pay" not in owner.state.calls


async def test_a_step_in_a_finally_block_starts_when_the_function_ends_and_not_when_it_is_suspended() -> None:
    starts: list[str] = []

    @worker("tidy")
    async def tidy(task: object, run: RunContext) -> str:
        try:
            await run.signal("go")
            return "done"
        finally:
            await run.step("tidy up", lambda: starts.append("x"))

    async with fleet(function(tidy)) as board:
        key = await board.submit("tidy", None)
        state = await board.until(key, lambda state: state.suspended)
        assert not state.calls
        await board.signal(key, SignalReceived(name="go"))
        state = await board.over(key)
        assert state.outcome == "completed", state.terminal
        assert starts == ["x"]


async def test_a_child_or_a_timer_in_a_finally_block_is_not_started_by_a_suspension() -> None:
    @worker("tidy")
    async def tidy(task: object, run: RunContext) -> None:
        try:
            await run.signal("go")
        finally:
            try:
                await run.sleep(60, "rest")
            finally:
                await run.spawn("nobody", None)

    async with fleet(function(tidy)) as board:
        key = await board.submit("tidy", None)
        state = await board.until(key, lambda state: state.suspended)
        assert not state.children
        assert set(state.timers) == {"deadline"}


async def test_a_worker_that_leaves_lets_a_short_step_end_and_another_goes_on_without_a_doubt() -> None:
    begun, starts = anyio.Event(), []

    async def charge() -> str:
        starts.append("charge")
        begun.set()
        await anyio.sleep(0.3)
        return "charged"

    @worker("shop")
    async def shop(task: object, run: RunContext) -> str:
        first = await run.step("charge", charge)
        second = await run.step("ship", lambda: "shipped")
        return f"{first} {second}"

    async with fleet(function(shop)) as board:
        key = await board.submit("shop", None)
        with anyio.fail_after(20):
            await begun.wait()
        second = await board.worker(name="second")
        await board.drain(board.workers[0])
        state = await board.over(key)
        assert state.outcome == "completed", state.terminal
        assert state.terminal.result.value == "charged shipped"
        assert starts == ["charge"]
        assert second.held <= 1


@tool(effect="idempotent")
def deaf() -> str:
    """Sit in C code, where no stop arrives."""
    time.sleep(3)
    return "late"


async def test_a_worker_that_leaves_gives_a_run_away_within_its_second_although_a_thread_does_not_stop(
    untraced: None,
) -> None:
    agent = scripted("calc", {"tools": [{"name": "deaf", "args": {}}]}, {"text": "{{ results.t1-1 }}"}, tools=(deaf,))
    async with fleet(agent) as board:
        key = await board.submit("calc", "x")
        await board.until(key, lambda state: any(call.kind == "tool" for call in state.calls.values()))
        before = time.monotonic()
        board.workers[0].address.tell(Drain())
        await board.until(key, lambda state: state.suspended)
        assert time.monotonic() - before < 2.5  # a second, and a busy machine; the thread takes three
        await board.worker(name="second")
        assert (await board.over(key)).outcome == "completed"


async def test_an_attempt_does_not_take_its_own_release_for_that_of_somebody_else() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="w") as bus:
        agent = scripted("calc", {"text": "x"})
        await bus.tasks.publish(TaskAddress("default", "calc", "normal", "r1"), Task(input="x"))
        (task,) = await bus.tasks.pull("calc", "normal", batch=1, wait=20)
        attempt = Attempt(task, {"calc": agent}, ports(bus), "w", nullcontext, open_model, Turns(1))
        owner = attempt.owner = await attempt._claim(EMPTY)
        assert owner is not None
        await owner.flush()
        own, _ = await attempt._signal(task.key, RunReleased(reason="leaving"))
        other = await bus.journals.signal(task.key, Record(id="o", events=(RunReleased(reason="its task is gone"),)))
        copies = {entry.sequence: entry for entry in await bus.journals.read(task.key)}
        await attempt.look(Copy(copies[own], owner.state.sequence))
        assert owner.ended is None
        await attempt.look(Copy(copies[other], own))
        assert isinstance(owner.ended, OwnershipLost)
