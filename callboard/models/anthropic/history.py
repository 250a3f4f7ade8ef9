"""Pure: a normalised history as messages that the Messages API accepts.

Its rules: the first message is the user's and roles take turns; every ``tool_use`` is answered in the very next
message, all results first; no text is blank; what the provider signed comes back as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final, TypeAlias, TypedDict, assert_never

from pydantic import JsonValue

from callboard.models.port import AssistantTurn, ChatMessage, SteerNote, ToolOutcome, UserText

PROVIDER: Final = "anthropic"
Block: TypeAlias = dict[str, JsonValue]


class Message(TypedDict):
    """What one side says."""

    role: str
    content: list[Block]


_Calls: TypeAlias = list[tuple[str | None, str]]
"""The calls of a turn: our id, and the API's."""
_Said: TypeAlias = UserText | SteerNote | ToolOutcome

_FOREIGN: Final = re.compile(r"[^A-Za-z0-9-]")
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})
_START: Final = "Begin."
_GO_ON: Final = "Go on."
_NO_OUTPUT: Final = "(no output)"
_LOST: Final = "no result of this call is known; do not assume that it did or did not take effect"


def messages_of(history: Sequence[ChatMessage]) -> list[Message]:
    """The messages of ``history``."""
    messages: list[Message] = []
    resumed = False
    for turn, tail in _turns(history):
        said, calls = ([], []) if turn is None else _assistant(turn)
        _say(messages, "assistant", said)
        _say(messages, "user", _answers(calls, tail))
        resumed = any(block.get("type") == "server_tool_use" for block in said)
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": [text_block(_START)]})
    if messages[-1]["role"] == "assistant" and not resumed:  # models refuse to continue a text of their own
        _say(messages, "user", [text_block(_GO_ON)])
    return messages


def used_tools(messages: Sequence[Message]) -> list[str]:
    """The names of the tools that were called, in their order."""
    used = (block for message in messages for block in message["content"] if block.get("type") == "tool_use")
    return list(dict.fromkeys(str(block["name"]) for block in used))


def welcomes_thoughts(history: Sequence[ChatMessage]) -> bool:
    """Whether thinking may be switched on: its last turn, if it called tools, must have begun with a thought."""
    last = next((message for message in reversed(history) if isinstance(message, AssistantTurn)), None)
    if last is None or not last.tool_calls:
        return True
    own = _own(last)
    return bool(own) and own[0].get("type") in _THOUGHTS


def api_id(call: str) -> str:
    """Our id of a call as the API takes it (letters, digits, ``_``, ``-``); different ids stay different."""
    return _FOREIGN.sub(lambda match: f"_{ord(match[0]):x}_", call)


def text_block(text: str) -> Block:
    """A block of text."""
    return {"type": "text", "text": text}


def blank(text: str) -> bool:
    """Whether the API refuses it as a text."""
    return not text.strip()


def as_object(arguments: JsonValue) -> dict[str, JsonValue]:
    """Arguments as the API takes them: what the model wrote that is no object comes inside one."""
    return arguments if isinstance(arguments, dict) else {"arguments": arguments}


def _turns(history: Sequence[ChatMessage]) -> Iterator[tuple[AssistantTurn | None, list[_Said]]]:
    """Each answer with what was said after it; None: before the first."""
    turn: AssistantTurn | None = None
    tail: list[_Said] = []
    for message in history:
        if isinstance(message, AssistantTurn):
            yield turn, tail
            turn, tail = message, []
        else:
            tail.append(message)
    yield turn, tail


def _say(messages: list[Message], role: str, blocks: list[Block]) -> None:
    if not blocks:
        return
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += blocks
    else:
        messages.append({"role": role, "content": blocks})


def _assistant(turn: AssistantTurn) -> tuple[list[Block], _Calls]:
    if own := _own(turn):
        ids = [str(block["id"]) for block in own if block.get("type") == "tool_use"]
        pairs = zip_longest((call.id for call in turn.tool_calls), ids)
        return own, [(ours, theirs) for ours, theirs in pairs if theirs is not None]
    said = [] if blank(turn.text) else [text_block(turn.text)]
    uses: list[Block] = [
        {"type": "tool_use", "id": api_id(call.id), "name": call.name, "input": as_object(call.arguments)}
        for call in turn.tool_calls
    ]
    return said + uses, [(call.id, api_id(call.id)) for call in turn.tool_calls]


def _own(turn: AssistantTurn) -> list[Block]:
    """The blocks of a turn of this provider, without texts that it says but does not take back."""
    if turn.provider != PROVIDER:
        return []
    blocks = (block for block in turn.blocks if isinstance(block, dict))
    return [block for block in blocks if block.get("type") != "text" or not blank(str(block.get("text", "")))]


def _answers(calls: _Calls, tail: Sequence[_Said]) -> list[Block]:
    """The results of ``calls`` in their order, then everything else as text."""
    waiting = {ours for ours, _ in calls}
    found: dict[str | None, ToolOutcome] = {}
    texts: list[Block] = []
    for message in tail:
        if isinstance(message, ToolOutcome) and message.call in waiting and message.call not in found:
            found[message.call] = message
        elif not blank(text := _told(message)):
            texts.append(text_block(text))
    return [_result(theirs, found.get(ours)) for ours, theirs in calls] + texts


def _result(call: str, outcome: ToolOutcome | None) -> Block:
    told = _LOST if outcome is None else _content(outcome)
    failed: Block = {"is_error": True} if outcome is None or outcome.is_error else {}
    return {"type": "tool_result", "tool_use_id": call, "content": told, **failed}


def _told(message: _Said) -> str:
    match message:
        case UserText(text=text):
            return text
        case SteerNote(text=text, by=by):
            return f"Note from {by}: {text}" if by else text
        case ToolOutcome(call=call, name=name):
            return f"Result of {name} ({call}): {_content(message)}"
        case _:
            assert_never(message)


def _content(outcome: ToolOutcome) -> str:
    content = outcome.content
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return _NO_OUTPUT if blank(text) else text
