"""Pure: what the fake provider is told to answer, and what it remembers of a request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias

from callboard.testing.loose import items, mapping

Wire: TypeAlias = Literal["anthropic", "openai", "openai-chat"]
"""A provider's way to speak: Messages, Responses, Chat Completions."""

Stop: TypeAlias = Literal["end", "tool_use", "max_tokens", "refusal", "pause", "context", "content_filter"]
"""Why an answer ends. Each wire has its own word for it, or the nearest one."""

BYTES_PER_TOKEN: Final = 4
"""What the fake counts as a token, where the script does not say the usage."""


def tokens_in(size: int) -> int:
    """The tokens of ``size`` bytes, rounded up."""
    return -(-size // BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an answer used. ``input`` excludes what was read from a cache or written to one."""

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0

    @property
    def prompt(self) -> int:
        """The whole input."""
        return self.input + self.cached + self.written


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. Text as ``arguments`` is sent as it is, so that it can be wrong JSON. Without an id it gets one."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict[str, Any])
    id: str = ""

    @property
    def wire_arguments(self) -> str:
        """The arguments as JSON text, or what the script says instead."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. ``first`` and ``pace`` are the seconds before the first and each later chunk.

    ``tokens``: what to report and bill; None counts them. ``stop``: None is what fits (``tool_use`` with calls, else
    ``end``). ``piece``: characters of a delta.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    tokens: Tokens | None = None
    stop: Stop | None = None
    first: float = 0.0
    pace: float = 0.0
    piece: int = 16

    @property
    def why(self) -> Stop:
        """Why it ends."""
        return self.stop or ("tool_use" if self.calls else "end")

    @property
    def size(self) -> int:
        """Bytes of everything the model says."""
        said = [self.text, self.thinking, *(call.name + call.wire_arguments for call in self.calls)]
        return sum(len(each.encode()) for each in said)


@dataclass(slots=True)
class Request:
    """A request as the server saw it. Instants are seconds of ``time.monotonic()``.

    ``headers`` are in lower case and without keys. ``left``: when the client closed the connection before it had the
    whole answer. ``done``: when the whole answer was sent. ``fault``: what was done to it on purpose. ``tokens``: of
    the whole answer; once it is ``billed``, those that it costs ``usd_micros`` for.
    """

    number: int
    wire: Wire
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    at: float
    status: int = 0
    fault: str = ""
    chunks: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    billed: bool = False
    usd_micros: int = 0
    done: float | None = None
    left: float | None = None

    @property
    def model(self) -> str:
        """The model that is asked for."""
        return str(self.body.get("model", ""))

    @property
    def turn(self) -> int:
        """How many answers of the model the request holds: 0 for the first call of a conversation."""
        said = items(self.body.get("input" if self.wire == "openai" else "messages"))
        by_model = [_by_the_model(mapping(message)) for message in said]
        if self.wire != "openai":
            return sum(by_model)
        return sum(now and not before for before, now in pairwise([False, *by_model]))  # an answer is several items


def _by_the_model(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "assistant" or message.get("type") in {"function_call", "reasoning"}


Replies: TypeAlias = Sequence[Reply | str] | Callable[[Request], Reply | str]
"""Answers in order, or a function of the request."""


def as_reply(given: Reply | str) -> Reply:
    """Text alone is a reply too."""
    return Reply(given) if isinstance(given, str) else given


class OutOfReplies(Exception):
    """The script has nothing to say to this request. Never leaves this package."""


def by_turn(*replies: Reply | str) -> Callable[[Request], Reply | str]:
    """The n-th reply for the n-th call of each conversation: a request that is repeated has the same answer."""

    def choose(request: Request) -> Reply | str:
        if request.turn >= len(replies):
            raise OutOfReplies(f"turn {request.turn + 1} was asked, the script has {len(replies)}: give more replies")
        return replies[request.turn]

    return choose


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply to one request, with its names. ``created`` is in seconds since 1970."""

    id: str
    model: str
    reply: Reply
    tokens: Tokens
    created: int

    def call_id(self, at: int, prefix: str) -> str:
        """The id of the call ``at`` this place."""
        return self.reply.calls[at].id or f"{prefix}_{self.id.rpartition('_')[2]}c{at}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event. ``event`` may be empty.

    ``said``: bytes that the model has said when it is out. ``counted``: the tokens of output that it tells.
    ``terminal``: it says that the answer is whole. ``error``: it is no part of the answer.
    """

    data: str
    event: str = ""
    said: int = 0
    counted: int = 0
    terminal: bool = False
    error: bool = False

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        head = f"event: {self.event}\n" if self.event else ""
        return f"{head}data: {self.data}\n\n".encode()


def pieces(text: str, size: int) -> list[str]:
    """``text`` in deltas of ``size`` characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]
