"""Pure: a request as the Messages API wants it.

The prompt cache works on a prefix: tools, then system, then messages. A breakpoint stands at the end of each, and one
where the request before this one ended, so that its entry is found whatever has been added since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from callboard.config.settings import MESSAGES
from callboard.config.spec import ToolSpec
from callboard.models.anthropic.history import (
    Block,
    Message,
    blank,
    messages_of,
    text_block,
    used_tools,
    welcomes_thoughts,
)
from callboard.models.port import ChatRequest
from callboard.models.settings import checked
from callboard.models.structured import SETTING, Dialect, constrained, prompted, told

Body: TypeAlias = dict[str, Any]
_CACHED: Final = MappingProxyType({"type": "ephemeral"})
_MARKED_MESSAGES: Final = 2
_FORMATS: Final = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"}
)
_CLAUDE: Final = Dialect(frozenset(), _FORMATS, complete=False, recursive=False, optional=24, unions=16)


def body_of(request: ChatRequest) -> Body:
    """The body of a streamed call. Raises ``ModelError`` (``bad_request``) for settings that are not known."""
    settings = _settings(request)
    words = _asked_for(request, settings)
    messages = messages_of(request.messages)
    tools = [_tool(tool) for tool in request.tools] or _stubs(messages)
    if not tools:
        settings.pop("tool_choice", None)
    elif not request.tools or not request.may_call:
        settings["tool_choice"] = {"type": "none"}
    _mark(tools[-1:])
    system: list[Block] = [] if blank(words) else [text_block(words)]
    _mark(system)
    asked = [message for message in messages if message["role"] == "user"]
    for message in asked[-_MARKED_MESSAGES:]:
        _mark(message["content"][-1:])
    body: Body = {"model": request.model.name, "max_tokens": request.model.max_output, "stream": True, **settings}
    given: Body = {"tools": tools, "system": system, "messages": messages}
    return body | {name: value for name, value in given.items() if value}


def _settings(request: ChatRequest) -> Body:
    settings = checked(request.model.settings, MESSAGES)
    thinking = settings.get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("type") == "enabled" and not welcomes_thoughts(request.messages):
        del settings["thinking"]
    return settings


def _asked_for(request: ChatRequest, settings: Body) -> str:
    """The system prompt. What answers are to be goes into ``settings``; what cannot be said there, into the prompt."""
    settings.pop(SETTING, None)
    if request.output is None:
        return request.system
    schema = None if prompted(request) else constrained(request.output, _CLAUDE)
    if schema is None:
        return told(request.system, request.output)
    given = settings.get("output_config", {})
    settings["output_config"] = {**given, "format": {"type": "json_schema", "schema": schema}}
    return request.system


def _tool(tool: ToolSpec) -> Block:
    described: Block = {"description": tool.description} if not blank(tool.description) else {}
    return {"name": tool.name, **described, "input_schema": {"type": "object", **tool.parameters}}


def _stubs(messages: Sequence[Message]) -> list[Block]:
    """For a request without tools: a history with calls is refused without theirs."""
    return [{"name": name, "input_schema": {"type": "object"}} for name in used_tools(messages)]


def _mark(blocks: Sequence[Block]) -> None:
    for block in blocks:
        block["cache_control"] = dict(_CACHED)
