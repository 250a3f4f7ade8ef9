"""What the tests of the OpenAI adapters ask."""

from __future__ import annotations

from typing import Any

from callboard.config.spec import ModelChoice, ToolSpec
from callboard.models.port import ChatRequest, UserText

SEARCH = ToolSpec(
    name="search",
    description="Look it up",
    parameters={
        "type": "object",
        "properties": {"query": {"type": "string"}},
        "required": ["query"],
        "additionalProperties": False,
    },
)


def asked(*messages: Any, provider: str = "openai", name: str = "gpt-6-astra", **rest: Any) -> ChatRequest:
    settings = rest.pop("settings", {})
    given: dict[str, Any] = {
        "model": ModelChoice(provider=provider, name=name, settings=settings, max_output=512),
        "system": "Be brief.",
        "messages": messages or (UserText("hello"),),
        "tools": (SEARCH,),
        "attempt": 1,
        "call": "m1",
        "run": "r1",
        "input": "hello",
        "timeout": 20.0,
    }
    return ChatRequest(**{**given, **rest})
