"""Pure: answers as Anthropic Messages says them, streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from callboard.testing.pairing import signature
from callboard.testing.script import Answer, Frame, Stop, Tokens, pieces

_STOP: Final[Mapping[Stop, str]] = {
    "end": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "refusal": "refusal",
    "pause": "pause_turn",
    "context": "model_context_window_exceeded",
    "content_filter": "refusal",
}


def stream(answer: Answer) -> Iterator[Frame]:
    """Its events, in order."""
    said = 0
    first = min(1, answer.tokens.output)
    start = _message(answer, content=[], stop=None) | {"usage": usage(replace(answer.tokens, output=first))}
    yield replace(_frame("message_start", said, message=start), counted=first)
    yield _frame("ping", said)
    for index, (block, deltas) in enumerate(_blocks(answer)):
        yield _frame("content_block_start", said, index=index, content_block=block)
        for delta in deltas:
            said += _size(delta)
            yield _frame("content_block_delta", said, index=index, delta=delta)
        yield _frame("content_block_stop", said, index=index)
    stop = {"stop_reason": _STOP[answer.reply.why], "stop_sequence": None, "stop_details": _details(answer)}
    end = _frame("message_delta", said, delta=stop, usage=_end_usage(answer.tokens))
    yield replace(end, counted=answer.tokens.output)
    yield replace(_frame("message_stop", said), terminal=True)


def whole(answer: Answer) -> dict[str, Any]:
    """The body without streaming."""
    content = [_filled(block, deltas) for block, deltas in _blocks(answer)]
    stop = _STOP[answer.reply.why]
    return _message(answer, content=content, stop=stop) | {"stop_details": _details(answer)}


def usage(tokens: Tokens) -> dict[str, Any]:
    """Input excludes the cache."""
    return {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": tokens.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }


def _end_usage(tokens: Tokens) -> dict[str, int]:
    return {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.output,
    }


def _message(answer: Answer, *, content: list[Any], stop: str | None) -> dict[str, Any]:
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage(answer.tokens),
    }


def _details(answer: Answer) -> dict[str, Any] | None:
    if answer.reply.why not in {"refusal", "content_filter"}:
        return None
    return {"type": "refusal", "category": None, "explanation": "this is a fake refusal"}


def _blocks(answer: Answer) -> Iterator[tuple[dict[str, Any], list[dict[str, str]]]]:
    """Each block as it starts, and its deltas."""
    reply = answer.reply
    if reply.thinking:
        thought = [{"type": "thinking_delta", "thinking": each} for each in pieces(reply.thinking, reply.piece)]
        signed = {"type": "signature_delta", "signature": signature(reply.thinking)}
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*thought, signed]
    if reply.text:
        text = [{"type": "text_delta", "text": each} for each in pieces(reply.text, reply.piece)]
        yield {"type": "text", "text": ""}, text
    for at, call in enumerate(reply.calls):
        parts = ["", *pieces(call.wire_arguments, reply.piece)]
        use: dict[str, Any] = {"type": "tool_use", "id": answer.call_id(at, "toolu"), "name": call.name, "input": {}}
        yield use, [{"type": "input_json_delta", "partial_json": each} for each in parts]


def _filled(block: dict[str, Any], deltas: list[dict[str, str]]) -> dict[str, Any]:
    if block["type"] == "tool_use":
        return block | {"input": _object("".join(delta["partial_json"] for delta in deltas))}
    full = dict(block)
    for delta in deltas:
        key = delta["type"].removesuffix("_delta")
        full[key] += delta[key]
    return full


def _object(text: str) -> Any:
    """The arguments of a whole message are JSON by construction; what the script broke comes as text."""
    try:
        return json.loads(text)
    except ValueError:
        return {"broken": text}


def _size(delta: Mapping[str, str]) -> int:
    return sum(len(delta.get(key, "").encode()) for key in ("text", "thinking", "partial_json"))


def _frame(event: str, said: int, **fields: Any) -> Frame:
    return Frame(json.dumps({"type": event, **fields}, ensure_ascii=False), event, said)
