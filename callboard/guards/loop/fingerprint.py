"""Pure: what a call and its outcome are. Only hashes leave this module."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal, TypeAlias
from zlib import crc32

from pydantic import JsonValue

from callboard.bus.messages import Content, Problem
from callboard.guards.loop.mood import Mood, mood_of
from callboard.guards.loop.plain import bounded, canonical, lines, of_call, of_result, without_echo, without_ids

Hash: TypeAlias = int
Kind: TypeAlias = Literal["read", "write", "poll", "delegate"]
_LONG: Final = 200
_GIST: Final = 160
_PIECES: Final = re.compile(r"\n|[{}\[\]]+|,(?=\")|(?<=[.!?]) ")
"""Between lines, between the fields of JSON, between sentences."""
_PIECE: Final = 4
"""Letters. Less is a bracket or a word such as "pass"."""
_NO_DIGITS: Final = str.maketrans("", "", "0123456789")
_DIGITS: Final = re.compile(r"\d+")


Piece: TypeAlias = tuple[int, int, int, int]
"""A piece of a result: as it is, without its numbers, also without the words of the call, and its length."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call. ``exact`` is without times, ``same`` also without ids.

    ``gist`` is also without numbers, and ``shape`` without the words of the call itself. ``long``: too long for a mere
    acknowledgement. Then ``pieces`` are its lines, fields and sentences.
    """

    exact: Hash
    same: Hash
    gist: Hash
    shape: Hash
    mood: Mood
    long: bool = False
    denied: bool = False
    pieces: tuple[Piece, ...] = ()


def call_key(name: str, arguments: JsonValue) -> Hash:
    """What a call is, whatever the order of its keys, its spaces, its request ids and the time of day."""
    return digest(f"{name}\0{' '.join(of_call(canonical(arguments)).split())}")


def outcome_of(result: Content, problem: Problem | None, *, tool: str, arguments: JsonValue) -> Outcome:
    """What a call brought. Of content in the object store the preview and the hash count."""
    said: JsonValue = [tool, *(map(list, arguments.items()) if isinstance(arguments, dict) else [arguments])]
    text = canonical(result.value) if problem is None else f"{problem.kind}: {lines(problem.message)}"
    mood = mood_of(text, failed=problem is not None)
    plain = of_result(text)
    bare = without_ids(plain)
    blob = "" if result.blob is None else result.blob.sha256
    same = digest(bare + blob)
    exact = same if bare == plain else digest(plain + blob)
    if len(text) < _LONG and not blob:
        gist, shape = _gists(bare, said)
        return Outcome(exact, same, gist, shape, mood)
    fault = mood in {"bad", "transient"} and not blob
    pieces = _pieces(bare, without_echo(bare, said), quotes=not fault)
    gist, shape = _gists(_first(bare), said) if fault else (same, same)
    return Outcome(exact, same, gist, shape, mood, long=True, pieces=pieces)


def text_key(text: str) -> Hash:
    """What somebody said, whatever its spaces, its case and the time of day."""
    return digest(of_result(" ".join(bounded(text).split())).lower())


def said_in(text: str) -> tuple[Piece, ...]:
    """The sentences of a text that says much."""
    if len(text) < _LONG:
        return ()
    plain = of_result(lines(text))
    return _pieces(plain, plain)


def digest(text: str) -> Hash:
    """64 bits of it."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _pieces(text: str, unechoed: str, *, quotes: bool = True) -> tuple[Piece, ...]:
    """Without the words of the call it is cut in the same places, or it does not count without them."""
    whole = _PIECES.split(text)
    echo = _PIECES.split(unechoed)
    bare = _faint(whole)
    echo = _faint(echo) if len(echo) == len(whole) else bare
    found = {
        one: (other, third)
        for one, other, third in zip(whole, bare, echo, strict=True)
        if len(one) >= _PIECE and (quotes or 2 * len(third) >= len(other))
    }
    return tuple((_crc(one), _crc(other), _crc(third), len(one)) for one, (other, third) in found.items())


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
