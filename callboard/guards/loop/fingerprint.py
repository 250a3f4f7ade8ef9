"""Pure: what a call and its outcome are. Only hashes leave this module."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Final, Literal, TypeAlias
from zlib import crc32

from pydantic import JsonValue

from callboard.bus.messages import Content, Problem
from callboard.guards.loop.envelope import opened
from callboard.guards.loop.mood import Mood, barred, complains, mood_of
from callboard.guards.loop.plain import bounded, canonical, lines, of_call, of_result, without_echo, without_ids
from callboard.guards.loop.verbs import reads, watches

Hash: TypeAlias = int
Kind: TypeAlias = Literal["read", "write", "poll", "delegate"]
_LONG: Final = 200
_GIST: Final = 160
_PIECES: Final = re.compile(r"\n|[{}\[\]]+|,(?=\")|(?<=[.!?]) |>(?=<)")
"""Between lines, between the fields of JSON, between sentences, between tags."""
_PIECE: Final = 4
"""Letters. Less is a bracket or a word such as "pass"."""
_OPENING: Final = 24
_SAID: Final = 1_536
"""Letters of which the words are looked at."""
_BRIEF: Final = 12
"""Words. Of fewer two in a row count."""
_FEW: Final = 24
"""Pieces. What has more is a document, and known by them."""
_TOKENS: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_]{2,}")
"""Words, or signs of languages that do not part them."""
_ASIDE: Final = frozenset(
    {"description", "explanation", "rationale", "reasoning", "intent", "purpose", "justification", "reason"}
)
_KNOBS: Final = frozenset({"timeout", "timeout_ms", "timeoutMs", "timeout_seconds"})
_SUBSTANCE: Final = frozenset({"command", "cmd", "script", "code", "query", "pattern", "path", "file_path", "url"})
_PLACES: Final = frozenset(
    {"path", "file_path", "filepath", "filename", "file", "absolute_path", "target_file", "name"}
)
_BODIES: Final = frozenset({"content", "contents", "text", "file_text", "body", "code"})
_NO_DIGITS: Final = str.maketrans("", "", "0123456789")
_DIGITS: Final = re.compile(r"\d+")
_REFERENCE: Final = re.compile(r'"ref":"\w+",?')
"""Of an element of a page: it is another one each time that the page is shown."""
_OPAQUE: Final = re.compile(
    r'"type":"(?:image|input_image|image_url|computer_screenshot)"|\[(?:image|screenshot)\b'
    r"|\bscreenshot (?:taken|captured)",
    re.IGNORECASE,
)
"""A picture that was left out, or the word that one was taken."""
_DESCRIBED: Final = re.compile(r'"(?:element|label|name|text|value)":')
_NAMES: Final = re.compile(r'"[^"\s]{1,120}"|[\w@-]+(?:[./:@][\w@-]+)+')
"""Paths, addresses, and whatever else is said in one word: of the next item they are others."""


Words: TypeAlias = tuple[int, ...]
"""Each word with the two that follow it, without numbers: what is worded anew keeps many of them."""
Piece: TypeAlias = tuple[int, int, int, int]
"""A piece of a result: as it is, without its numbers, also without the words of the call, and its length."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call. ``exact`` is without times, ``same`` also without ids.

    ``said``: those pieces of a failure that say what is wrong.

    ``gist`` is also without numbers, and ``shape`` without the words of the call itself. ``long``: too long for a mere
    acknowledgement. Then ``pieces`` are its lines, fields and sentences. ``words``: of those that are no document.
    """

    exact: Hash
    same: Hash
    gist: Hash
    shape: Hash
    mood: Mood
    long: bool = False
    denied: bool = False
    pieces: tuple[Piece, ...] = ()
    said: tuple[Piece, ...] = ()
    words: Words = ()
    size: int = 0
    """Letters."""
    opaque: bool = False
    """It is a picture: what it shows is not known."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a call asks: ``key`` whatever the order of its keys, its spaces, its request ids and the time of day.

    ``bare`` is also without ids and numbers: one step further is the same but for them. ``words`` and ``numbers``: of
    this tool. ``topic``: the tool; of a shell it is the command.
    """

    key: Hash
    bare: int
    topic: str
    words: Words
    numbers: tuple[int, ...] = ()
    names: tuple[int, ...] = ()
    whole: int = 0
    """What is written as a whole: a place and its content, and nothing else. 0 is nothing."""
    body: tuple[int, ...] = ()
    """The pieces of that content: who reads it again reads nothing new."""


def asking_of(name: str, arguments: JsonValue) -> Asking:
    """What this call asks of this tool."""
    text = " ".join(of_call(canonical(_meant(arguments))).split())
    text = _REFERENCE.sub("", text) if '"ref":"' in text and _DESCRIBED.search(text) else text
    bare = f"{name}\0{_numberless(without_ids(text))}"
    numbers, names = (
        tuple({_crc(f"{name} {each}"): None for each in found.findall(text[:_SAID])}) for found in (_DIGITS, _NAMES)
    )
    topic, (whole, body) = _topic(name, arguments), _whole(name, arguments)
    return Asking(digest(f"{name}\0{text}"), _crc(bare), topic, words_of(text, of=name), numbers, names, whole, body)


def _topic(name: str, arguments: JsonValue) -> str:
    said = arguments.get("command", arguments.get("cmd")) if isinstance(arguments, dict) else None
    return " ".join([name, *said[:_GIST].split()[:2]]) if isinstance(said, str) else name


def _whole(name: str, arguments: JsonValue) -> tuple[int, tuple[int, ...]]:
    if not isinstance(arguments, dict):
        return 0, ()
    places, bodies = arguments.keys() & _PLACES, arguments.keys() & _BODIES
    if len(places) != 1 or len(bodies) != 1 or arguments.keys() - places - bodies - _ASIDE - _KNOBS:
        return 0, ()
    place, body = (arguments[found.pop()] for found in (places, bodies))
    if not isinstance(body, str) or len(body) < _LONG:
        return 0, ()
    pieces = _PIECES.split(without_ids(of_result(lines(body))))
    return _crc(f"{name}\0{place}"), tuple({_crc(each): None for each in (*pieces, *_faint(pieces))})


def words_of(text: str, of: str = "") -> Words:
    """Three words in a row each, of a text's beginning."""
    found = _TOKENS.findall(text[:_SAID].lower())
    if len(found) < _BRIEF:
        return tuple({_crc(f"{of}{one} {other}"): None for one, other in pairwise(found)})
    return tuple(
        {
            _crc(f"{of}{one} {other} {third}"): None
            for one, other, third in zip(found, found[1:], found[2:], strict=False)
        }
    )


