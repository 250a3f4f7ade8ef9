"""Pure: answers as OpenAI Responses says them, streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from callboard.testing.script import Answer, Frame, Stop, Tokens, pieces

_INCOMPLETE: Final[Mapping[Stop, str]] = {"max_tokens": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(slots=True)
class _Speaker:
    """Numbers the events and adds up what was said."""

    number: int = 0
    said: int = 0
    output: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def frame(self, event: str, **fields: Any) -> Frame:
        data = {"type": event, "sequence_number": self.number, **fields}
        self.number += 1
        return Frame(json.dumps(data, ensure_ascii=False), event, self.said)


def stream(answer: Answer) -> Iterator[Frame]:
    """Its events, in order."""
    speaker = _Speaker()
    begun = _response(answer, status="in_progress", output=[])
    yield speaker.frame("response.created", response=begun)
    yield speaker.frame("response.in_progress", response=begun)
    yield from _items(answer, speaker)
    end = _end(answer)
    final = _response(answer, status=end.rpartition(".")[2], output=speaker.output)
    yield replace(speaker.frame(end, response=final), terminal=True)


def whole(answer: Answer) -> dict[str, Any]:
    """The body without streaming."""
    speaker = _Speaker()
    for _ in _items(answer, speaker):
        pass
    return _response(answer, status=_end(answer).rpartition(".")[2], output=speaker.output)


def usage(tokens: Tokens) -> dict[str, Any]:
    """Input includes the cache."""
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": tokens.written},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens.prompt + tokens.output,
    }


def _end(answer: Answer) -> str:
    if answer.reply.why == "context":
        return "response.failed"
    return "response.incomplete" if answer.reply.why in _INCOMPLETE else "response.completed"


def _response(answer: Answer, *, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    ended = status != "in_progress"
    reason = _INCOMPLETE.get(answer.reply.why) if status == "incomplete" else None
    too_long = {"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}
    return {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": too_long if status == "failed" else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "model": answer.model,
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "store": False,
        "usage": usage(answer.tokens) if ended else None,
    }


def _items(answer: Answer, speaker: _Speaker) -> Iterator[Frame]:
    reply, tail = answer.reply, answer.id.rpartition("_")[2]
    if reply.thinking:
        yield from _reasoning(f"rs_{tail}", answer, speaker)
    if reply.text:
        yield from _message(f"msg_{tail}", answer, speaker)
    for at, call in enumerate(reply.calls):
        item = {"id": f"fc_{tail}c{at}", "type": "function_call", "call_id": answer.call_id(at, "call")}
        yield from _function_call(item | {"name": call.name}, call.wire_arguments, answer, speaker)


def _reasoning(name: str, answer: Answer, speaker: _Speaker) -> Iterator[Frame]:
    item: dict[str, Any] = {"id": name, "type": "reasoning", "summary": [], "encrypted_content": ""}
    where = {"item_id": name, "output_index": len(speaker.output), "summary_index": 0}
    index = where["output_index"]
    yield speaker.frame("response.output_item.added", output_index=index, item=item)
    yield speaker.frame("response.reasoning_summary_part.added", **where, part={"type": "summary_text", "text": ""})
    for piece in pieces(answer.reply.thinking, answer.reply.piece):
        speaker.said += len(piece.encode())
        yield speaker.frame("response.reasoning_summary_text.delta", **where, delta=piece)
    full = {"type": "summary_text", "text": answer.reply.thinking}
    yield speaker.frame("response.reasoning_summary_text.done", **where, text=answer.reply.thinking)
    yield speaker.frame("response.reasoning_summary_part.done", **where, part=full)
    done = item | {"summary": [full], "encrypted_content": f"sealed_{answer.id}"}
    speaker.output.append(done)
    yield speaker.frame("response.output_item.done", output_index=index, item=done)


def _message(name: str, answer: Answer, speaker: _Speaker) -> Iterator[Frame]:
    refuses = answer.reply.why == "refusal"
    kind, key = ("refusal", "refusal") if refuses else ("output_text", "text")
    extra: dict[str, Any] = {} if refuses else {"annotations": [], "logprobs": []}
    item: dict[str, Any] = {"id": name, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    where = {"item_id": name, "output_index": len(speaker.output), "content_index": 0}
    index = where["output_index"]
    yield speaker.frame("response.output_item.added", output_index=index, item=item)
    yield speaker.frame("response.content_part.added", **where, part={"type": kind, key: "", **extra})
    logprobs: dict[str, Any] = {} if refuses else {"logprobs": []}
    for piece in pieces(answer.reply.text, answer.reply.piece):
        speaker.said += len(piece.encode())
        yield speaker.frame(f"response.{kind}.delta", **where, delta=piece, **logprobs)
    part = {"type": kind, key: answer.reply.text, **extra}
    yield speaker.frame(f"response.{kind}.done", **where, **{key: answer.reply.text}, **logprobs)
    yield speaker.frame("response.content_part.done", **where, part=part)
    done = item | {"status": "completed", "content": [part]}
    speaker.output.append(done)
    yield speaker.frame("response.output_item.done", output_index=index, item=done)


def _function_call(item: dict[str, Any], arguments: str, answer: Answer, speaker: _Speaker) -> Iterator[Frame]:
    where = {"item_id": item["id"], "output_index": len(speaker.output)}
    index = where["output_index"]
    begun = item | {"arguments": "", "status": "in_progress"}
    yield speaker.frame("response.output_item.added", output_index=index, item=begun)
    for piece in pieces(arguments, answer.reply.piece):
        speaker.said += len(piece.encode())
        yield speaker.frame("response.function_call_arguments.delta", **where, delta=piece)
    yield speaker.frame("response.function_call_arguments.done", **where, name=item["name"], arguments=arguments)
    done = item | {"arguments": arguments, "status": "completed"}
    speaker.output.append(done)
    yield speaker.frame("response.output_item.done", output_index=index, item=done)
