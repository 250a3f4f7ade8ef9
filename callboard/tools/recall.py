"""Shell: the built-in tool that gives back results which were taken out of a model's context."""

from __future__ import annotations

from pydantic import JsonValue

from callboard.errors import ToolError
from callboard.tools.context import ToolContext
from callboard.tools.tool import tool


@tool(effect="pure")
async def recall(call: str, context: ToolContext) -> JsonValue:
    """Give back the result of an earlier call that was cleared to make room. `call` is its id, as it stands there."""
    if context.earlier is None:
        raise ToolError("no_results", "there are no earlier results outside of an agent's run")
    return await context.earlier(call)
