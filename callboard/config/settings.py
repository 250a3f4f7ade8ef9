"""Pure: the settings that a model of each provider may have, each with what it may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pydantic import JsonValue

_STOPS: Final = 4
Check = tuple[Callable[[JsonValue], bool], str]


def _number(low: float, high: float) -> Check:
    def within(value: JsonValue) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return within, f"a number from {low:g} to {high:g}"


def _one_of(*words: str) -> Check:
    return lambda value: value in words, f"one of {', '.join(words)}"


def _is_whole(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_object(value: JsonValue) -> bool:
    return isinstance(value, dict)


def _are_texts(value: JsonValue) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) and word for word in value)


def _is_stop(value: JsonValue) -> bool:
    words = value if isinstance(value, list) else [value]
    return 1 <= len(words) <= _STOPS and all(isinstance(word, str) and word for word in words)


_EFFORT: Final = _one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SWITCH: Final[Check] = (lambda value: isinstance(value, bool), "true or false")
_OBJECT: Final[Check] = (_is_object, "a mapping")
_TOLD: Final = _one_of("native", "prompt")
MESSAGES: Final[Mapping[str, Check]] = {
    "metadata": _OBJECT,
    "output_config": _OBJECT,
    "service_tier": _one_of("auto", "standard_only"),
    "stop_sequences": (_are_texts, "a list of texts"),
    "structured_output": _TOLD,
    "thinking": _OBJECT,
    "tool_choice": _OBJECT,
}
"""What changes the price of a token is not among them."""
RESPONSES: Final[Mapping[str, Check]] = {
    "parallel_tool_calls": _SWITCH,
    "reasoning_effort": _EFFORT,
    "service_tier": _one_of("auto", "default", "flex", "priority"),
    "structured_output": _TOLD,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "verbosity": _one_of("low", "medium", "high"),
}
CHAT: Final[Mapping[str, Check]] = {
    "continuous_usage_stats": _SWITCH,
    "frequency_penalty": _number(-2, 2),
    "parallel_tool_calls": _SWITCH,
    "presence_penalty": _number(-2, 2),
    "reasoning_effort": _EFFORT,
    "seed": (_is_whole, "a whole number"),
    "stop": (_is_stop, f"a text, or a list of at most {_STOPS}"),
    "structured_output": _TOLD,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
}
ALLOWED: Final[Mapping[str, Mapping[str, Check]]] = {"anthropic": MESSAGES, "openai": RESPONSES, "openai-chat": CHAT}


def problem(settings: Mapping[str, JsonValue], allowed: Mapping[str, Check]) -> str | None:
    """What is wrong with ``settings``, and what is allowed; None: nothing."""
    for name, value in settings.items():
        if name not in allowed:
            return f"there is no setting {name!r} for this provider: allowed are {', '.join(allowed)}"
        fits, expected = allowed[name]
        if not fits(value):
            return f"the setting {name!r} is {value!r}: expected {expected}"
    return None