def _meant(arguments: JsonValue) -> JsonValue:
    """Without what is said about the call beside its substance, or instead of any, and how long it may take."""
    if not isinstance(arguments, dict):
        return arguments
    names = arguments.keys() - _KNOBS
    aside = _ASIDE if names & _SUBSTANCE or names <= _ASIDE else frozenset[str]()
    return {name: value for name, value in arguments.items() if name in names - aside}


def outcome_of(result: Content, problem: Problem | None, *, tool: str, arguments: JsonValue) -> Outcome:
    """What a call brought. Of content in the object store the preview and the hash count."""
    said: JsonValue = [tool, *(map(list, arguments.items()) if isinstance(arguments, dict) else [arguments])]
    content, failed = opened(result.value) if problem is None else (None, True)
    text = canonical(content) if problem is None else lines(problem.message or problem.kind)
    mood = mood_of(text, failed=failed)
    if mood == "bad" and not failed and len(text) >= _LONG and reads(tool):
        mood = "plain" if watches(tool) else mood_of(text[:_OPENING], failed=False)  # it may speak of failures
    mood = "bad" if barred(text) else mood
    plain = of_result(text)
    bare = without_ids(plain)
    blob = "" if result.blob is None else result.blob.sha256
    same = digest(bare + blob)
    exact = same if bare == plain else digest(plain + blob)
    if len(text) < _LONG and not blob:
        gist, shape = _gists(bare, said)
        opaque = _OPAQUE.search(text) is not None
        return Outcome(exact, same, gist, shape, mood, words=words_of(bare), size=len(bare), opaque=opaque)
    fault = mood in {"bad", "transient"} and not blob
    pieces, told = _pieces(bare, without_echo(bare, said), fault=fault)
    gist, shape = _gists(_first(bare), said) if fault else (same, same)
    words = words_of(bare) if len(pieces) <= _FEW else ()
    return Outcome(exact, same, gist, shape, mood, long=True, pieces=pieces, said=told, words=words, size=len(bare))


def text_key(text: str) -> Hash:
    """What somebody said, whatever its spaces, its case and the time of day."""
    return digest(of_result(" ".join(bounded(text).split())).lower())


def said_in(text: str, of: str = "") -> Words:
    """The words of a text; at least one mark of it, without its numbers."""
    plain = of_result(lines(text))
    return (_crc(f"{of}\0{_numberless(without_ids(plain))}"), *words_of(plain, of=of))


def digest(text: str) -> Hash:
    """64 bits of it."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _pieces(text: str, unechoed: str, *, fault: bool) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """All pieces, and of a failure those that say what is wrong: there what is quoted of the call is left out.

    Without the words of the call it is cut in the same places, or it does not count without them.
    """
    whole = _PIECES.split(text)
    bare = _faint(whole)
    echo = _faint(_PIECES.split(unechoed))
    echo = echo if len(echo) == len(whole) else bare
    found = {
        one: (_crc(one), _crc(other), _crc(third), len(one))
        for one, other, third in zip(whole, bare, echo, strict=True)
        if len(one) >= _PIECE and (not fault or 2 * len(third) >= len(other))
    }
    said = tuple(piece for one, piece in found.items() if complains(one)) if fault else ()
    return tuple(found.values()), said


def _faint(pieces: Sequence[str]) -> list[str]:
    return "\n".join(pieces).translate(_NO_DIGITS).lower().split("\n")


def _crc(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"))


def _gists(text: str, said: JsonValue) -> tuple[Hash, Hash]:
    gist = digest(_numberless(text))
    bare = without_echo(text, said)
    return gist, gist if bare is text else digest(_numberless(bare))


def _numberless(text: str) -> str:
    return _DIGITS.sub("#", text).lower()


def _first(text: str) -> str:
    """What an error says first; a traceback says it last. The rest is where and how often."""
    return text[-_GIST:] if "Traceback" in text[:_GIST] else text[:_GIST]
