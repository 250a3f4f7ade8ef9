"""Pure: what a model call may need, before it starts. True up when it has ended."""

from __future__ import annotations

import json
from typing import Final, assert_never

from callboard.bus.messages import Usage
from callboard.config.guards import RateLimit
from callboard.models.port import AssistantTurn, ChatMessage, ChatRequest, SteerNote, ToolOutcome, UserText

_BYTES_PER_TOKEN: Final = 2


def input_tokens(request: ChatRequest) -> int:
    """Half a token for each byte: more than a text has, less than twice as many."""
    tools = sum(len(tool.description) + len(json.dumps(tool.parameters)) for tool in request.tools)
    texts = sum(len(_text(message).encode()) for message in request.messages)
    return (len(request.system.encode()) + tools + texts) // _BYTES_PER_TOKEN


def counted(usage: Usage, provider: str) -> tuple[int, int] | None:
    """Tokens in and out that count against a limit; None: nobody knows. Anthropic lets what it read from a cache go."""
    free = usage.cached_tokens if provider == "anthropic" else 0
    inputs = usage.input_tokens + usage.written_tokens + usage.cached_tokens
    return (inputs - free, usage.output_tokens) if inputs or usage.output_tokens else None


def too_large(limit: RateLimit, inputs: int, outputs: int) -> str:
    """Why a call that may need so many tokens never fits ``limit``, ``""`` if it does."""
    for noun, needed, allowed in (("input", inputs, limit.input_tokens), ("output", outputs, limit.output_tokens)):
        if allowed is not None and needed > allowed:
            return (
                f"may need {needed:,} {noun} tokens, and rate_limits allows {allowed:,} a minute: "
                "it is sent when nothing else was for a minute, and may be refused"
            )
    return ""


def _text(message: ChatMessage) -> str:
    match message:
        case UserText(text) | SteerNote(text):
            return text
        case AssistantTurn(text, calls):
            return text + "".join(call.name + json.dumps(call.arguments, ensure_ascii=False) for call in calls)
        case ToolOutcome():
            return message.content if isinstance(message.content, str) else json.dumps(message.content)
        case _:
            assert_never(message)
