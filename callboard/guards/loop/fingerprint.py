"""Pure: what a call and its outcome are, without what differs each time: times, ids, addresses, spaces, key order.

Only hashes leave this module. Work is bounded: of a long text the head, the tail and a print of the middle count.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal, TypeAlias

from pydantic import JsonValue

from callboard.bus.messages import Content, Problem
from callboard.guards.loop.mood import Mood, mood_of

Hash: TypeAlias = int
Kind: TypeAlias = Literal["read", "write", "poll", "delegate"]
_HEAD: Final = 2_048
_TAIL: Final = 1_024
_PARSED: Final = 4_096
_ECHO: Final = 1_024
_LONG: Final = 200
_GIST: Final = 160
_SECONDS: Final = r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?"
_STAMP: Final = rf"\d{{4}}-\d\d-\d\d[T ](?:{_SECONDS}|\d\d:\d\d)(?:Z|[+-]\d\d:?\d\d)?"
_PLACES: Final = r"0x[0-9a-fA-F]{6,}|\btmp[\w-]{6,}|\bpytest-\d+|/var/folders/\w+/\w+"
_NONCE: Final = re.compile(
    r'"(?:(?:request|trace|span|correlation|call|message|event|session)_?id|nonce|idempotency_?key|timestamp|ts|now|'
    r'elapsed(?:_?m?s)?|duration(?:_?m?s)?|took(?:_?ms)?)":(?:"[^"]*"|[^,{}\[\]"]*)',
    re.IGNORECASE,
)
_IN_CALLS: Final = re.compile(
    rf"{_PLACES}|\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d:(?!00(?!\d))\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
)
"""Of times in arguments only those that no person would choose: a slot at 10:00:00 is meant."""
_IN_RESULTS: Final = re.compile(
    rf"{_STAMP}|{_SECONDS}|{_PLACES}|(?:\d+ ?m ?)?\d+(?:\.\d+)? ?(?:[nuµm]?s|secs?|seconds?)\b"
    r"|\b1[4-9]\d{8}(?:\d{3}|\.\d+)?\b|(?<=[\w\]]):[3-6]\d{4}\b|\bpid[ =:]+\d+",
    re.IGNORECASE,
)
_IDS: Final = re.compile(
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\b[a-z]{2,10}_(?=\w*\d)[A-Za-z0-9]{12,}\b|\b[0-9A-Z]{26}\b"
    r"|\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"
)
_WHOLE: Final = re.compile(r"(?<=[\[:,])(-?\d+)\.0+(?=[,\]}]|$)")
_DIGITS: Final = re.compile(r"\d+")
_WORD: Final = re.compile(r"[\w/\\@.~-]*\w")
_VARYING: Final = b"0123456789abcdefABCDEF \t\r\n"
_LETTERS: Final = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")
"""A print must not look like an id."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call. ``exact`` is without times, ``same`` also without ids.

    ``shape`` is also without numbers and words of the call itself. ``long``: too long for a mere acknowledgement.
    """

    exact: Hash
    same: Hash
    shape: Hash
    mood: Mood
    long: bool = False
    denied: bool = False


def call_key(name: str, arguments: JsonValue) -> Hash:
    """What a call is, whatever the order of its keys, its spaces, its request ids and the time of day."""
    text = _bounded(_canonical(arguments))
    if '":' in text:
        text = _NONCE.sub("", text)
    return digest(f"{name}\0{_IN_CALLS.sub('~', text)}")


def outcome_of(result: Content, problem: Problem | None, *, arguments: JsonValue) -> Outcome:
    """What a call brought. Of content in the object store the preview and the hash count."""
    text = _canonical(result.value) if problem is None else f"{problem.kind}: {_spaced(problem.message)}"
    mood = mood_of(text, failed=problem is not None)
    plain = _bounded(text)
    if '":' in plain:
        plain = _NONCE.sub("", plain)
    plain = _IN_RESULTS.sub("~", plain)
    bare = _IDS.sub("~", plain)
    blob = "" if result.blob is None else result.blob.sha256
    same = digest(bare + blob)
    exact = same if bare is plain else digest(plain + blob)
    gist = _gist(bare) if mood in {"bad", "transient"} else bare
    shape = digest(_shape(gist, arguments)) if len(gist) <= _ECHO and not blob else same
    return Outcome(exact, same, shape, mood, long=len(text) >= _LONG or bool(blob))


def text_key(text: str) -> Hash:
    """What somebody said, whatever its spaces, its case and the time of day."""
    return digest(_IN_RESULTS.sub("~", _bounded(_spaced(text))).lower())


def digest(text: str) -> Hash:
    """64 bits of it."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _canonical(value: JsonValue) -> str:
    """One text for equal values. A text that is JSON counts as what it says."""
    if isinstance(value, str):
        if len(value) > _PARSED or not value.startswith(("{", "[")):
            return _spaced(value)
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return _spaced(str(value))
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if ".0" in text:
        text = _WHOLE.sub(r"\1", text)
    return _spaced(text.replace("\\n", " ").replace("\\t", " ")) if "\\" in text or " " in text else text


def _spaced(text: str) -> str:
    if len(text) > 4 * _PARSED:  # before the work, not after it
        text = f"{text[:_PARSED]} {_print(text[_PARSED:-_PARSED])} {text[-_PARSED:]}"
    return " ".join(text.split())


def _bounded(text: str) -> str:
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]} {_print(text[_HEAD:-_TAIL])} {text[-_TAIL:]}"


def _print(text: str) -> str:
    """16 letters for it, whatever its numbers, hex digits and spaces."""
    plain = text.encode("utf-8", "surrogatepass").translate(None, _VARYING)
    return blake2b(plain, digest_size=8).hexdigest().translate(_LETTERS)


def _shape(text: str, arguments: JsonValue) -> str:
    """Without numbers and what only repeats the arguments: ``no file a.py`` has the shape of ``no file b.py``."""
    echoed = set(_WORD.findall(_bounded(_canonical(_values(arguments)))))
    words = _WORD.sub(lambda found: "~" if found[0] in echoed else found[0], text)
    return _DIGITS.sub("#", words).lower()


def _gist(text: str) -> str:
    """What an error says first; a traceback says it last. The rest is where and how often."""
    return text[-_GIST:] if "Traceback" in text[:_GIST] else text[:_GIST]


def _values(arguments: JsonValue) -> JsonValue:
    return list(arguments.values()) if isinstance(arguments, dict) else arguments
