"""Shell: performs the function of a step once, async or in a thread, and turns whatever happens into a fact."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import anyio
from pydantic import JsonValue

from callboard.bus.messages import Problem
from callboard.errors import BusError, ToolError
from callboard.log import get_logger
from callboard.tools.context import ToolContext
from callboard.tools.execute import json_value
from callboard.tools.threads import run_in_thread

log = get_logger(__name__)


async def perform(work: partial[Any], context: ToolContext, *, name: str) -> tuple[JsonValue, Problem | None]:
    """What ``work`` returned as JSON, or the problem. Cancellation passes through."""
    try:
        with anyio.CancelScope(deadline=anyio.current_time() + context.deadline):
            return json_value(await _call(work, context, name)), None
    except BusError:
        raise
    except ToolError as error:
        return None, Problem(kind=error.kind, message=str(error)[:4_000])
    except Exception as error:
        log.exception("step failed", step=name)
        return None, Problem(kind="step_raised", message=f"{type(error).__name__}: {error}"[:4_000])
    return None, Problem(kind="timeout", message=f"step {name!r} took longer than {context.deadline:g} s")


async def _call(work: partial[Any], context: ToolContext, name: str) -> object:
    if inspect.iscoroutinefunction(work.func):
        return await work()
    value: object = await run_in_thread(work, tool=name, context=context)
    return await value if inspect.isawaitable(value) else value
