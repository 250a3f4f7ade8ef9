"""Pure: what the name of a tool says about it. It only decides how patient the guard is."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""Of a name, however it is written: ``readFile``, ``read_file``, ``mcp__fs__file.read``."""
_READS: Final = frozenset(
    """
    browse cat crawl download extract fetch find get glob goto grep inspect list load lookup ls navigate open query
    read recall retrieve scrape search show view visit
    """.split()  # noqa: SIM905 - a list would take a line for each
)
_TYPES: Final = frozenset({"enter", "fill", "select", "type"})
_HANDLES: Final = _TYPES | {"click", "drag", "press", "scroll", "swipe", "tap"}
_WRITES: Final = frozenset(
    """
    add append apply assign close create delete edit insert label mark merge modify move patch post put remember remove
    rename replace save send set store submit tag update upload write
    """.split()  # noqa: SIM905 - as above
)
_VERBS: Final = _READS | _HANDLES | _WRITES
_THINKS: Final = frozenset({"think", "thinking", "thought", "thoughts", "reflect", "reason", "scratchpad"})
_WATCHES: Final = re.compile(
    r"output|status|logs?(?![a-z])|tail|progress|poll|wait|watch|monitor|health|check|state", re.IGNORECASE
)


def reads(tool: str) -> bool:
    """Does it bring content, which may speak of anything?"""
    return _verb(tool) in _READS


def writes(tool: str) -> bool:
    """Does it change something, and is its answer an acknowledgement?"""
    return _verb(tool) in _WRITES or handles(tool)


def handles(tool: str) -> bool:
    """Does it press, type or fill, and answer with the page that comes of it?"""
    return _verb(tool) in _HANDLES


def types(tool: str) -> bool:
    """Does it put a text somewhere?"""
    return _verb(tool) in _TYPES


def watches(tool: str) -> bool:
    """Does it look at something that moves by itself?"""
    return _WATCHES.search(tool) is not None


def thinks(tool: str) -> bool:
    """Does it only take a thought?"""
    words = _WORDS.findall(tool)
    return bool(words) and (words[-1].lower() in _THINKS or words[-1].lower().endswith("thinking"))


def _verb(tool: str) -> str:
    """The first word that says what it does; "" is none."""
    return next((word for each in _WORDS.findall(tool) if (word := each.lower()) in _VERBS), "")
