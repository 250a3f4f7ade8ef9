"""Pure: the events of a stream of the Messages API -> pieces of text, then one reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.errors import ModelError
from callboard.models.anthropic.history import Block, as_object
from callboard.models.port import MOST_TOKENS, ChatReply, Counted, Delta, Stop, TextDelta, ToolCall, Unseen, Usage
from callboard.models.uncounted import estimated
from callboard.models.written import json_in

_STOPS: Final[Mapping[str, Stop]] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context",
}
_GROWING: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_TOKENS: Final = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cached_tokens",
    "cache_creation_input_tokens": "written_tokens",
}
"""Normalised already: the input excludes the cache."""
_CUT_OFF: Final = frozenset({"max_tokens", "model_context_window_exceeded"})
_PLAIN: Final = frozenset({"text", "tool_use"})
_SHOWN: Final = 200


@dataclass(slots=True)
class _Growing:
    """A block as it began, and the pieces that have come for its fields since."""

    began: Block
    pieces: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    citations: list[JsonValue] = field(default_factory=list[JsonValue])

    def text(self, name: str) -> str:
        return str(self.began.get(name) or "") + "".join(self.pieces.get(name, ()))


class Answer:
    """Hears the events of the stream that ``body`` has asked for, in order. What is not known yet is passed over."""

    def __init__(self, body: Mapping[str, JsonValue]) -> None:
        self._body = body
        self._blocks: dict[int, _Growing] = {}
        self._usage: dict[str, int] = {}
        self._stop: str | None = None
        self.complete = False

    def hear(self, event: Any) -> Delta | None:
        """What ``event`` adds to what was said. None in its place: the stream is over, too soon.

        Raises ``ModelError`` (``truncated``, retryable) for what is no event.
        """
        if event is None:
            raise ModelError("truncated", "the stream ended without its terminal event", retryable=True)
        try:
            return self._hear(event)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ModelError("truncated", f"the stream is malformed: {event!r:.{_SHOWN}}", retryable=True) from error

    def reply(self, limits: Mapping[str, str]) -> ChatReply:
        """What was said. Of a refused answer only the text: the provider wants the rest forgotten."""
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        text = "".join(block.text("text") for block in blocks if block.began["type"] == "text")
        heard = [] if self._stop == "refusal" else [(block, self._arguments(block)) for block in blocks]
        calls = tuple(
            ToolCall(str(block.began["id"]), str(block.began["name"]), arguments)
            for block, arguments in heard
            if block.began["type"] == "tool_use"
        )
        signed = any(block.began["type"] not in _PLAIN for block, _ in heard)
        stop = _STOPS.get(str(self._stop), "tool_use" if calls else "end")
        kept = tuple[JsonValue, ...](_whole(block, arguments) for block, arguments in heard) if signed else ()
        return ChatReply(text, calls, self._counted(blocks), stop, kept, limits)

    def _counted(self, blocks: Sequence[_Growing]) -> Usage:
        """The usage as it was told. Some compatible servers tell none, or 0: an estimate then."""
        return self._told() or estimated(
            self._body, "".join(block.text(name) for block in blocks for name in _GROWING.values())
        )

    def _told(self) -> Usage | None:
        """The usage as far as it was told; None: no token of it."""
        if any(self._usage.values()):
            return Usage(**{_TOKENS[name]: count for name, count in self._usage.items()})
        return None

    def _count(self, usage: Any) -> Counted | None:
        self._usage.update(_counts(usage))
        return None if (told := self._told()) is None else Counted(told)

    def _hear(self, event: Any) -> Delta | None:
        kind = event["type"]
        if kind == "content_block_delta":
            return self._grow(self._blocks[event["index"]], event["delta"])
        if kind == "content_block_start":
            return self._begin(event["index"], dict(event["content_block"]))
        if kind == "message_start":
            return self._count(event["message"].get("usage")) or Unseen()
        if kind == "message_delta":
            self._stop = event["delta"].get("stop_reason") or self._stop
            return self._count(event.get("usage"))
        if kind == "message_stop":
            if self._stop is None:
                raise ValueError("it stops without a reason")
            self.complete = True
        return None

    def _begin(self, index: int, block: Block) -> Delta:
        kind = _text(block["type"])
        if kind == "tool_use" and not (block.get("id") and block.get("name")):
            raise ValueError("a call without id or name")
        self._blocks[int(index)] = _Growing(block)
        if kind == "text" and block.get("text"):
            return TextDelta(_text(block["text"]))
        return Unseen(len(to_json(block)))  # what it thinks may come sealed at once, or not at all

    def _grow(self, block: _Growing, delta: Any) -> Delta | None:
        kind = delta["type"]
        if kind == "citations_delta":
            block.citations.append(delta["citation"])
        if kind not in _GROWING:
            return None
        piece = _text(delta[_GROWING[kind]])
        block.pieces.setdefault(_GROWING[kind], []).append(piece)
        return TextDelta(piece) if kind == "text_delta" else Unseen(len(piece.encode("utf-8", "replace")))

    def _arguments(self, block: _Growing) -> JsonValue:
        """As JSON; as text where they are none, which the tool layer answers with what is wrong.

        Nothing is no arguments, unless the answer was cut off before they came.
        """
        text = block.text("partial_json")
        if not text.strip():
            return "" if self._stop in _CUT_OFF else block.began.get("input", {})
        try:
            return json_in(text)
        except ValueError:
            return text


def _whole(block: _Growing, arguments: JsonValue) -> Block:
    whole = dict(block.began)
    if "partial_json" in block.pieces or "input" in whole:
        whole["input"] = as_object(arguments)
    for name in block.pieces.keys() - {"partial_json"}:
        whole[name] = block.text(name)
    if block.citations:
        whole["citations"] = block.citations
    return whole


def _counts(usage: Any) -> dict[str, int]:
    """The counts of tokens among what is said of the usage; each event says the whole so far."""
    said: Mapping[str, Any] = usage or {}
    found = {name: int(said[name]) for name in _TOKENS if said.get(name) is not None}
    if not all(0 <= tokens <= MOST_TOKENS for tokens in found.values()):
        raise ValueError("these are no counts of tokens")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
