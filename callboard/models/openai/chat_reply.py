"""Pure: the chunks of Chat Completions -> text, then the reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from callboard.models.openai.chat_calls import GrowingCalls
from callboard.models.openai.failures import reported, truncated
from callboard.models.openai.reading import END, mapping, sequence, text, unseen, usage
from callboard.models.port import ChatReply, Counted, Delta, Stop, TextDelta, Usage
from callboard.models.uncounted import estimated

_STOPS: Final[Mapping[str, Stop]] = {"length": "max_tokens", "content_filter": "content_filter"}
_THOUGHTS: Final = ("reasoning_content", "reasoning")
"""Where compatible servers put them."""
_ENDLESS: Final = "the stream ended without a finish_reason; a server that never sends one must be updated"
_BROKEN: Final = frozenset({"abort", "error", "insufficient_system_resource"})
"""How compatible servers finish an answer that they could not."""


class ChatReading:
    """One answer as it comes. It counts with a ``finish_reason`` and then the end of the stream."""

    __slots__ = ("_body", "_calls", "_counted", "_finish", "_limits", "_refused", "_said", "over")

    def __init__(self, body: Mapping[str, JsonValue], limits: Mapping[str, str]) -> None:
        self.over = False
        self._body = body
        self._limits = limits
        self._said: list[str] = []
        self._calls = GrowingCalls()
        self._counted: Mapping[str, object] = {}
        self._finish = ""
        self._refused = False

    def read(self, event: object) -> Sequence[Delta | ChatReply]:
        """What this chunk adds. Raises ``ModelError`` if it says, or is, the failure of the call."""
        if event is END:
            return self._end()
        chunk = mapping(event)
        if chunk.get("error"):
            raise reported(chunk["error"], self._limits)
        pieces: list[Delta] = []
        for choice in _first(chunk.get("choices")):
            delta = mapping(choice.get("delta")) or mapping(choice.get("message"))
            for call in _calls(delta):
                self._calls.add(call)
                pieces += (
                    each for name in ("name", "arguments") for each in unseen(mapping(call.get("function")).get(name))
                )
            pieces += (each for name in _THOUGHTS for each in unseen(delta.get(name)))
            self._refused = self._refused or bool(delta.get("refusal"))
            pieces += (TextDelta(said) for name in ("content", "refusal") if (said := _text(delta.get(name))))
            self._finish = text(choice.get("finish_reason")) or self._finish
        self._said += [piece.text for piece in pieces if isinstance(piece, TextDelta)]
        if counted := mapping(chunk.get("usage")):  # of all that was said until now, this chunk included
            self._counted = counted
            pieces += (Counted(told) for told in (self._told(),) if told is not None)
        return pieces

    def _end(self) -> Sequence[ChatReply]:
        if not self._finish:
            raise truncated(_ENDLESS, self._limits)
        if self._finish in _BROKEN:
            raise reported({"code": self._finish, "message": "the server gave up on its answer"}, self._limits)
        self.over = True
        cut = self._finish in _STOPS
        calls = self._calls.whole(cut=cut)
        stop: Stop = "refusal" if self._refused else "tool_use" if calls else "end"
        return (
            ChatReply(
                text="".join(self._said),
                tool_calls=calls,
                usage=self._told() or estimated(self._body, "".join([*self._said, self._calls.written])),
                stop=_STOPS.get(self._finish, stop),
                limits=self._limits,
            ),
        )

    def _told(self) -> Usage | None:
        """As the server counts; None: it has not."""
        fields = self._counted
        of = mapping(fields.get("prompt_tokens_details"))
        total, output = fields.get("prompt_tokens"), fields.get("completion_tokens")
        return usage(total, of.get("cached_tokens"), of.get("cache_write_tokens"), output=output)


def _first(choices: object) -> Sequence[Mapping[str, object]]:
    """The choice that counts: one was asked for."""
    return [each for each in map(mapping, sequence(choices)) if each.get("index") in (None, 0)][:1]


def _calls(delta: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    """Its pieces of tool calls; a single one may come under an older name."""
    older = mapping(delta.get("function_call"))
    return [*map(mapping, sequence(delta.get("tool_calls"))), *([{"index": 0, "function": older}] if older else [])]


def _text(content: object) -> str:
    """A text, or the texts of its parts: some servers send these, with thoughts among them."""
    parts = (mapping(part) for part in sequence(content))
    return text(content) or "".join(text(part.get("text")) for part in parts if part.get("type") == "text")
