"""Pure: what the name of a tool says about it. It only decides how patient the guard is."""

from __future__ import annotations

import re
from typing import Final

_START: Final = r"(?:.*(?:[./:-]|__))?(?:\w{1,12}_)?"
"""What stands before the verb: a server, a name space, a product."""
_READS: Final = re.compile(
    _START
    + r"(?:get|read|fetch|scrape|open|view|browse|search|list|crawl|visit|show|load|retrieve|look|extract|query)",
    re.IGNORECASE,
)
_WRITES: Final = re.compile(
    _START + r"(?:add|append|apply|assign|close|create|delete|edit|insert|label|mark|merge|move|patch|post|put|remove"
    r"|rename|replace|save|send|set|submit|tag|update|upload|write)",
    re.IGNORECASE,
)
_HANDLES: Final = re.compile(_START + r"(?:click|drag|enter|fill|press|select|tap|type)", re.IGNORECASE)
_WATCHES: Final = re.compile(
    r"output|status|logs?(?![a-z])|tail|progress|poll|wait|watch|monitor|health|check|state", re.IGNORECASE
)


def reads(tool: str) -> bool:
    """Does it bring content, which may speak of anything?"""
    return _READS.match(tool) is not None


def writes(tool: str) -> bool:
    """Does it change something, and is its answer an acknowledgement?"""
    return _WRITES.match(tool) is not None or handles(tool)


def handles(tool: str) -> bool:
    """Does it press, type or fill, and answer with the page that comes of it?"""
    return _HANDLES.match(tool) is not None


def watches(tool: str) -> bool:
    """Does it look at something that moves by itself?"""
    return _WATCHES.search(tool) is not None
