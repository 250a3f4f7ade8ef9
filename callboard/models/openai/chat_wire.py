"""Pure: a request as Chat Completions takes it, at OpenAI or at a compatible server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from callboard.config.settings import CHAT
from callboard.config.spec import ToolSpec
from callboard.models.openai.history import Exchange, arguments, note, output, paired, wire_id
from callboard.models.openai.strictness import answer_format, instructions, may_be_strict, parameters
from callboard.models.port import AssistantTurn, ChatMessage, ChatRequest, ToolOutcome, UserText
from callboard.models.settings import checked
from callboard.models.structured import SETTING

_COUNTING: Final = "continuous_usage_stats"
"""vLLM and SGLang tell the usage with every chunk then; OpenAI does not know it."""


def request_body(request: ChatRequest, *, at_openai: bool) -> dict[str, JsonValue]:
    """The body of ``POST /chat/completions``. Raises ``ModelError`` for settings that do not exist.

    Compatible servers know the bound of an answer by its older name, which newer models at OpenAI refuse.
    """
    choice = request.model
    settings = checked(choice.settings, CHAT)
    settings.pop(SETTING, None)
    streamed: dict[str, JsonValue] = {"include_usage": True}
    if settings.pop(_COUNTING, False):
        streamed[_COUNTING] = True
    body: dict[str, JsonValue] = {
        "model": choice.name,
        "messages": _messages(instructions(request), request.messages),
        "max_completion_tokens" if at_openai else "max_tokens": choice.max_output,
        "stream": True,
        "stream_options": streamed,
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if not request.may_call:
            body["tool_choice"] = "none"
    else:
        settings.pop("parallel_tool_calls", None)  # refused without tools
    if (wanted := answer_format(request)) is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return body | settings


def _tool(tool: ToolSpec) -> JsonValue:
    schema = parameters(tool)
    function: dict[str, JsonValue] = {"name": tool.name, "description": tool.description, "parameters": schema}
    if may_be_strict(schema):
        function["strict"] = True
    return {"type": "function", "function": function}


def _messages(system: str, messages: Sequence[ChatMessage]) -> list[JsonValue]:
    found: list[JsonValue] = [{"role": "system", "content": system}] if system else []
    asked: list[str] = []
    for step in paired(messages):
        if not isinstance(step, Exchange):
            asked.append(step.text if isinstance(step, UserText) else note(step))
        elif step.turn.text or step.turn.tool_calls:
            found += [*_user(asked), _assistant(step.turn), *map(_result, step.outcomes)]
            asked = []
    return [*found, *_user(asked)]


def _result(outcome: ToolOutcome) -> JsonValue:
    return {"role": "tool", "tool_call_id": wire_id(outcome.call), "content": output(outcome)}


def _user(texts: Sequence[str]) -> list[JsonValue]:
    """One message for what was asked since the last answer: many templates want the roles to alternate."""
    return [{"role": "user", "content": "\n\n".join(texts)}] if texts else []


def _assistant(turn: AssistantTurn) -> JsonValue:
    calls: list[JsonValue] = [
        {"type": "function", "id": wire_id(call.id), "function": {"name": call.name, "arguments": arguments(call)}}
        for call in turn.tool_calls
    ]
    said: dict[str, JsonValue] = {"role": "assistant", "content": turn.text}
    return {**said, "tool_calls": calls} if calls else said
