from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import to_json

from callboard.errors import ToolError
from callboard.tools import Resolution, ToolContext, execute, still_running, tool, verify


class Order(BaseModel):
    id: int
    at: datetime = datetime(2026, 11, 21, tzinfo=UTC)


class Unprintable(Exception):
    def __str__(self):
        raise ValueError


def fail(error):
    raise error


def endless():
    while True:
        yield 1


VALUES = [
    (lambda: {"a": [1, None, 2.5]}, {"a": [1, None, 2.5]}),
    (lambda: Order(id=1), {"id": 1, "at": "2026-11-21T00:00:00Z"}),
    (lambda: ({1, 2}, Path("p")), [[1, 2], "p"]),
    (lambda: {1: "a"}, {"1": "a"}),
    (lambda: None, None),
]
PROBLEMS = [
    (object, "bad_result", "JSON"),
    (lambda: "\ud800", "bad_result", "JSON"),
    (lambda: b"\xff", "bad_result", "JSON"),
    (endless, "bad_result", "iterator"),
    (lambda: fail(ToolError("no_stock", "none left")), "no_stock", "none left"),
    (lambda: fail(ZeroDivisionError("by nought")), "tool_crashed", "ZeroDivisionError: by nought"),
    (lambda: fail(SystemExit(3)), "tool_crashed", "SystemExit: 3"),
    (lambda: fail(TimeoutError("theirs")), "tool_crashed", "TimeoutError: theirs"),
    (lambda: fail(StopIteration()), "tool_crashed", "StopIteration"),
    (lambda: fail(Unprintable()), "tool_crashed", "Unprintable"),
    (lambda: fail(ExceptionGroup("several", [ValueError("one")])), "tool_crashed", "several"),
    (lambda: fail(ToolError("odd", "\ud800" + "x" * 10_000)), "odd", "?xxx"),
]


def both_kinds(function):
    @tool
    async def run_async():
        return function()

    @tool
    def run_sync():
        return function()

    return run_async, run_sync


@pytest.mark.parametrize(("function", "expected"), VALUES)
async def test_a_returned_value_becomes_json(context, function, expected):
    for each in both_kinds(function):
        result = await execute(each, {}, context())
        assert result.problem_kind is None
        assert result.value == expected


@pytest.mark.parametrize(("function", "kind", "message"), PROBLEMS)
async def test_whatever_goes_wrong_becomes_a_problem(context, function, kind, message):
    for each in both_kinds(function):
        result = await execute(each, {}, context())
        assert result.problem_kind == kind
        assert message in result.problem_message
        assert "Traceback" not in result.problem_message
        assert len(result.problem_message) < 3_000
        to_json(result)


async def test_a_bad_argument_is_a_problem_and_nothing_runs(context):
    started = []

    @tool
    async def record(number: int):
        started.append(number)

    result = await execute(record, {"number": "five"}, context())
    assert result.problem_kind == "bad_arguments"
    assert result.problem_message == "number: Input should be a valid integer, not 'five'"
    assert result.hint == "Correct the arguments and call the tool again."
    assert started == []


async def test_both_kinds_get_the_context(context):
    @tool
    async def key_async(number: int, context: ToolContext) -> str:
        return f"{context.key} {context.attempt} {number}"

    @tool
    def key_sync(context: ToolContext, number: int) -> str:
        return f"{context.key} {context.attempt} {number}"

    for each in (key_async, key_sync):
        assert (await execute(each, {"number": 7}, context())).value == "key-1 1 7"


async def test_no_time_left_means_no_start(context):
    started = []

    @tool
    async def record():
        started.append(1)

    assert (await execute(record, {}, context(deadline=0.0))).problem_kind == "timeout"
    assert started == []


async def test_a_cancelled_error_that_nobody_asked_for_is_a_crash(context):
    @tool
    async def leak():
        raise anyio.get_cancelled_exc_class()

    result = await execute(leak, {}, context())
    assert result.problem_kind == "tool_crashed"


async def test_a_hundred_sync_tools_run_at_the_same_time(context):
    import threading

    barrier = threading.Barrier(100)

    @tool
    def meet():
        return barrier.wait(20)

    arrived = []

    async def call():
        arrived.append((await execute(meet, {}, context())).value)

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(call)
    assert sorted(arrived) == list(range(100))
    assert still_running() == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=json_values | st.dictionaries(st.sampled_from(["a", "b", "c"]), json_values))
def test_any_arguments_give_a_result_or_a_structured_problem(context, arguments):
    @tool
    async def echo(a: int, b: list[dict[str, float]] | None = None, c: str = ""):
        return [a, b, c]

    result = anyio.run(execute, echo, arguments, context())
    assert result.problem_kind in {None, "bad_arguments"}
    to_json(result)


@pytest.mark.parametrize("decision", ["done", "retry", "fail"])
async def test_a_verify_hook_resolves_a_call_with_the_arguments_that_it_takes(context, decision):
    def look(order: int, context: ToolContext) -> Resolution:
        return Resolution(decision, {"order": order, "key": context.key})

    @tool(effect="critical", verify=look)
    async def pay(order: int, amount: float): ...

    resolution = await verify(pay, {"order": 5, "amount": 2}, context())
    assert resolution == Resolution(decision, {"order": 5, "key": "key-1"})


async def test_a_verify_hook_that_cannot_tell_is_a_tool_error(context):
    def crash() -> Resolution:
        raise ValueError("no idea")

    def wrong() -> Resolution:
        return True

    async def hang() -> Resolution:
        await anyio.sleep_forever()

    for hook, kind in ((crash, "verify_failed"), (wrong, "bad_result"), (hang, "timeout"), (None, "no_verify")):

        @tool(timeout=0.1, verify=hook)
        async def act(): ...

        with pytest.raises(ToolError) as caught:
            await verify(act, {}, context())
        assert caught.value.kind == kind
