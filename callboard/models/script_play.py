"""Pure: what a script answers to a request. The same request has the same answer, in any process.

The turn is chosen by the number of answers in the request, so nothing is remembered between calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, assert_never

from pydantic import JsonValue

from callboard.config.script import Failure, Script, Turn, UsageFigures
from callboard.errors import ModelError
from callboard.models.port import (
    AssistantTurn,
    ChatMessage,
    ChatReply,
    ChatRequest,
    SteerNote,
    ToolCall,
    ToolOutcome,
    Usage,
    UserText,
)
from callboard.models.quoting import as_text, quote, quote_text

_BYTES_PER_TOKEN: Final = 4
_RETRYABLE: Final = frozenset({"rate", "overload", "network", "truncated"})


def choose_turn(script: Script, request: ChatRequest) -> Turn:
    """The turn that ``request`` asks for. Raises ``ModelError`` if the script has none."""
    asked = _asked(request)
    size = len(script.turns)
    if asked > size and not script.loop:
        raise _bad_request(
            f"the script has {size} {'turn' if size == 1 else 'turns'}, turn {asked} was asked: "
            "end the script with a turn without tools, or set 'loop: true'"
        )
    chosen = script.turns[(asked - 1) % size]
    text = last_text(request.messages)
    for turn in (chosen,) if isinstance(chosen, Turn) else chosen:
        if turn.when is None or re.search(turn.when, text):
            return turn
    raise _bad_request(f"no 'when' of turn {asked} matches the last message {text[:200]!r}: add one without 'when'")


def failure_of(turn: Turn, attempt: int) -> ModelError | None:
    """The error that this attempt of the turn ends with."""
    fail: Failure | None = turn.fail
    if fail is None or attempt > fail.times:
        return None
    return ModelError(
        fail.kind, fail.message, retryable=fail.kind in _RETRYABLE, retry_after=fail.retry_after, limits=turn.limits
    )


def reply_of(turn: Turn, request: ChatRequest) -> ChatReply:
    """The turn's reply, with everything quoted. Raises ``ModelError`` for an unknown reference."""
    sources = _sources(request)
    text = quote_text(turn.text, sources)
    asked = _asked(request)
    calls = tuple(
        ToolCall(_call_id(asked, at), use.name, quote(use.args, sources)) for at, use in enumerate(turn.tools, start=1)
    )
    usage = _usage(turn.usage, turn.cost_usd, request, [text, *(as_text(call.arguments) for call in calls)])
    return ChatReply(text, calls, usage, turn.stop or ("tool_use" if calls else "end"), limits=turn.limits)


def pieces(text: str, count: int) -> list[str]:
    """``text`` cut into at most ``count`` pieces of about the same length, none empty."""
    count = min(count, len(text))
    cuts = [len(text) * at // count for at in range(count + 1)] if count else [0]
    return [text[start:end] for start, end in pairwise(cuts)]


def last_text(messages: Sequence[ChatMessage]) -> str:
    """The last message as text, ``""`` if there is none."""
    return as_text(_content(messages[-1])) if messages else ""


def _asked(request: ChatRequest) -> int:
    """The number of the turn, from 1."""
    return 1 + request.summed_up + sum(isinstance(message, AssistantTurn) for message in request.messages)


def _call_id(turn: int, at: int) -> str:
    """The id of a call in a script, both numbers from 1. A caller may give its calls ids of its own."""
    return f"t{turn}-{at}"


def _content(message: ChatMessage) -> JsonValue:
    match message:
        case UserText(text=text) | SteerNote(text=text) | AssistantTurn(text=text):
            return text
        case ToolOutcome(content=content):
            return content
        case _:
            assert_never(message)


def _sources(request: ChatRequest) -> Mapping[str, JsonValue]:
    results: dict[str, JsonValue] = {}
    names: dict[str, str] = {}
    turn = 0
    for message in request.messages:
        if isinstance(message, AssistantTurn):
            turn += 1
            names |= {call.id: _call_id(turn, at) for at, call in enumerate(message.tool_calls, start=1)}
        elif isinstance(message, ToolOutcome):
            results[message.name] = message.content
            results[names.get(message.call, message.call)] = message.content
    last = _content(request.messages[-1]) if request.messages else ""
    return {"input": request.input, "results": results, "last": last}


def _usage(figures: UsageFigures, cost_usd: float, request: ChatRequest, answer: Sequence[str]) -> Usage:
    asked = [request.system, *(as_text(_content(message)) for message in request.messages)]
    return Usage(
        input_tokens=_tokens(asked) if figures.input is None else figures.input,
        output_tokens=_tokens(answer) if figures.output is None else figures.output,
        cached_tokens=figures.cached,
        cost_usd_micros=round(cost_usd * 1_000_000),
    )


def _tokens(texts: Sequence[str]) -> int:
    return -(-sum(len(text.encode("utf-8", "replace")) for text in texts) // _BYTES_PER_TOKEN)


def _bad_request(message: str) -> ModelError:
    return ModelError("bad_request", message, retryable=False)
