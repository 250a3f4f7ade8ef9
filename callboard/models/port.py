"""Pure: what actors need from a language model, as a Protocol. Each provider is an adapter in this package."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeAlias

from pydantic import JsonValue

from callboard.config.spec import ModelChoice, ToolSpec

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
Stop: TypeAlias = Literal["end", "tool_use", "max_tokens", "refusal", "pause", "context", "content_filter"]
"""Why an answer ended. ``pause``: the provider wants to be asked again, with what it said so far. ``context``: the
window was full."""

MOST_TOKENS: Final = 10**10
"""Of one call: what a provider says beyond that is no count."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call that the model asks for. ``id`` is unique in the run."""

    id: str
    name: str
    arguments: JsonValue


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, normalised: ``input_tokens`` excludes what was read from a cache (``cached_tokens``), or written to one.

    Money in micro-dollars.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd_micros: int = 0
    written_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The whole input."""
        return self.input_tokens + self.cached_tokens + self.written_tokens


@dataclass(frozen=True, slots=True)
class UserText:
    """What the model is asked."""

    text: str


@dataclass(frozen=True, slots=True)
class AssistantTurn:
    """What the model answered earlier. ``blocks``: the same as ``provider`` said it, to be sent back to it unchanged.

    The n-th tool call of the blocks is the n-th of ``tool_calls``, under the provider's id. Another provider is sent
    the text and the calls.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    provider: str = ""
    blocks: tuple[JsonValue, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What became of a tool call: its result, or (``is_error``) what went wrong."""

    call: str
    name: str
    content: JsonValue
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class SteerNote:
    """A note from outside that the model reads before its next turn."""

    text: str
    by: str = ""


ChatMessage: TypeAlias = UserText | AssistantTurn | ToolOutcome | SteerNote


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One attempt of one model call. ``input`` is the task's; ``attempt`` counts from 1; ``timeout`` is in seconds.

    ``output``: the JSON schema that an answer is to fit; None: any text will do. ``purpose``: only a ``turn`` repeats
    what the call before it read; ``summed_up``: the answers that are told by a summary among the ``messages``.
    ``may_call``: without it the ``tools`` are told for the prompt cache alone, and none may be called.
    """

    model: ModelChoice
    system: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...]
    attempt: int
    call: str
    run: str
    input: JsonValue
    timeout: float
    output: Mapping[str, JsonValue] | None = None
    purpose: Literal["turn", "summary", "warm"] = "turn"
    summed_up: int = 0
    may_call: bool = True


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the text, in order. The pieces of a call join to the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """A sign of an answer beside its text: ``size`` bytes of thoughts, or of a tool call.

    Without a size the answer has only begun: from then on its input is paid for.
    """

    size: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """What the provider has counted so far, in the middle of an answer: its prompt, and what it said before this.

    A prompt, or an output, of no tokens is none that it has counted.
    """

    usage: Usage


@dataclass(frozen=True, slots=True)
class ChatReply:
    """The one terminal item of a stream. Without ``tool_calls`` it is the agent's answer.

    ``blocks`` is the whole answer as the provider said it, if it wants that back unchanged (signed thinking).
    ``limits`` are the headers in which the provider speaks of its limits, as they came (``x-ratelimit-*``,
    ``anthropic-ratelimit-*``); the rate limit reads them.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    usage: Usage
    stop: Stop
    blocks: tuple[JsonValue, ...] = ()
    limits: Mapping[str, str] = field(default_factory=lambda: _NONE)


Delta: TypeAlias = TextDelta | Unseen | Counted


class ChatModel(Protocol):
    """A model behind a provider."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | ChatReply, None]:
        """Deltas, then exactly one ``ChatReply``. Cancellable; close it (``aclosing``) to leave early.

        Raises ``ModelError``. Who asks keeps the ``timeout``: a scope for each wait would cost as much as the answer.
        A stream that ends without a reply was truncated.
        """
        ...
