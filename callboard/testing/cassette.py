"""Pure: what a model said in a recorded run, as replies to play again. Its thoughts are not kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from callboard.errors import ConfigError
from callboard.testing.loose import items, mapping
from callboard.testing.script import Call, Reply, Stop, Tokens


def cassette(recorded: str) -> tuple[Reply, ...]:
    """The replies of a run. ``recorded`` is what ``callboard runs tail RUN --json`` printed: an event in each line.

    Raises ``ConfigError`` if a line is no JSON, if the model never answered, or if an answer is too long for a journal.
    """
    replies = [_reply(event) for event in map(_event, recorded.splitlines()) if event.get("type") == "model.responded"]
    if not replies:
        raise ConfigError("no model answers in this recording: record it with 'callboard runs tail RUN --json'")
    return tuple(replies)


def _event(line: str) -> Mapping[str, Any]:
    if not line.strip():
        return {}
    try:
        return mapping(json.loads(line))
    except ValueError as error:
        raise ConfigError(f"{line[:80]!r} is no JSON: record it with 'callboard runs tail RUN --json'") from error


def _reply(event: Mapping[str, Any]) -> Reply:
    text, used = mapping(event.get("text")), mapping(event.get("usage"))
    if text.get("blob"):
        raise ConfigError(f"the answer to {event.get('call')!r} is too long to be played again: record a shorter run")
    calls = tuple(
        Call(str(call.get("name")), mapping(call.get("arguments")), str(call.get("id")))
        for call in map(mapping, items(event.get("tool_calls")))
    )
    names = ("input_tokens", "output_tokens", "cached_tokens", "written_tokens")
    stop = next((each for each in get_args(Stop) if each == event.get("stop")), None)
    return Reply(str(text.get("value") or ""), calls, tokens=Tokens(*(used.get(name, 0) for name in names)), stop=stop)
