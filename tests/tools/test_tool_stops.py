import subprocess
import sys
import threading
import time

import anyio
import pytest

from callboard.tools import Running, ToolContext, execute, still_running, tool
from callboard.tools.threads import GRACE


async def until(condition):
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110  # processes and threads announce nothing
            await anyio.sleep(0.005)


async def start_then_cancel(each, context, started):
    """Run the tool, cancel it once it is inside, and return how long it took to come back."""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(execute, each, {}, context)
            await until(started.is_set)
            began = time.monotonic()
            group.cancel_scope.cancel()
    return time.monotonic() - began


async def test_an_async_tool_ends_at_its_timeout(context):
    ended = threading.Event()

    @tool(timeout=0.05)
    async def hang():
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    result = await execute(hang, {}, context())
    assert result.problem_kind == "timeout"
    assert result.problem_message == "hang took longer than 50 ms"
    assert ended.is_set()


async def test_the_deadline_of_the_call_holds_when_it_is_shorter(context):
    @tool(timeout=60)
    async def hang():
        await anyio.sleep_forever()

    result = await execute(hang, {}, context(deadline=0.05))
    assert result.problem_message == "hang took longer than 50 ms"


async def test_an_async_tool_that_swallows_a_cancellation_is_cancelled_again(context):
    swallowed = []

    @tool(timeout=0.05)
    async def stubborn():
        for _ in range(3):
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class() as error:
                swallowed.append(error)
        await anyio.sleep_forever()

    assert (await execute(stubborn, {}, context())).problem_kind == "timeout"
    assert len(swallowed) == 3


async def test_a_timeout_that_the_tool_turns_into_another_error_is_still_a_timeout(context):
    @tool(timeout=0.05)
    async def translate():
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            raise ValueError("connection lost") from None

    assert (await execute(translate, {}, context())).problem_kind == "timeout"


async def test_the_callers_cancellation_passes_through_every_kind_of_tool(context):
    started = threading.Event()

    @tool
    async def hang_async():
        started.set()
        await anyio.sleep_forever()

    @tool
    def hang_sync():
        started.set()
        while True:
            time.sleep(0.001)

    for each in (hang_async, hang_sync):
        started.clear()
        returned = []

        async def call(each=each, returned=returned):
            returned.append(await execute(each, {}, context()))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(call)
                await until(started.is_set)
                group.cancel_scope.cancel()
        assert returned == []
    assert still_running() == ()


@pytest.mark.parametrize("deadline", [0.05, 30.0], ids=["timeout", "cancellation"])
async def test_a_thread_in_a_python_loop_ends(context, deadline):
    started = threading.Event()
    threads = []

    @tool
    def spin():
        threads.append(threading.current_thread())
        started.set()
        while True:
            pass

    if deadline < 1:
        assert (await execute(spin, {}, context(deadline=deadline))).problem_kind == "timeout"
    else:
        assert await start_then_cancel(spin, context(), started) < GRACE
    await until(lambda: not threads[0].is_alive())
    assert still_running() == ()


async def test_a_thread_that_swallows_the_stop_is_stopped_again(context):
    swallowed = []
    started = threading.Event()
    threads = []

    @tool
    def stubborn():
        threads.append(threading.current_thread())
        started.set()
        while len(swallowed) < 3:
            try:
                while True:
                    time.sleep(0.001)
            except BaseException as error:  # noqa: BLE001  # what a careless tool does
                swallowed.append(type(error).__name__)
        while True:
            time.sleep(0.001)

    await start_then_cancel(stubborn, context(), started)
    await until(lambda: not threads[0].is_alive())
    assert swallowed == ["Stopped"] * 3


async def test_a_sync_tool_that_polls_may_end_by_itself(context):
    ended = []

    @tool(timeout=0.05)
    def poll(context: ToolContext):
        while not context.cancelled():
            time.sleep(0.001)
        ended.append("by itself")

    assert (await execute(poll, {}, context())).problem_kind == "timeout"
    assert ended == ["by itself"]


async def test_a_thread_inside_c_code_is_given_up_and_named_until_it_ends(context, untraced):
    started = threading.Event()
    release = threading.Lock()
    release.acquire()

    @tool
    def blocked():
        started.set()
        release.acquire()  # C code: nothing can be raised here
        return "dropped"

    took = await start_then_cancel(blocked, context(call="call-9"), started)
    assert GRACE <= took < GRACE + 2
    assert still_running("run-1") == (Running("run-1", "call-9", "blocked"),)
    assert still_running("run-2") == ()
    release.release()
    await until(lambda: still_running() == ())


async def test_a_timeout_says_that_the_thread_is_still_running(context, untraced):
    release = threading.Lock()
    release.acquire()

    @tool(timeout=0.05)
    def blocked():
        release.acquire()

    result = await execute(blocked, {}, context())
    assert result.problem_message == "blocked took longer than 50 ms; it could not be stopped and is still running"
    release.release()
    await until(lambda: still_running() == ())


async def test_a_stop_leaves_nothing_pending_behind():
    # Left behind, the interpreter's pending flag makes a traced call spin for ever.
    program = """
import anyio, sys, time
from callboard.tools import ToolContext, execute, tool

@tool(timeout=0.05)
def spin():
    while True:
        time.sleep(0.001)

context = ToolContext(run="r", tenant="t", call="c", key="k", deadline=9.0)
print(anyio.run(execute, spin, {}, context).problem_kind)
sys.settrace(lambda *_: None)
(lambda: print("alive"))()
"""
    with anyio.fail_after(30):
        result = await anyio.run_process([sys.executable, "-c", program])
    assert result.stdout.decode().split() == ["timeout", "alive"]


async def test_stops_that_race_with_the_end_of_the_work_harm_nobody(context):
    @tool
    def short():
        time.sleep(0.05)
        return 1

    async def call():
        with anyio.move_on_after(0.0):
            await execute(short, {}, context())

    for _ in range(20):
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(call)
    await until(lambda: not any(thread.name.startswith(("tool ", "stop tool ")) for thread in threading.enumerate()))


def test_a_thread_that_cannot_be_stopped_does_not_hold_the_exit_of_the_interpreter():
    program = """
import anyio, sys, threading, time
sys.settrace(None)
threading.settrace(None)
from callboard.tools import ToolContext, execute, tool

@tool(timeout=0.05)
def blocked():
    time.sleep(60)

context = ToolContext(run="r", tenant="t", call="c", key="k", deadline=9.0)
print(anyio.run(execute, blocked, {}, context).problem_kind)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert result.stdout.splitlines()[-1] == "timeout"
