"""Pure: one text for what is the same: without times, ids, addresses, spaces and key order. Work on it is bounded.

Of a long text the head, the tail and a print of the middle count. Lines stay lines.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Final

from pydantic import JsonValue

HEAD: Final = 4_096
TAIL: Final = 2_048
_JSON: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_NONCE: Final = re.compile(
    r'"(?:(?:request|trace|span|correlation|call|message|event|session)_?id|nonce|idempotency_?key|timestamp|ts|now|'
    r'ms|(?:response|execution)_?time|latency(?:_?m?s)?|elapsed(?:_?m?s)?|duration(?:_?m?s)?|took(?:_?ms)?)":(?:"[^"]*"|[^,{}\[\]"]*)',
    re.IGNORECASE,
)
_PLACES: Final = re.compile(r"\btmp[\w-]{6,}|\bpytest-\d+|/var/folders/\w+/\w+|\bpid[ =:]+\d+", re.IGNORECASE)
_PLACE_WORDS: Final = ("tmp", "pytest-", "/var/folders", "pid", "PID")
_ADDRESS: Final = r"(?<=0)x[0-9a-fA-F]{6,}"
_IN_CALLS: Final = re.compile(
    rf"[0-9](?:{_ADDRESS}|\d{{3}}-\d\d-\d\d[T ]\d\d:\d\d:(?!00(?!\d))\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
)
"""Of times in arguments only those that no person would choose: a slot at 10:00:00 is meant."""
_IN_RESULTS: Final = re.compile(
    rf"(?<!\d)[0-9](?:{_ADDRESS}|\d{{3}}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\d?:\d\d:\d\d(?:[.,]\d+)?|(?<=[\s\"(]\d)\d?:[0-5]\d(?![\w:.])|(?<=[\w\]]:[3-6])\d{4}\b|(?<=\b1)[4-9]\d{8}(?:\d{3}|\.\d+)?\b"
    r"|\d*+(?: ?m ?\d++(?:\.\d++)?|\.\d++)? ?(?:[nuµm]?s|secs?|seconds?)\b)"
)
"""Begins with the first of some digits, so that the search leaps from number to number."""
_NUMBERED: Final = re.compile(r"(?<![\w-])[A-Za-z_-]*+[0-9][\w-]*+")
_IDS: Final = re.compile(
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\b[a-z]{2,10}_(?=\w*\d)[A-Za-z0-9]{12,}\b|\b[0-9A-Z]{26}\b"
    r"|\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"
)
_REFERENCES: Final = re.compile(r"\bref=\w+|(?m:^\s*\*?\[\d+\])")
"""Of elements of a page, new at each look."""
_SHORTEST_ID: Final = 7
_WHOLE: Final = re.compile(r"(?<=[\[:,])(-?\d+)\.0+(?=[,\]}]|$)")
_WORD: Final = re.compile(r"(?<![\w/\\@.~-])[/\\@.~-]*+\w++(?:[/\\@.~-]++\w++)*+")
_PATH: Final = re.compile(r"(?<=\w)/.*")
_VARYING: Final = b"0123456789abcdefABCDEF \t\r\n"
_LETTERS: Final = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")
"""A print must not look like an id."""
_ECHO: Final = re.compile(r"~(?:[ ~]*~)+(?: ?\w+(?=\.\.\.|…))?|~ ?\w+(?=\.\.\.|…)")
_ECHOES: Final = 64
_TELLING: Final = 4
"""Letters. A shorter word of the call is looked for as a word, and in short texts only."""
_READ: Final = 1_024


def canonical(value: JsonValue) -> str:
    """One text for equal values. A text that is JSON counts as what it says."""
    if isinstance(value, str):
        if len(value) > HEAD or not value.startswith(("{", "[")):
            return lines(value)
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return lines(str(value))
    text = _JSON.encode(value)
    if ".0" in text:
        text = _WHOLE.sub(r"\1", text)
    return lines(text.replace("\\n", "\n").replace("\\t", " ")) if "\\" in text or " " in text else bounded(text)


def lines(text: str) -> str:
    """Its lines, each with single spaces; those that have nothing are left out."""
    return "\n".join([line for each in bounded(text).splitlines() if (line := " ".join(each.split()))])


def bounded(text: str) -> str:
    """Not longer than it takes to know it again."""
    if len(text) <= HEAD + TAIL:
        return text
    return f"{text[:HEAD]}\n{_print(text[HEAD:-TAIL])}\n{text[-TAIL:]}"


def of_call(text: str) -> str:
    """Arguments, without what differs by itself."""
    return _IN_CALLS.sub("~", _placeless(_nonceless(text)))


def of_result(text: str) -> str:
    """A result, without times and places."""
    return _IN_RESULTS.sub("~", _placeless(_nonceless(text)))


def without_ids(text: str) -> str:
    """Also without ids and hashes."""
    return _NUMBERED.sub(_or_id, _REFERENCES.sub("ref=~", text) if "ref=" in text or "[" in text else text)


def without_echo(text: str, said: JsonValue) -> str:
    """Without the words of the call itself: ``no file a.py`` and ``no file b.py`` say the same."""
    bare = _without(text, said) if text else text
    return text if bare is text else _ECHO.sub("~", bare)


def _without(text: str, said: JsonValue) -> str:
    words = _words(said)
    for word in sorted((word for word in words if len(word) >= _TELLING), key=lambda word: (-len(word), word))[
        :_ECHOES
    ]:
        if word in text:
            text = text.replace(word, "~")
    if len(text) > _READ or not (short := {word for word in words if len(word) < _TELLING}):
        return text
    return _WORD.sub(lambda found: "~" if found[0] in short else found[0], text)


def _nonceless(text: str) -> str:
    return _NONCE.sub("", text) if '":' in text else text


def _placeless(text: str) -> str:
    return _PLACES.sub("~", text) if any(word in text for word in _PLACE_WORDS) else text


def _or_id(found: re.Match[str]) -> str:
    token = found[0]
    return _IDS.sub("~", token) if len(token) >= _SHORTEST_ID else token


def _words(said: JsonValue) -> set[str]:
    """The words of the call, and the paths of its addresses."""
    words = set(_WORD.findall(canonical(said)))
    return words | {found[0] for word in words if "/" in word and (found := _PATH.search(word))}


def _print(text: str) -> str:
    """16 letters for it, whatever its numbers, hex digits and spaces."""
    plain = text.encode("utf-8", "surrogatepass").translate(None, _VARYING)
    return blake2b(plain, digest_size=8).hexdigest().translate(_LETTERS)
