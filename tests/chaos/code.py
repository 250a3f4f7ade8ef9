"""Shell: what the processes run: agents with tools of every effect, functions and supervisors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio

from callboard.actors.code import AgentCode
from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.bus.subjects import RunKey
from callboard.config.spec import Limits
from callboard.errors import RunFailed, RunKilled, ToolError
from callboard.tools import Resolution, ToolContext, run_command, tool
from tests.chaos.starts import RECORDER
from tests.chaos.wayward import LIMITS, wayward
from tests.support.fleet import function, scripted

BOOKED = Path("booked")
SLOW = 60.0


def _started(context: ToolContext) -> None:
    RECORDER(RunKey(context.tenant, context.run), context.call, context.key)


# ---- tools of every effect ----------------------------------------------------------------------------------------
@tool(effect="pure")
async def look(context: ToolContext) -> str:
    """Look."""
    _started(context)
    await anyio.sleep(0.01)
    return "seen"


@tool(effect="idempotent")
def fetch(context: ToolContext) -> str:
    """Fetch, in a thread."""
    _started(context)
    time.sleep(0.02)
    return "fetched"


@tool(effect="at_most_once")
async def pay(context: ToolContext) -> str:
    """Pay."""
    _started(context)
    await anyio.sleep(0.03)
    return "paid"


@tool(effect="critical")
async def wire(context: ToolContext) -> str:
    """Wire: in doubt, a person is asked."""
    _started(context)
    await anyio.sleep(0.03)
    return "wired"


@tool(effect="at_most_once")
async def shell(context: ToolContext) -> int:
    """Run a command."""
    _started(context)
    return (await run_command(["sleep", "0.03"], context=context)).code


def _was_booked(context: ToolContext) -> Resolution:
    booked = BOOKED.exists() and context.key in BOOKED.read_text()
    return Resolution("done", "booked before") if booked else Resolution("retry")


@tool(effect="at_most_once", verify=_was_booked)
def book(context: ToolContext) -> str:
    """Book; what became of it can be looked up."""
    _started(context)
    with BOOKED.open("a") as file:
        file.write(f"{context.key}\n")
    time.sleep(0.02)
    return "booked"


# ---- functions ----------------------------------------------------------------------------------------------------
async def _step(run: RunContext, name: str, effect: Any, seconds: float = 0.02) -> str:
    def work(call: str, key: str) -> str:
        RECORDER(RunKey(run.tenant, run.id), call, key)
        time.sleep(seconds)
        return name

    try:
        return await run.step(name, work, f"{name}#1", run.key(name), effect=effect)
    except ToolError:  # in doubt, or a person said that it failed
        return f"{name}?"


@worker("job", limits=Limits(**LIMITS))
async def job(task: object, run: RunContext) -> list[str]:
    done = [await _step(run, "read", "pure"), await _step(run, "fetch", "idempotent")]
    await run.sleep(0.1)
    return [*done, await _step(run, "pay", "at_most_once"), await _step(run, "wire", "critical")]


@worker("sleeper", limits=Limits(**LIMITS))
async def sleeper(task: object, run: RunContext) -> list[str]:
    first = await _step(run, "before", "at_most_once")
    await run.sleep(2.2)
    return [first, await _step(run, "after", "at_most_once")]


@worker("asker", limits=Limits(**LIMITS))
async def asker(task: object, run: RunContext) -> list[object]:
    return [await run.signal("go"), await _step(run, "act", "at_most_once")]


@worker("parent", limits=Limits(**LIMITS))
async def parent(task: object, run: RunContext) -> list[object]:
    children = [await run.spawn(agent, task) for agent in ("job", "teller", "boss")]
    return [await _step(run, "own", "at_most_once"), *[await _joined(run, child) for child in children]]


async def _joined(run: RunContext, child: Any) -> object:
    try:
        return await run.wait(child)
    except (RunKilled, RunFailed) as error:
        return type(error).__name__


def _together(*names: str) -> dict[str, Any]:
    return {"tools": [{"name": name} for name in names], "delay": 0.02}


def _delegates(*agents: str) -> dict[str, Any]:
    return {"tools": [{"name": "delegate", "args": {"agent": agent, "task": "go"}} for agent in agents]}


def chaos_code() -> dict[str, AgentCode]:
    """The mix of the storm."""
    flaky = {**_together("shell", "book"), "fail": {"kind": "network", "times": 1, "retry_after": 0.05}}
    agents = (
        scripted(
            "clerk", _together("look", "fetch"), _together("pay", "wire"), {"text": "ok"},
            tools=(look, fetch, pay, wire), **LIMITS,
        ),
        scripted("teller", flaky, {"text": "ok"}, tools=(shell, book), **LIMITS),
        scripted(
            "boss", _delegates("clerk", "teller"), _together("pay"), {"text": "ok"},
            tools=(pay,), team=("clerk", "teller"), **LIMITS,
        ),
        *wayward(),
        *(function(code) for code in (job, sleeper, asker, parent)),
    )  # fmt: skip
    return {code.spec.name: code for code in agents}


# ---- to be killed -------------------------------------------------------------------------------------------------
@tool(effect="at_most_once")
async def slow_async(context: ToolContext) -> str:
    """Wait."""
    _started(context)
    await anyio.sleep(SLOW)
    return "late"


@tool(effect="at_most_once")
def slow_thread(context: ToolContext) -> str:
    """Wait, in a thread."""
    _started(context)
    while True:
        time.sleep(0.01)
        Path(f"{context.run}.alive").write_text(str(time.time()))


@tool(effect="at_most_once")
async def slow_shell(context: ToolContext) -> int:
    """Wait, in a process that has started another one."""
    _started(context)
    script = f"echo $$ > {context.run}.group; sleep {SLOW} & wait"
    return (await run_command(["sh", "-c", script], context=context)).code


@tool(effect="critical")
async def slow_critical(context: ToolContext) -> str:
    """Wait: in doubt, a person is asked."""
    _started(context)
    await anyio.sleep(SLOW)
    return "late"


@worker("patient")
async def patient(task: object, run: RunContext) -> str:
    await run.sleep(SLOW)
    return await _step(run, "after", "at_most_once")


@worker("family")
async def family(task: object, run: RunContext) -> object:
    child = await run.spawn("couple", task)
    return await run.wait(child)


@worker("couple")
async def couple(task: object, run: RunContext) -> object:
    return await run.wait(await run.spawn("in_async", task), await run.spawn("patient", task))


@worker("stepper")
async def stepper(task: object, run: RunContext) -> list[str]:
    return [await _step(run, f"s{number}", "at_most_once", 0.01) for number in range(400)]


def kill_code() -> dict[str, AgentCode]:
    """One agent for each place where a kill can meet a run."""
    slow = {each.spec.name: each for each in (slow_async, slow_thread, slow_shell, slow_critical)}
    agents = (
        scripted("in_model", {"text": "late", "delay": SLOW}),
        *(scripted(f"in_{name[5:]}", _together(name), {"text": "x"}, tools=(each,)) for name, each in slow.items()),
        scripted("quick", {"text": "done"}),
        *(function(code) for code in (patient, family, couple, stepper, asker, sleeper)),
    )
    return {code.spec.name: code for code in agents}
