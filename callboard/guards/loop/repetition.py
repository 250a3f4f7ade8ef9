"""Pure: does one answer say the same over and over? Lists, tables and code do not: their lines differ."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

LEAST: Final = 400
"""Characters of repetition. Less is style."""
TIMES: Final = 8
_PROBE: Final = 24
_WINDOW: Final = 16_384
_WORDS: Final = re.compile(r"[^\W\d_]{3,}")
_WORD: Final = re.compile(r"[^\W\d_]{3,}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_OF_A_WORD: Final = 64
"""So often one word may stand in a row: a column of a table may say the same."""
_SHARE: Final = 0.5


def repeated(text: str) -> int:
    """How often the text repeats a piece of it that has words, from 8 times and 400 characters on; else 0."""
    if len(text) < LEAST:
        return 0
    tail = " ".join(text[-_WINDOW:].split())
    return _at_the_end(tail) or _lines(text[-_WINDOW:])


def _at_the_end(text: str) -> int:
    """The end is the same piece again and again. The probe's earlier place gives the length of the piece."""
    probe = text[-_PROBE:]
    at = text.rfind(probe, 0, -1)
    if at < 0:
        return 0
    period = len(text) - _PROBE - at
    unit, count = text[-period:], 1
    if not _WORD.search(unit):
        return 0
    least = TIMES if _says_something(unit) else _OF_A_WORD
    end = len(text) - period
    while end >= period and text.startswith(unit, end - period):
        count, end = count + 1, end - period
    return count if count >= least and count * period >= LEAST else 0


def _lines(text: str) -> int:
    """Most of the text is one line, or one sentence, many times, whatever stands between."""
    for pieces in (text.splitlines(), text.split(". ")):
        if len(pieces) < TIMES:
            continue
        piece, count = Counter(piece.strip() for piece in pieces).most_common(1)[0]
        covered = count * len(piece)
        if count >= TIMES and covered >= max(LEAST, _SHARE * len(text)) and _says_something(piece):
            return count
    return 0


def _says_something(unit: str) -> bool:
    """At least three words: rules, cells and brackets may repeat."""
    return len(_WORDS.findall(unit[:LEAST])) >= 3  # noqa: PLR2004 - fewer is a separator or a cell
