"""Shell: claim check. Content above ``INLINE_BYTES`` goes to the object store, the entry carries the reference."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.bus.messages import Content
from callboard.bus.ports import Blobs
from callboard.config.nesting import DEEPEST, nests_deeper
from callboard.tools.cap import cap

INLINE_BYTES: Final = 32 * 1024
"""Bytes of JSON that an entry may carry for one content."""


async def pack(value: JsonValue, blobs: Blobs, *, limit: int = INLINE_BYTES) -> Content:
    """``value`` as content of at most ``limit`` bytes: itself, or a preview and the reference to the whole."""
    capped = cap(value, limit)
    if not capped.truncated:
        return Content(value=value)
    return Content(value=capped.preview, blob=await blobs.put(value))


def keepable(value: JsonValue) -> JsonValue:
    """``value``; as text if it nests deeper than a journal can keep, which is for its reader to refuse."""
    return to_json(value).decode() if nests_deeper(value, DEEPEST) else value


async def unpack(content: Content, blobs: Blobs) -> JsonValue:
    """The whole value."""
    return content.value if content.blob is None else await blobs.get(content.blob)
