"""Pure: the script of the ``scripted`` model, as data. ``callboard.models.scripted`` plays it.

Strings in ``text`` and ``args`` may quote: ``{{ input }}``, ``{{ input.path.0 }}``, ``{{ results.read_file.lines }}``
(a tool's name: its latest result; ``t1-2``: that of the second call of the first turn), ``{{ last }}`` (the last
message).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag

from callboard.config.base import NOT_A_BOOL, Name, Seconds, Strict, Switch
from callboard.errors import ModelErrorKind


def _a_pattern(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError):
        raise ValueError("expected a regular expression of Python's re") from None
    return value


Pattern = Annotated[str, AfterValidator(_a_pattern)]
Tokens = Annotated[int, Field(ge=0, le=10**12), NOT_A_BOOL]


Stop: TypeAlias = Literal["max_tokens", "refusal", "pause", "context", "content_filter"]


class ToolUse(Strict):
    """A tool call of a turn."""

    name: Annotated[Name, Field(description="The tool to call.")]
    args: Annotated[JsonValue, Field(description="Its arguments; strings may quote with {{ … }}.")] = Field(
        default_factory=dict
    )


class UsageFigures(Strict):
    """Tokens that a turn reports. What is left out is derived from the size of the texts."""

    input: Annotated[Tokens | None, Field(description="Read anew.")] = None
    output: Annotated[Tokens | None, Field(description="Answered.")] = None
    cached: Annotated[Tokens, Field(description="Read from a cache.")] = 0


class Failure(Strict):
    """The first attempts of a turn fail."""

    kind: Annotated[ModelErrorKind, Field(description="'rate', 'overload', 'network' and 'truncated' are retried.")]
    message: Annotated[str, Field(description="What the failure says.")] = "the script says so"
    times: Annotated[int, Field(ge=1, le=1_000_000, description="How many attempts of the call fail."), NOT_A_BOOL] = 1
    retry_after: Annotated[Seconds | None, Field(description="What the provider would ask for, in seconds.")] = None


class Turn(Strict):
    """What the model answers when it is asked once. Without ``tools`` the answer is final."""

    when: Annotated[
        Pattern | None, Field(description="Play this alternative if the last message matches (regex search).")
    ] = None
    text: Annotated[str, Field(description="What it says; may quote with {{ … }}.")] = ""
    tools: Annotated[tuple[ToolUse, ...], Field(description="What it calls, all at the same time.")] = ()
    usage: Annotated[UsageFigures, Field(description="The tokens that it reports.")] = UsageFigures()
    cost_usd: Annotated[float, Field(ge=0, le=1_000_000, description="US dollars that the answer costs.")] = 0.0
    delay: Annotated[Seconds | None, Field(description="Until the reply is complete; seconds, or '250ms'.")] = None
    chunks: Annotated[int, Field(ge=1, le=10_000, description="Stream the text in so many pieces."), NOT_A_BOOL] = 1
    fail: Annotated[Failure | None, Field(description="Fail on demand, to test retries.")] = None
    stop: Annotated[Stop | None, Field(description="Why the answer ends, if not because it is complete.")] = None
    limits: Annotated[
        dict[str, str], Field(description="What it says of its limits beside each answer, as headers: 'x-ratelimit-…'.")
    ] = Field(default_factory=dict)


def _turn_or_alternatives(value: object) -> str:
    return "<alternatives>" if isinstance(value, list | tuple) else "<turn>"


Alternatives: TypeAlias = Annotated[
    Annotated[Turn, Tag("<turn>")] | Annotated[tuple[Turn, ...], Field(min_length=1), Tag("<alternatives>")],
    Discriminator(_turn_or_alternatives),
]
Turns: TypeAlias = Annotated[
    tuple[Alternatives, ...],
    Field(min_length=1, description="One turn for each answer; a list of turns: the first whose 'when' matches."),
]


class Script(Strict):
    """The turns in their order. ``loop`` plays them for ever."""

    turns: Turns
    loop: Annotated[Switch, Field(description="After the last turn, play from the first one again.")] = False
