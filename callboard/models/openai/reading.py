"""Pure: reading what a server sent, which may be anything: the wrong type reads as nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol, cast

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.models.port import MOST_TOKENS, ChatReply, Delta, Unseen, Usage
from callboard.models.written import json_in

END: Final = object()
"""In the place of an event: the stream is over."""


class Reading(Protocol):
    """Events in, pieces out. ``over``: the reply is among the pieces, nothing after it counts."""

    over: bool

    def read(self, event: object) -> Iterable[Delta | ChatReply]:
        """What this event adds. Raises ``ModelError`` if it says, or is, the failure of the call.

        Also when it is iterated: what the failure counts comes before it.
        """
        ...


def mapping(value: object) -> Mapping[str, object]:
    """An object of JSON, or an empty one."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def sequence(value: object) -> Sequence[object]:
    """A list of JSON, or an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else ()


def text(value: object) -> str:
    """A string, or an empty one. Halves of surrogate pairs, which no journal can keep, are replaced."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def unseen(said: object) -> tuple[Unseen, ...]:
    """What is said beside the text: a piece of it, or an object that has it."""
    size = len(text(said).encode()) if isinstance(said, str) else len(to_json(said, inf_nan_mode="constants"))
    return (Unseen(size),) if said and size else ()


def count(value: object) -> int:
    """A number of tokens; 0 for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_TOKENS:
        return 0
    return int(value)


def arguments(raw: object, *, cut: bool) -> JsonValue:
    """The arguments of a tool call; what is not JSON stays as it came, for the tool layer to refuse.

    Nothing at all stands for no arguments, unless the answer was ``cut`` off there.
    """
    if isinstance(raw, dict):
        return cast("dict[str, JsonValue]", raw)
    said = text(raw)
    if not said.strip():
        return "" if cut else {}
    try:
        return json_in(said)
    except ValueError:
        return said


def usage(total: object, cached: object, written: object, *, output: object) -> Usage | None:
    """Normalised: the provider's ``total`` of the input holds what was read from and written to its cache.

    None: it has not counted; some say 0 then.
    """
    read, wrote = count(cached), count(written)
    if not (count(total) or count(output)):
        return None
    return Usage(max(0, count(total) - read - wrote), count(output), read, written_tokens=wrote)
