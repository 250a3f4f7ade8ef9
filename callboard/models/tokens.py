"""Pure: how many tokens a request may have: the most of it, by its bytes, and what is likely, as calls showed.

What a budget reserves goes by bytes. What has to fit (into a window, a rate) goes by what counts for its model: see
``vocabulary``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import Final, Protocol, assert_never

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.config.spec import ToolSpec
from callboard.models.port import AssistantTurn, ChatMessage, ChatRequest, SteerNote, ToolOutcome, UserText

_BYTES_PER_TOKEN: Final = 2
"""Measured: four bytes a token is too few tokens for 89 % of real tool results, two are enough for nearly all."""
_FEWEST, _MOST = 1 / 4, 2.0
"""What calls may show of a unit, times what it was taken for."""
_KEPT, _ENOUGH = 64, 8


class TokenCounter(Protocol):
    """Measures what a model reads, in units of its own."""

    @property
    def name(self) -> str:
        """What it goes by, for people."""
        ...

    @property
    def most(self) -> float:
        """The tokens of a unit that no call has shown yet: nearly no text has more."""
        ...

    def text(self, text: str) -> int:
        """The units of a text."""
        ...

    def json(self, value: JsonValue) -> int:
        """The units of a value as a model is told it: a text as it is, everything else as JSON."""
        ...

    def unread(self, size: int) -> int:
        """The units of so many bytes that nobody here has read."""
        ...


@dataclass(frozen=True, slots=True)
class Bytes:
    """Counts bytes: for models whose vocabulary nobody has."""

    name: str = "half a token for a byte"
    most: float = 1 / _BYTES_PER_TOKEN

    def text(self, text: str) -> int:
        """Its bytes."""
        return len(text.encode("utf-8", "replace"))

    def json(self, value: JsonValue) -> int:
        """Its bytes."""
        return len(to_json(value, inf_nan_mode="constants"))

    def unread(self, size: int) -> int:
        """They are what it counts."""
        return size


BYTES: Final = Bytes()


def most_input(request: ChatRequest, last: int | None) -> int:
    """The most tokens of a request. ``last``: those of the last answered call, which it repeats; None: the first."""
    if last:
        return last + most_tokens(sum(map(message_size, _since_last_answer(request.messages))))
    return most_tokens(size_of(request))


def most_tokens(size: int) -> int:
    """The most tokens of so many bytes."""
    return -(-size // _BYTES_PER_TOKEN)


def size_of(request: ChatRequest, counter: TokenCounter = BYTES) -> int:
    """The units of all that the model reads."""
    told = counter.text(request.system) + sum(tool_size(tool, counter) for tool in request.tools)
    schema = counter.json(dict(request.output)) if request.output is not None else 0
    return told + schema + sum(message_size(message, counter) for message in request.messages)


def new_size(request: ChatRequest, counter: TokenCounter) -> int:
    """The units of what no answered call has read."""
    return sum(message_size(message, counter) for message in _since_last_answer(request.messages))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What real calls of each model showed, for estimates of what fits. What is reserved for a call stays the most."""

    _seen: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])

    def observe(self, model: str, *, size: int, tokens: int, counter: TokenCounter = BYTES) -> None:
        """A request of ``size`` units had so many tokens. Of each model the latest count."""
        if size and tokens:
            ratio = min(_MOST, max(_FEWEST, tokens / size / counter.most))
            self._seen.setdefault(model, deque(maxlen=_KEPT)).append(ratio)

    def estimate(self, model: str, size: int, counter: TokenCounter = BYTES) -> int:
        """Tokens of so many units: what nine of ten of the latest calls had at most; of few calls, the most."""
        seen = sorted(self._seen.get(model, ()))
        shown = 1.0 if len(seen) < _ENOUGH else seen[len(seen) * 9 // 10]
        return ceil(size * counter.most * shown)


def _since_last_answer(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    for at in range(len(messages), 0, -1):
        if isinstance(messages[at - 1], AssistantTurn):
            return messages[at:]
    return messages


def message_size(message: ChatMessage, counter: TokenCounter = BYTES) -> int:
    """The units of a message."""
    match message:
        case UserText(text=text) | SteerNote(text=text):
            return counter.text(text)
        case AssistantTurn(text=text, tool_calls=calls, blocks=blocks):
            arguments = sum(counter.json(call.arguments) for call in calls)
            return max(counter.text(text) + arguments, counter.json(list(blocks)) if blocks else 0)
        case ToolOutcome(content=content):
            return counter.json(content)
        case _:
            assert_never(message)


def tool_size(tool: ToolSpec, counter: TokenCounter = BYTES) -> int:
    """The units of what the model reads of a tool."""
    return counter.text(tool.name) + counter.text(tool.description) + counter.json(tool.parameters)
