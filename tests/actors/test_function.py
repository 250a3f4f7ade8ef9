"""Function workers on the real bus: steps recorded once, parallel branches, waiting without a worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.bus.messages import SignalReceived, ToolResolved
from callboard.errors import StepInDoubt, ToolError
from tests.support.fleet import fleet, function


async def nothing() -> None: ...


async def test_two_steps_of_one_name_at_the_same_time_are_a_clear_error() -> None:
    @worker("twice")
    async def twice(task: object, run: RunContext) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(run.step, "same", nothing)
            group.start_soon(run.step, "same", nothing)

    async with fleet(function(twice)) as board:
        state = await board.over(await board.submit("twice", None))
        assert state.outcome == "failed"
        assert state.terminal.problem.kind == "step_conflict"
        assert "'same'" in state.terminal.problem.message


async def test_steps_of_distinct_names_run_at_the_same_time() -> None:
    met = anyio.Event()

    async def first() -> str:
        with anyio.fail_after(20):
            await met.wait()
        return "1"

    async def second() -> str:
        met.set()
        return "2"

    @worker("both")
    async def both(task: object, run: RunContext) -> dict:
        found: dict = {}

        async def keep(name: str, body: object) -> None:
            found[name] = await run.step(name, body, effect="pure")

        async with anyio.create_task_group() as group:
            group.start_soon(keep, "first", first)
            group.start_soon(keep, "second", second)
        return found

    async with fleet(function(both)) as board:
        state = await board.over(await board.submit("both", None))
        assert state.terminal.result.value == {"first": "1", "second": "2"}


async def test_a_step_that_raises_is_recorded_and_raises_the_same_on_every_play() -> None:
    starts: list[str] = []
    seen: list[str] = []

    async def fails() -> None:
        starts.append("x")
        raise ValueError("no luck")

    @worker("brave")
    async def brave(task: object, run: RunContext) -> str:
        try:
            await run.step("fails", fails)
        except ToolError as error:
            seen.append(str(error))
        await run.signal("go")  # leaves the worker: the function is played again from its top
        return "went on"

    async with fleet(function(brave)) as board:
        key = await board.submit("brave", None)
        await board.until(key, lambda state: state.suspended)
        await board.signal(key, SignalReceived(name="go", value=1))
        state = await board.over(key)
        assert state.terminal.result.value == "went on"
        assert starts == ["x"]
        assert seen == ["ValueError: no luck"] * 2


async def test_the_occurrences_of_a_name_are_kept_apart() -> None:
    @worker("loop")
    async def loop(task: object, run: RunContext) -> list:
        return [await run.step("square", lambda n=n: n * n, effect="pure") for n in range(4)]

    async with fleet(function(loop)) as board:
        state = await board.over(await board.submit("loop", None))
        assert state.terminal.result.value == [0, 1, 4, 9]
        assert list(state.calls) == [f"square#{n}" for n in range(1, 5)]


async def test_branches_that_wait_for_different_things_each_go_on_when_theirs_arrives() -> None:
    @worker("branches")
    async def branches(task: object, run: RunContext) -> list:
        order: list = []

        async def wait(name: str) -> None:
            await run.signal(name)
            order.append(await run.step(f"after {name}", lambda: name, effect="pure"))

        async with anyio.create_task_group() as group:
            group.start_soon(wait, "left")
            group.start_soon(wait, "right")
        return order

    async with fleet(function(branches)) as board:
        key = await board.submit("branches", None)
        await board.until(key, lambda state: state.suspended)
        await board.signal(key, SignalReceived(name="right"))
        await board.until(key, lambda state: "after right#1" in state.calls)  # although left has not arrived
        await board.signal(key, SignalReceived(name="left"))
        assert (await board.over(key)).outcome == "completed"


async def test_a_function_spawns_children_and_joins_them() -> None:
    @worker("child")
    async def child(task: int, run: RunContext) -> int:
        return await run.step("work", lambda: task * 10, effect="pure")

    @worker("parent")
    async def parent(task: object, run: RunContext) -> list:
        children = [await run.spawn("child", n) for n in range(3)]
        return await run.wait(*children)

    async with fleet(function(child), function(parent), workers=2) as board:
        state = await board.over(await board.submit("parent", None))
        assert state.outcome == "completed", state.terminal
        assert state.terminal.result.value == [0, 10, 20]


async def test_a_child_without_a_result_raises_in_its_parent() -> None:
    @worker("child")
    async def child(task: object, run: RunContext) -> None:
        raise ValueError("broken")

    @worker("parent")
    async def parent(task: object, run: RunContext) -> object:
        return await run.wait(await run.spawn("child", None))

    async with fleet(function(child), function(parent)) as board:
        state = await board.over(await board.submit("parent", None))
        assert state.outcome == "failed"
        assert "broken" in state.terminal.problem.message


async def test_a_run_past_its_deadline_fails_even_while_it_waits() -> None:
    @worker("patient")
    async def patient(task: object, run: RunContext) -> None:
        await run.signal("never")

    async with fleet(function(patient)) as board:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        state = await board.over(await board.submit("patient", None, deadline=soon))
        assert state.outcome == "failed"
        assert state.terminal.problem.kind == "deadline"


async def test_a_step_past_the_deadline_of_its_run_is_stopped() -> None:
    @worker("slow")
    async def slow(task: object, run: RunContext) -> None:
        await run.step("long", anyio.sleep, 30)

    async with fleet(function(slow)) as board:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        state = await board.over(await board.submit("slow", None, deadline=soon))
        assert state.outcome == "failed"
        assert state.terminal.problem.kind in {"deadline", "timeout"}


async def test_a_result_that_json_cannot_say_is_a_typed_failure() -> None:
    @worker("odd")
    async def odd(task: object, run: RunContext) -> object:
        return object()

    async with fleet(function(odd)) as board:
        state = await board.over(await board.submit("odd", None))
        assert state.terminal.problem.kind == "bad_result"


async def test_a_large_result_is_in_the_object_store_and_comes_back_whole() -> None:
    @worker("big")
    async def big(task: object, run: RunContext) -> int:
        text = await run.step("make", lambda: "ä" * 300_000, effect="pure")
        await run.signal("again")
        return len(text)

    async with fleet(function(big)) as board:
        key = await board.submit("big", None)
        state = await board.until(key, lambda state: state.suspended)
        assert state.calls["make#1"].result.blob is not None
        await board.signal(key, SignalReceived(name="again"))
        assert (await board.over(key)).terminal.result.value == 300_000


async def test_a_critical_step_in_doubt_waits_for_a_person() -> None:
    started = anyio.Event()

    async def pay() -> str:
        started.set()
        await anyio.sleep_forever()
        return "never"

    @worker("payer")
    async def payer(task: object, run: RunContext) -> object:
        return await run.step("pay", pay, effect="critical")

    async with fleet(function(payer)) as board:
        key = await board.submit("payer", None)
        with anyio.fail_after(20):
            await started.wait()
        await board.workers[0].stop()  # as good as dead: its task comes again
        await board.worker(name="second")
        state = await board.until(key, lambda state: state.suspended)
        assert state.in_doubt == ("pay#1",)
        await board.signal(key, ToolResolved(call="pay#1", decision="done", value="paid", by="ada"))
        state = await board.over(key)
        assert state.outcome == "completed", state.terminal
        assert state.terminal.result.value == "paid"


async def test_an_at_most_once_step_of_a_lost_worker_raises_and_is_not_started_again() -> None:
    started = anyio.Event()
    starts: list[str] = []
    caught: list[str] = []

    async def charge() -> None:
        starts.append("x")
        started.set()
        await anyio.sleep_forever()

    @worker("payer")
    async def payer(task: object, run: RunContext) -> None:
        try:
            await run.step("charge", charge, effect="at_most_once")
        except StepInDoubt as doubt:
            caught.append(doubt.call)
            raise

    async with fleet(function(payer)) as board:
        key = await board.submit("payer", None)
        with anyio.fail_after(20):
            await started.wait()
        await board.workers[0].stop()  # as good as dead: its task comes again
        await board.worker(name="second")
        state = await board.over(key)
        assert state.outcome == "failed"
        assert state.terminal.problem.kind == "in_doubt"
        assert state.in_doubt == ("charge#1",)
        assert (starts, caught) == (["x"], ["charge#1"])
