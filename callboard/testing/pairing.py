"""Pure: the rules by which the providers refuse a conversation, as strict as they are. Each problem is in their words.

Which tool call is answered where, what may stand before what, and what must come back unchanged.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from callboard.testing.loose import items, mapping
from callboard.testing.schemas import wrong_schema
from callboard.testing.script import Wire

_Json = Mapping[str, Any]
MOST_BREAKPOINTS: Final = 4
_REMOVED: Final = ("temperature", "top_p", "top_k")
_MODEL_ITEMS: Final = frozenset({"reasoning", "function_call"})


def problem(wire: Wire, body: _Json) -> str | None:
    """Why the provider of this wire answers 400 to ``body``; None: it does not."""
    find = {"anthropic": _anthropic, "openai": _responses, "openai-chat": _chat}[wire]
    return next(chain(find(body), wrong_schema(wire, body), _choice(wire, body)), None)


def signature(thinking: str) -> str:
    """What the fake signs a thought with, so that it sees whether the thought came back unchanged."""
    return "signed_" + hashlib.sha256(thinking.encode()).hexdigest()[:32]


def _anthropic(body: _Json) -> Iterator[str]:
    yield from (f"{name}: Field required" for name in ("model", "max_tokens", "messages") if name not in body)
    yield from (f"{name}: Extra inputs are not permitted" for name in _REMOVED if name in body)
    yield from _tool_names(items(body.get("tools")), r"[a-zA-Z0-9_-]{1,128}")
    marks = _marks(body)
    if marks > MOST_BREAKPOINTS:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {marks}."
    messages = [(str(each.get("role")), _blocks(each)) for each in map(mapping, items(body.get("messages")))]
    if not messages:
        yield "messages: at least one message is required"
    yield from _contents(messages)
    ids = Counter(block["id"] for _, blocks in messages for block in blocks if block.get("type") == "tool_use")
    yield from ("messages: `tool_use` ids must be unique" for _, count in ids.items() if count > 1)
    before: Sequence[_Json] = ()
    for at, (role, blocks) in enumerate(messages):
        yield from _results(at, blocks, before)
        before = blocks if role == "assistant" else ()
    yield from _unanswered(len(messages), _uses(before))


def _contents(messages: Sequence[tuple[str, Sequence[_Json]]]) -> Iterator[str]:
    for at, (role, blocks) in enumerate(messages):
        if role not in {"user", "assistant", "system"}:
            yield f"messages.{at}.role: Input should be 'user', 'assistant' or 'system'"
        if not blocks and not (role == "assistant" and at == len(messages) - 1):
            yield f"messages.{at}: all messages must have non-empty content except for the optional final assistant"
        for index, block in enumerate(blocks):
            yield from (f"messages.{at}.content.{index}: {wrong}" for wrong in _wrong_block(role, block))


def _wrong_block(role: str, block: _Json) -> Iterator[str]:
    kind = block.get("type")
    if kind == "text" and not block.get("text"):
        yield "text content blocks must be non-empty"
    if kind == "thinking" and block.get("signature") != signature(str(block.get("thinking"))):
        yield "Invalid `signature` in `thinking` block"
    if kind in {"tool_use", "thinking"} and role != "assistant":
        yield f"`{kind}` blocks can only be in `assistant` messages"
    if kind == "tool_use" and not isinstance(block.get("input"), dict):
        yield "tool_use.input: Input should be a valid dictionary"
    if kind == "tool_result" and role != "user":
        yield "`tool_result` blocks can only be in `user` messages"


def _results(at: int, blocks: Sequence[_Json], before: Sequence[_Json]) -> Iterator[str]:
    """``blocks`` come right after ``before``: all results first, one for each call, none for anything else."""
    uses, answered = _uses(before), Counter[str]()
    leading = True
    for index, block in enumerate(blocks):
        leading = leading and block.get("type") == "tool_result"
        if block.get("type") != "tool_result":
            continue
        name = str(block.get("tool_use_id"))
        if name not in uses:
            yield (
                f"messages.{at}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {name}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        answered[name] += leading
        if answered[name] > 1:
            yield f"messages.{at}.content.{index}: each tool_use must have a single result. Found multiple: {name}"
    yield from _unanswered(at, [name for name in uses if not answered[name]])


def _unanswered(at: int, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield (
            f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(names)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
            "message."
        )


def _uses(blocks: Sequence[_Json]) -> list[str]:
    return [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"]


def _blocks(message: _Json) -> Sequence[_Json]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [mapping(block) for block in items(content)]


def _marks(value: Any) -> int:
    """How many ``cache_control`` there are, anywhere."""
    fields = mapping(value)
    own = int(bool(fields.get("cache_control")))
    return own + sum(map(_marks, fields.values())) + sum(map(_marks, items(value)))


def _responses(body: _Json) -> Iterator[str]:
    if "model" not in body:
        yield "Missing required parameter: 'model'."
    yield from _tool_names(items(body.get("tools")), r"[a-zA-Z0-9_-]{1,64}")
    said = [mapping(each) for each in items(body.get("input"))]
    if not body.get("input"):
        yield "Missing required parameter: 'input'."
    open_calls: dict[str, None] = {}
    seen = set[str]()
    for at, item in enumerate(said):
        kind, name = item.get("type", "message"), str(item.get("call_id"))
        yield from _wrong_item(at, item, said[at + 1 : at + 2])
        if kind == "function_call" and name in seen:
            yield f"Duplicate function call with call_id {name}."
        if kind == "function_call":
            seen.add(name)
            open_calls[name] = None
        if kind == "function_call_output" and name not in open_calls:
            yield f"No tool call found for function call output with call_id {name}."
        if kind == "function_call_output":
            open_calls.pop(name, None)
    yield from (f"No tool output found for function call {name}." for name in open_calls)


def _wrong_item(at: int, item: _Json, following: Sequence[_Json]) -> Iterator[str]:
    kind = item.get("type", "message")
    if kind == "reasoning" and not any(map(_by_the_model, following)):
        yield (f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item.")
    if kind == "reasoning" and not str(item.get("encrypted_content")).startswith("sealed_"):
        yield f"The encrypted content for item {item.get('id')} could not be verified."
    if kind == "message" and item.get("role") == "assistant":
        parts = [mapping(part).get("type") for part in items(item.get("content"))]
        wrong = [each for each in parts if each not in {"output_text", "refusal"}]
        yield from (f"Invalid value: {each!r} (input[{at}]). Supported: 'output_text' and 'refusal'." for each in wrong)


def _by_the_model(item: _Json) -> bool:
    return item.get("type") in _MODEL_ITEMS or item.get("role") == "assistant"


def _chat(body: _Json) -> Iterator[str]:
    if "model" not in body:
        yield "you must provide a model parameter"
    yield from _tool_names([mapping(each).get("function") for each in items(body.get("tools"))], r"[a-zA-Z0-9_-]{1,64}")
    messages = [mapping(each) for each in items(body.get("messages"))]
    if not messages:
        yield "[] is too short - 'messages'"
    waiting: list[str] = []
    for at, message in enumerate(messages):
        if message.get("role") == "tool":
            name = str(message.get("tool_call_id"))
            if name not in waiting:
                yield (
                    f"Invalid parameter: messages[{at}] with role 'tool' must be a response to a preceeding message "
                    f"with 'tool_calls' ({name})."
                )
            waiting = [each for each in waiting if each != name]
            continue
        yield from _no_response(waiting)
        waiting = [str(call.get("id")) for call in items(message.get("tool_calls"))]
    yield from _no_response(waiting)


def _choice(wire: Wire, body: _Json) -> Iterator[str]:
    if body.get("tool_choice") and not body.get("tools"):
        if wire == "anthropic":
            yield "tool_choice: tool_choice may only be specified while providing tools"
        else:
            yield "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."


def _no_response(waiting: Sequence[str]) -> Iterator[str]:
    if waiting:
        yield (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}"
        )


def _tool_names(tools: Sequence[Any], pattern: str) -> Iterator[str]:
    names = Counter(str(tool["name"]) for tool in map(mapping, tools) if "name" in tool)
    yield from (f"tools: Tool names must be unique: {name}" for name, count in names.items() if count > 1)
    yield from (f"tools: name {name!r} should match '^{pattern}$'" for name in names if not re.fullmatch(pattern, name))
