"""Pure: a conversation as the APIs of OpenAI want it: every tool call with its output, and nothing without its call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Final, TypeAlias

from pydantic import JsonValue

from callboard.models.port import AssistantTurn, ChatMessage, SteerNote, ToolCall, ToolOutcome, UserText

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9-]")
_LONGEST: Final = 40
"""Characters of an id in Chat Completions; Responses takes 64."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A turn, and one outcome for each of its calls, in their order."""

    turn: AssistantTurn
    outcomes: tuple[ToolOutcome, ...]


Step: TypeAlias = UserText | SteerNote | Exchange


def paired(messages: Sequence[ChatMessage]) -> Iterator[Step]:
    """The messages in their order, outcomes with their turns; what was lost is said, a stray outcome becomes text."""
    expected = set[str]()
    for at, message in enumerate(messages, start=1):
        if isinstance(message, AssistantTurn):
            expected = {call.id for call in message.tool_calls}
            found = _answers(messages, at)
            yield Exchange(message, tuple(found.get(call.id) or _lost(call) for call in message.tool_calls))
        elif isinstance(message, ToolOutcome):
            if message.call not in expected:
                yield UserText(f"Result of {message.name}: {output(message)}")
            expected.discard(message.call)
        else:
            yield message


def note(step: SteerNote) -> str:
    """A note in words that name who wrote it."""
    return f"[note from {step.by}] {step.text}" if step.by else step.text


def output(outcome: ToolOutcome) -> str:
    """An outcome as text. These APIs have no field for errors: it is said in the text."""
    content = outcome.content
    if outcome.is_error and not (isinstance(content, dict) and "error" in content):
        content = {"error": content}
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def arguments(call: ToolCall) -> str:
    """Arguments as a JSON object, whatever the model had sent: servers parse what they are sent back."""
    given: JsonValue = {} if call.arguments is None else call.arguments
    return json.dumps(given if isinstance(given, dict) else {"invalid_arguments": given}, ensure_ascii=False)


def wire_id(own: str) -> str:
    """An id of ours as the APIs take it: at most 40 of ``[A-Za-z0-9_-]``, different ones for different ids.

    An underscore comes in pairs there (``m1.0`` is ``m1_2e_0``), or once for an id that was too long or empty.
    """
    safe = _UNSAFE.sub(lambda found: f"_{ord(found[0]):x}_", own)
    return safe if 0 < len(safe) <= _LONGEST else f"x_{sha256(own.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _answers(messages: Sequence[ChatMessage], start: int) -> dict[str, ToolOutcome]:
    """The outcomes before the next turn by their calls, the first of each."""
    found: dict[str, ToolOutcome] = {}
    for message in islice(messages, start, None):
        if isinstance(message, AssistantTurn):
            break
        if isinstance(message, ToolOutcome):
            found.setdefault(message.call, message)
    return found


def _lost(call: ToolCall) -> ToolOutcome:
    content: JsonValue = {
        "error": "in_doubt",
        "message": "the result of this call was lost: nobody knows whether it took effect",
    }
    return ToolOutcome(call.id, call.name, content, is_error=True)
