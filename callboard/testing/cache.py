"""Pure: a prompt cache as the providers have it: by the hash of the prefix, tools first, then system, then messages.

Anthropic caches up to the marked blocks (``cache_control``) and charges for the writing; OpenAI caches by itself.
The schema of a structured answer stands before the system prompt; Claude's messages depend on what else is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from callboard.testing.loose import items, mapping
from callboard.testing.script import Request, Tokens, tokens_in

_LOOKBACK: Final = 20
"""Blocks before a mark where an entry is looked for."""
_STEP: Final = 128
"""OpenAI counts cached tokens in these steps."""
_CHANGES_MESSAGES: Final = ("tool_choice", "thinking")
"""What leaves Claude's cache of tools and system prompt as it is, and not that of the messages."""
_SHORT: Final = 300.0
_LONG: Final = 3600.0


@dataclass(frozen=True, slots=True)
class _Prefix:
    """Everything up to the end of a block. ``lasts``: seconds that its entry lives; 0: it is not marked."""

    key: str
    tokens: int
    lasts: float


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a request found: the input in ``tokens``, and what is to be kept when its answer has begun."""

    tokens: Tokens
    keep: Mapping[str, float]


@dataclass(slots=True)
class PromptCache:
    """The entries of all models. ``minimum``: tokens below which nothing is kept."""

    minimum: int = 1024
    entries: dict[str, float] = field(default_factory=dict[str, float])

    def look(self, request: Request, now: float) -> Lookup:
        """What ``request`` reads and would write. The fault ``cache_miss``: it finds nothing."""
        prefixes = _prefixes(request)
        known = dict[str, float]() if request.fault == "cache_miss" else self.entries
        total = prefixes[-1].tokens if prefixes else 0
        fit = [each for each in prefixes if each.tokens >= self.minimum]
        if request.wire != "anthropic":
            read = max((each.tokens for each in fit if known.get(each.key, 0.0) > now), default=0) // _STEP * _STEP
            return Lookup(Tokens(total - read, cached=read), {each.key: _SHORT for each in fit})
        marked = [at for at, each in enumerate(prefixes) if each.lasts and each.tokens >= self.minimum]
        found = [
            each.tokens
            for mark in marked
            for each in prefixes[max(0, mark - _LOOKBACK) : mark + 1]
            if each.tokens >= self.minimum and known.get(each.key, 0.0) > now
        ]
        read = max(found, default=0)
        written = max(0, prefixes[marked[-1]].tokens - read) if marked else 0
        tokens = Tokens(total - read - written, cached=read, written=written)
        return Lookup(tokens, {prefixes[mark].key: prefixes[mark].lasts for mark in marked})

    def keep(self, found: Lookup, now: float) -> None:
        """The answer has begun: what it wrote can be read from now on."""
        self.entries |= {key: now + lasts for key, lasts in found.keep.items()}


def _prefixes(request: Request) -> list[_Prefix]:
    digest = hashlib.sha256(f"{request.wire} {request.model}".encode())
    prefixes, size = list[_Prefix](), 0
    for block, mark in _blocks(request):
        text = json.dumps(block, ensure_ascii=False, sort_keys=True).encode()
        digest.update(text)
        size += len(text)
        prefixes.append(_Prefix(digest.hexdigest(), tokens_in(size), _lasts(mark)))
    top = request.body.get("cache_control")
    if top and prefixes:
        prefixes[-1] = replace(prefixes[-1], lasts=_lasts(top))
    return prefixes


def _blocks(request: Request) -> Iterator[tuple[Any, Any]]:
    """Each block with its mark, in the order of the prefix."""
    body = request.body
    yield from map(_unmarked, items(body.get("tools")))
    if schema := _schema(body):
        yield schema, None
    yield from map(_unmarked, _texts(body.get("system") or body.get("instructions")))
    if request.wire == "anthropic" and (asked_for := [body[each] for each in _CHANGES_MESSAGES if body.get(each)]):
        yield asked_for, None
    for message in _texts(body.get("messages") or body.get("input")):
        if request.wire != "anthropic":
            yield message, None
            continue
        for block in _texts(mapping(message).get("content")):
            said, mark = _unmarked(block)
            yield [mapping(message).get("role"), said], mark


def _schema(body: Mapping[str, Any]) -> Any:
    """What a structured answer is to be, wherever the wire says it."""
    formats = (mapping(body.get(each)).get("format") for each in ("output_config", "text"))
    return next(filter(None, formats), None) or body.get("response_format")


def _unmarked(block: Any) -> tuple[Any, Any]:
    fields = mapping(block)
    bare = {key: value for key, value in fields.items() if key != "cache_control"} if fields else block
    return bare, fields.get("cache_control")


def _texts(value: Any) -> Sequence[Any]:
    return [{"type": "text", "text": value}] if isinstance(value, str) else items(value)


def _lasts(mark: Any) -> float:
    if not mark:
        return 0.0
    return _LONG if mapping(mark).get("ttl") == "1h" else _SHORT
