"""Shell: run one tool call and turn whatever happens into a result that a model can read.

Stopping (timeout or cancellation): an async tool is cancelled by an anyio scope, which delivers the cancellation
again at every await, so that a tool that swallows one does not escape. One that swallows all of them, or that blocks
the event loop, cannot be stopped from inside the process. Sync tools: see ``threads``. Commands: see ``command``.
"""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import anyio
from pydantic import JsonValue
from pydantic_core import from_json, to_json

from callboard.config.nesting import DEEPEST, nests_deeper
from callboard.config.times import duration
from callboard.errors import ToolError
from callboard.log import bound
from callboard.tools.context import ToolContext
from callboard.tools.threads import run_in_thread, still_running
from callboard.tools.tool import AnyTool, Body, Resolution

T = TypeVar("T")

_MESSAGE_LIMIT: Final = 2_000
"""Characters of an error message that the model gets to read."""
_HINTS: Final = MappingProxyType(
    {
        "bad_arguments": "Correct the arguments and call the tool again.",
        "bad_result": "The tool is at fault, not the arguments; do not repeat the call.",
        "tool_crashed": "The tool is at fault or the arguments are beyond what it handles.",
        "timeout": "It may have taken effect in part; ask for less at a time, or check before you repeat it.",
    }
)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How a call ended: with ``value``, or (``problem_kind`` set) with a problem that the model can read."""

    value: JsonValue = None
    problem_kind: str | None = None
    problem_message: str = ""
    hint: str = ""


async def execute(tool: AnyTool, arguments: JsonValue, context: ToolContext) -> ToolResult:
    """Run ``tool`` once. Raises nothing but the cancellation of the caller, which always passes through.

    Stops after the tool's timeout or ``context.deadline`` seconds, whichever is shorter. The value is JSON that a
    journal can keep, of any size; ``cap`` is the caller's. Problem kinds: ``bad_arguments``, ``bad_result``,
    ``tool_crashed``, ``timeout``, and those of the tool's own ``ToolError``.
    """
    seconds = min(context.deadline, tool.spec.timeout or math.inf)
    if seconds <= 0:
        return _problem("timeout", "there was no time left to start it")
    scope = anyio.CancelScope(deadline=anyio.current_time() + seconds)
    try:
        keywords = tool.body.parameters.validate(arguments, context)
        with scope, bound(run=context.run, tenant=context.tenant, call=context.call, tool=tool.spec.name):
            return ToolResult(value=await _call(tool.body, keywords, tool=tool, context=context, accept=json_value))
    except ToolError as error:
        if not scope.cancel_called:
            return _problem(error.kind, str(error))
    except (Exception, SystemExit) as error:  # whatever a tool does must not end its worker
        if not scope.cancel_called:
            context.log.exception("tool crashed", run=context.run, call=context.call, tool=tool.spec.name)
            return _problem("tool_crashed", _one_line(error))
    return _timed_out(tool, context, seconds=seconds)


async def verify(tool: AnyTool, arguments: JsonValue, context: ToolContext) -> Resolution:
    """Ask the tool's ``verify`` hook about a call in doubt. Raises ``ToolError`` if the hook cannot tell."""
    if tool.verify is None:
        raise ToolError("no_verify", f"tool {tool.spec.name!r} has no verify hook: ask a person")
    seconds = min(context.deadline, tool.spec.timeout or math.inf)
    known = arguments if isinstance(arguments, dict) else {}
    wanted: JsonValue = {name: known[name] for name in tool.verify.parameters.names if name in known}
    try:
        keywords = tool.verify.parameters.validate(wanted, context)
        with anyio.move_on_after(seconds):
            return await _call(tool.verify, keywords, tool=tool, context=context, accept=_resolution)
    except ToolError:
        raise
    except (Exception, SystemExit) as error:
        context.log.exception("verify hook crashed", run=context.run, call=context.call, tool=tool.spec.name)
        raise ToolError("verify_failed", _one_line(error)) from error
    raise ToolError("timeout", f"the verify hook of {tool.spec.name!r} took longer than {duration(seconds)}")


async def _call(
    body: Body, keywords: dict[str, Any], *, tool: AnyTool, context: ToolContext, accept: Callable[[object], T]
) -> T:
    if not body.is_async:
        # Accepted in the thread too: turning a large value into JSON takes time, and may run the user's code.
        work: Callable[[], T] = lambda: accept(body.function(**keywords))  # noqa: E731  # a def would be no clearer
        return await run_in_thread(work, tool=tool.spec.name, context=context)
    await context.until_open()
    try:
        return accept(await body.function(**keywords))
    except anyio.get_cancelled_exc_class() as error:
        if is_cancelled():
            context.stop.set()
            raise
        # Left alone, it would end the caller's task without a trace, and the call would never get a result.
        raise ToolError("tool_crashed", "the tool let out a CancelledError although nobody cancelled it") from error


def is_cancelled() -> bool:
    """Is somebody cancelling the current task? If not, a CancelledError in it came out of the code that it runs."""
    task = asyncio.current_task()
    return anyio.get_current_task().has_pending_cancellation() or (task is not None and task.cancelling() > 0)


def json_value(value: object) -> JsonValue:
    """What ``value`` is in JSON, to its last leaf. Raises ``ToolError`` (``bad_result``) for what JSON cannot hold."""
    if isinstance(value, Iterator):  # it might never end
        raise ToolError("bad_result", f"it returned an iterator ({type(cast('object', value)).__name__}), not a list")
    try:
        # There and back: what returns is JSON to its last leaf, with string keys and valid UTF-8.
        found = cast("JsonValue", from_json(to_json(value), allow_inf_nan=False))
    except Exception as error:
        raise ToolError("bad_result", f"it returned what JSON cannot hold: {_one_line(error)}") from error
    if nests_deeper(found, DEEPEST):
        raise ToolError("bad_result", f"it returned what nests deeper than {DEEPEST} levels: no journal keeps that")
    return found


def _resolution(value: object) -> Resolution:
    if not isinstance(value, Resolution):
        raise ToolError("bad_result", f"a verify hook returns a Resolution, not {type(value).__name__}")
    return Resolution(value.decision, json_value(value.value))


def _timed_out(tool: AnyTool, context: ToolContext, *, seconds: float) -> ToolResult:
    alive = any(running.call == context.call for running in still_running(context.run))
    note = "; it could not be stopped and is still running" if alive else ""
    return _problem("timeout", f"{tool.spec.name} took longer than {duration(seconds)}{note}")


def _problem(kind: str, message: str) -> ToolResult:
    shown = message if len(message) <= _MESSAGE_LIMIT else f"{message[:_MESSAGE_LIMIT]}… cut"
    # A message with lone surrogates (file names have them) could not be written to the journal.
    readable = shown.encode(errors="replace").decode()
    return ToolResult(problem_kind=kind, problem_message=readable, hint=_HINTS.get(kind, ""))


def _one_line(error: BaseException) -> str:
    # Unlike str(error), this survives an exception whose own __str__ raises.
    return "".join(traceback.format_exception_only(error)).strip()
