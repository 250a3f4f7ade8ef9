"""Shell: performs the function of a step once, async or in a thread, and turns whatever happens into a fact."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import anyio
from anyio.lowlevel import checkpoint_if_cancelled
from pydantic import JsonValue

from callboard.bus.messages import Problem
from callboard.config.times import duration
from callboard.errors import ToolError
from callboard.log import get_logger
from callboard.tools.context import ToolContext
from callboard.tools.execute import is_cancelled, json_value
from callboard.tools.threads import run_in_thread

log = get_logger(__name__)


async def perform(work: partial[Any], context: ToolContext, *, name: str) -> tuple[JsonValue, Problem | None]:
    """What ``work`` returned as JSON, or the problem. Cancellation passes through."""
    try:
        with anyio.CancelScope(deadline=anyio.current_time() + context.deadline):
            return json_value(await _call(work, context, name)), None
    except anyio.get_cancelled_exc_class() as error:
        if is_cancelled():
            raise
        return None, _raised(error)
    except ToolError as error:
        await checkpoint_if_cancelled()  # what a step raises because it is cancelled says nothing about what it did
        return None, Problem(kind=error.kind, message=str(error)[:4_000])
    except (Exception, SystemExit) as error:  # whatever a step does must not end its worker
        await checkpoint_if_cancelled()
        log.exception("step failed", step=name)
        return None, _raised(error)
    return None, Problem(kind="timeout", message=f"step {name!r} took longer than {duration(context.deadline)}")


def _raised(error: BaseException) -> Problem:
    return Problem(kind="step_raised", message=f"{type(error).__name__}: {error}"[:4_000])


async def _call(work: partial[Any], context: ToolContext, name: str) -> object:
    if inspect.iscoroutinefunction(work.func):
        await context.until_open()
        return await work()
    value: object = await run_in_thread(work, tool=name, context=context)
    return await value if inspect.isawaitable(value) else value
