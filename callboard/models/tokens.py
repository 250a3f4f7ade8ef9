"""Pure: how many tokens a request may have, by its bytes: the most, and what calls showed to be likely."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import Final, assert_never

from pydantic_core import to_json

from callboard.config.spec import ToolSpec
from callboard.models.port import AssistantTurn, ChatMessage, ChatRequest, SteerNote, ToolOutcome, UserText

_BYTES_PER_TOKEN: Final = 2
"""Measured: four bytes a token is too few tokens for 89 % of real tool results, two are enough for nearly all."""
_FEWEST, _MOST = 1 / 8, 1.0
_KEPT, _ENOUGH = 64, 8


def most_input(request: ChatRequest, last: int | None) -> int:
    """The most tokens of a request. ``last``: those of the last answered call, which it repeats; None: the first."""
    if last:
        return last + most_tokens(sum(map(message_size, _since_last_answer(request.messages))))
    return most_tokens(size_of(request))


def most_tokens(size: int) -> int:
    """The most tokens of so many bytes."""
    return -(-size // _BYTES_PER_TOKEN)


def size_of(request: ChatRequest) -> int:
    """The bytes of all that the model reads."""
    told = len(request.system.encode("utf-8", "replace")) + sum(map(tool_size, request.tools))
    schema = len(to_json(request.output)) if request.output is not None else 0
    return told + schema + sum(map(message_size, request.messages))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What real calls of each model showed, for estimates of what fits. What is reserved for a call stays the most."""

    _seen: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])

    def observe(self, model: str, *, size: int, tokens: int) -> None:
        """A request of ``size`` bytes had so many tokens. Of each model the latest count."""
        if size and tokens:
            ratio = min(_MOST, max(_FEWEST, tokens / size))
            self._seen.setdefault(model, deque(maxlen=_KEPT)).append(ratio)

    def estimate(self, model: str, size: int) -> int:
        """Tokens of so many bytes: what nine of ten of the latest calls had at most; of few calls, the most."""
        seen = sorted(self._seen.get(model, ()))
        if len(seen) < _ENOUGH:
            return most_tokens(size)
        return ceil(size * seen[len(seen) * 9 // 10])


def _since_last_answer(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    for at in range(len(messages), 0, -1):
        if isinstance(messages[at - 1], AssistantTurn):
            return messages[at:]
    return messages


def message_size(message: ChatMessage) -> int:
    """The bytes of a message."""
    match message:
        case UserText(text=text) | SteerNote(text=text):
            return len(text.encode("utf-8", "replace"))
        case AssistantTurn(text=text, tool_calls=calls, blocks=blocks):
            arguments = sum(len(to_json(call.arguments, inf_nan_mode="constants")) for call in calls)
            return max(len(text.encode("utf-8", "replace")) + arguments, len(to_json(blocks)) if blocks else 0)
        case ToolOutcome(content=content):
            return len(to_json(content, inf_nan_mode="constants"))
        case _:
            assert_never(message)


def tool_size(tool: ToolSpec) -> int:
    """The bytes of what the model reads of a tool."""
    return len(tool.name) + len(tool.description.encode("utf-8", "replace")) + len(to_json(tool.parameters))
