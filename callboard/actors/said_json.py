"""Pure: the JSON that a model has said: strict, and without the fence that models like to put around it."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from callboard.bus.codec import parse
from callboard.config.nesting import DEEPEST, nests_deeper
from callboard.errors import InvalidMessage

_FENCE: Final = "```"


def said_json(text: str) -> JsonValue:
    """The value in ``text``. Raises ``InvalidMessage`` for what is no JSON, or none that a journal can keep."""
    data = _unfenced(text).encode("utf-8", "replace")
    value = parse(data, limit=len(data))
    if nests_deeper(value, DEEPEST):
        raise InvalidMessage("bad_json", f"nests deeper than {DEEPEST}")
    return value


def _unfenced(text: str) -> str:
    text = text.strip()
    if not text.startswith(_FENCE) or not text.endswith(_FENCE):
        return text
    head, _, rest = text.removesuffix(_FENCE).partition("\n")
    return rest if head.lower().rstrip() in (_FENCE, f"{_FENCE}json") else text
