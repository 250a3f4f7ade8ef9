"""Pure: a request as the Responses API takes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.config.settings import RESPONSES
from callboard.config.spec import ToolSpec
from callboard.models.openai.history import Exchange, arguments, note, output, paired, wire_id
from callboard.models.openai.reading import mapping
from callboard.models.openai.strictness import answer_format, instructions, may_be_strict, parameters
from callboard.models.port import AssistantTurn, ChatMessage, ChatRequest, ToolCall, ToolOutcome, UserText
from callboard.models.settings import checked
from callboard.models.structured import SETTING

PROVIDER: Final = "openai"
_UNREASONING: Final = re.compile(r"(chatgpt|gpt-[34])")
"""Models that do not reason refuse to be asked for encrypted reasoning."""


def request_body(request: ChatRequest) -> dict[str, JsonValue]:
    """The body of ``POST /responses``. Raises ``ModelError`` for settings that do not exist."""
    choice = request.model
    settings = checked(choice.settings, RESPONSES)
    settings.pop(SETTING, None)
    system, text = instructions(request), dict[str, JsonValue]()
    tools = [_tool(tool) for tool in request.tools]
    body: dict[str, JsonValue] = {
        "model": choice.name,
        "input": _items(request.messages),
        "max_output_tokens": choice.max_output,
        "prompt_cache_key": cache_key(choice.name, system, tools),
        "store": False,
        "stream": True,
    }
    if system:
        body["instructions"] = system
    if tools:
        body["tools"] = list(tools)
        if not request.may_call:
            body["tool_choice"] = "none"
    if not _UNREASONING.match(choice.name):
        body["include"] = ["reasoning.encrypted_content"]
    if (effort := settings.pop("reasoning_effort", None)) is not None:
        body["reasoning"] = {"effort": effort}
    if (verbosity := settings.pop("verbosity", None)) is not None:
        text["verbosity"] = verbosity
    if (wanted := answer_format(request)) is not None:
        text["format"] = {"type": "json_schema", **wanted}
    if text:
        body["text"] = text
    if not tools:
        settings.pop("parallel_tool_calls", None)  # refused without tools
    return body | settings


def cache_key(model: str, system: str, tools: Sequence[JsonValue]) -> str:
    """The same for all requests that begin alike: the provider sends them where that beginning is cached."""
    return f"cb-{sha256(to_json([model, system, *tools])).hexdigest()[:32]}"


def _tool(tool: ToolSpec) -> dict[str, JsonValue]:
    schema = parameters(tool)
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": schema,
        "strict": may_be_strict(schema),  # left out it would be true
    }


def _items(messages: Sequence[ChatMessage]) -> list[JsonValue]:
    items: list[JsonValue] = []
    taken = set[str]()
    for step in paired(messages):
        if isinstance(step, UserText):
            items.append(_message("user", step.text))
        elif isinstance(step, Exchange):
            said, ids = _verbatim(step.turn, taken) or _rebuilt(step.turn)
            taken.update(ids)
            items += [*said, *map(_result, ids, step.outcomes)]
        else:
            items.append(_message("developer", note(step)))
    return items


def _verbatim(turn: AssistantTurn, taken: set[str]) -> tuple[list[JsonValue], list[str]] | None:
    """The turn as this provider said it, and the ids of its calls; None if it cannot be said so."""
    calls = [mapping(block) for block in turn.blocks if mapping(block).get("type") == "function_call"]
    ids = [call_id for call in calls if isinstance(call_id := call.get("call_id"), str)]
    if turn.provider != PROVIDER or not turn.blocks or len(ids) != len(turn.tool_calls):
        return None
    if len(ids) != len(calls) or len(set(ids) - taken) != len(ids):  # no id of this API, or a repeated one
        return None
    return list(turn.blocks), ids


def _rebuilt(turn: AssistantTurn) -> tuple[list[JsonValue], list[str]]:
    """The turn from its text and calls: without the ids of its items the provider looks for nothing that it stored."""
    said = [_message("assistant", turn.text)] if turn.text else []
    return [*said, *map(_call, turn.tool_calls)], [wire_id(call.id) for call in turn.tool_calls]


def _call(call: ToolCall) -> JsonValue:
    return {"type": "function_call", "call_id": wire_id(call.id), "name": call.name, "arguments": arguments(call)}


def _result(call_id: str, outcome: ToolOutcome) -> JsonValue:
    return {"type": "function_call_output", "call_id": call_id, "output": output(outcome)}


def _message(role: str, text: str) -> JsonValue:
    return {"type": "message", "role": role, "content": text}
