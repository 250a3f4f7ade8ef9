"""Pure: answers as OpenAI Chat Completions says them, streamed and whole. Compatible servers speak it too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from callboard.testing.script import Answer, Frame, Stop, Tokens, pieces, tokens_in

_FINISH: Final[Mapping[Stop, str]] = {
    "end": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "stop",
    "pause": "stop",
    "context": "length",
    "content_filter": "content_filter",
}


def stream(answer: Answer, body: Mapping[str, Any]) -> Iterator[Frame]:
    """Its chunks, in order. ``body``: of the request, which says whether usage is wanted."""
    options: Mapping[str, Any] = body.get("stream_options") or {}
    usage_wanted, output = bool(options.get("include_usage")), answer.tokens.output
    always = usage_wanted and bool(options.get("continuous_usage_stats"))  # vLLM and SGLang can
    said = 0

    def chunk(choice: dict[str, Any], spoken: int) -> Frame:
        told = usage(replace(answer.tokens, output=spoken)) if always else None
        counted: dict[str, Any] = {"usage": told} if usage_wanted else {}
        return replace(_frame(_chunk(answer, [choice]) | counted, said), counted=spoken if always else 0)

    for delta in _deltas(answer):
        said += _size(delta)
        yield chunk(_choice(delta, None), min(tokens_in(said), output))
    yield replace(chunk(_choice({}, _FINISH[answer.reply.why]), output), terminal=True)
    if usage_wanted:
        yield replace(_frame(_chunk(answer, []) | {"usage": usage(answer.tokens)}, said), counted=output)
    yield Frame("[DONE]", "", said)


def whole(answer: Answer) -> dict[str, Any]:
    """The body without streaming."""
    refuses = answer.reply.why == "refusal"
    text = answer.reply.text or None
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refuses else text,
        "refusal": text if refuses else None,
    }
    calls = [_call(answer, at) | {"function": _function(answer, at)} for at in range(len(answer.reply.calls))]
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[answer.reply.why]}
    return _head(answer, "chat.completion") | {"choices": [choice], "usage": usage(answer.tokens)}


def usage(tokens: Tokens) -> dict[str, Any]:
    """Input includes the cache."""
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.prompt + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": tokens.written},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    reply = answer.reply
    yield {"role": "assistant", "content": "", "refusal": None}
    key = "refusal" if reply.why == "refusal" else "content"
    yield from ({"reasoning_content": piece} for piece in pieces(reply.thinking, reply.piece))
    yield from ({key: piece} for piece in pieces(reply.text, reply.piece))
    for at, call in enumerate(reply.calls):
        head = {"index": at, **_call(answer, at), "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [head]}
        for piece in pieces(call.wire_arguments, reply.piece):
            yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}


def _call(answer: Answer, at: int) -> dict[str, Any]:
    return {"id": answer.call_id(at, "call"), "type": "function"}


def _function(answer: Answer, at: int) -> dict[str, str]:
    call = answer.reply.calls[at]
    return {"name": call.name, "arguments": call.wire_arguments}


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": answer.id,
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _chunk(answer: Answer, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return _head(answer, "chat.completion.chunk") | {"choices": choices}


def _choice(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _size(delta: Mapping[str, Any]) -> int:
    texts = [delta.get(key) or "" for key in ("content", "refusal", "reasoning_content")]
    texts += [call["function"]["arguments"] for call in delta.get("tool_calls", ())]
    return sum(len(text.encode()) for text in texts)


def _frame(data: Mapping[str, Any], said: int) -> Frame:
    return Frame(json.dumps(data, ensure_ascii=False), "", said)
