"""Pure: the values that messages are made of. Money is an integer of micro-dollars, durations are seconds."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints

from callboard.bus.subjects import TOKEN

VERSION: Final = 1
Token: TypeAlias = Annotated[str, StringConstraints(pattern=f"^{TOKEN}$")]
Effect: TypeAlias = Literal["pure", "idempotent", "at_most_once", "critical"]
DoubtPolicy: TypeAlias = Literal["ask", "verify", "continue", "fail"]
Outcome: TypeAlias = Literal["completed", "failed", "killed"]
Purpose: TypeAlias = Literal["turn", "summary", "warm"]
"""What a model call is for: a turn of its agent, a summary of older turns, or only to fill a prompt cache."""


class Message(BaseModel):  # noqa: PLW1641 - what is frozen has its hash from pydantic
    """Base of everything that crosses the bus."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")

    def __eq__(self, other: object) -> bool:
        """Most fields of what is written are their own defaults, which are left out: nothing of those is compared."""
        return self is other or BaseModel.__eq__(self, other)


class Blob(Message):
    """Content that lives in the object store, by hash. ``size`` in bytes of its JSON."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: int


class Content(Message):
    """A JSON value, or (``blob`` set) the reference to one; ``value`` is then a preview that may be cut."""

    value: JsonValue = None
    blob: Blob | None = None


class Problem(Message):
    """Why something did not work, for people and programs. ``kind`` is a short word, ``hint`` says what to do."""

    kind: str
    message: str
    hint: str = ""


class Parent(Message):
    """Who spawned a run: the parent's run id (same tenant) and its call."""

    run: Token
    call: str = ""


class ToolCall(Message):
    """A tool call that a model asked for. ``id`` is unique in the run."""

    id: str
    name: str
    arguments: JsonValue = None


class Prefix(Message):
    """What a model request begins with, as short digests: which part of it is another than in the request before?

    ``output`` is of the schema that the answer is to fit (``""``: any text will do, or an older worker asked).
    ``history`` is of its ``messages`` messages, ``before`` of as many of them as the request before had (``""``: it is
    the first). That one's ``history`` is this one's ``before`` if the history has only grown.
    """

    tools: str = ""
    output: str = ""
    system: str = ""
    history: str = ""
    before: str = ""
    messages: int = 0


class Usage(Message):
    """What a model call used. Tokens: ``input_tokens`` excludes what was read from a cache, or written to one."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd_micros: int = 0
    written_tokens: int = 0


class Amount(Message):
    """What was used, or may be at most. Money in micro-dollars; ``input_tokens`` is all input, cached or not."""

    usd_micros: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0


class Caps(Message):
    """At most so much of each; None: no cap."""

    usd_micros: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    model_calls: int | None = None
    tool_calls: int | None = None


class Wait(Message):
    """One thing a suspended run waits for: ``child``/run id, ``timer``/name, ``signal``/name, ``resolution``/call.

    ``go``/guard: that a pause of that guard (or person) is over.
    """

    kind: Literal["child", "timer", "signal", "resolution", "go"]
    name: str
