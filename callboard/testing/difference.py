"""Pure: what a model is asked otherwise than it was when the run was recorded, in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from itertools import islice, zip_longest
from typing import Final

from pydantic import JsonValue

from callboard.testing.cassette import Asked

REDACTED: Final = "[redacted]"
"""What stands for a secret, as in logs."""
_LINES: Final = 20
"""Of a difference that are shown."""
_WIDE: Final = 400
"""Characters of a message that are shown."""


def difference(recorded: Asked, now: Asked) -> str:
    """What is another; ``""``: nothing. What the recording has as ``[redacted]`` may be anything."""
    output = "" if _same(recorded.output, now.output) else f"the output:\n{_pair(recorded.output, now.output)}"
    parts = (_system(recorded, now), *_tools(recorded.tools, now.tools), output, _messages(recorded, now))
    return "\n".join(part for part in parts if part)


def likeness(recorded: Asked, now: Asked) -> tuple[int, bool, bool]:
    """How much is the same: the larger, the more."""
    pairs = zip(recorded.messages or (), now.messages or (), strict=False)
    alike = sum(1 for left, right in pairs if _same(left, right))
    return alike, recorded.system == now.system, recorded.tools == now.tools


def _system(recorded: Asked, now: Asked) -> str:
    if _same(recorded.system, now.system):
        return ""
    lines = unified_diff(recorded.system.splitlines(), now.system.splitlines(), "recorded", "now", lineterm="", n=1)
    return "\n".join(("the system prompt:", *(f"  {line}" for line in islice(lines, 2, 2 + _LINES))))


def _tools(recorded: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> Iterator[str]:
    for name in sorted(recorded.keys() | now.keys()):
        if name not in now:
            yield f"the tool {name!r} is gone"
        elif name not in recorded:
            yield f"the tool {name!r} is new"
        elif not _same(recorded[name], now[name]):
            yield f"the tool {name!r}:\n{_pair(recorded[name], now[name])}"


def _messages(recorded: Asked, now: Asked) -> str:
    """The first message that is another."""
    if recorded.messages is None or now.messages is None:
        return ""
    for at, (left, right) in enumerate(zip_longest(recorded.messages, now.messages), start=1):
        if not _same(left, right):
            return f"message {at}:\n{_pair(left, right)}"
    return ""


def _pair(left: JsonValue, right: JsonValue) -> str:
    return f"  - {_shown(left)}\n  + {_shown(right)}"


def _shown(value: JsonValue) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}…"


def _same(recorded: JsonValue, now: JsonValue) -> bool:
    if recorded == now:
        return True
    was, is_now = (json.dumps(each, ensure_ascii=False, sort_keys=True) for each in (recorded, now))
    if REDACTED not in was:
        return was == is_now
    return re.fullmatch(".*".join(map(re.escape, was.split(REDACTED))), is_now, re.DOTALL) is not None
