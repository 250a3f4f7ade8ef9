"""Pure: the chunks of Chat Completions -> text, then the reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.models.openai.failures import reported, truncated
from callboard.models.openai.reading import END, arguments, estimated, mapping, sequence, text, unseen, usage
from callboard.models.port import ChatReply, Delta, Stop, TextDelta, ToolCall, Usage

_STOPS: Final[Mapping[str, Stop]] = {"length": "max_tokens", "content_filter": "content_filter"}
_THOUGHTS: Final = ("reasoning_content", "reasoning")
"""Where compatible servers put them."""
_BROKEN: Final = frozenset({"abort", "error", "insufficient_system_resource"})
"""How compatible servers finish an answer that they could not."""


@dataclass(slots=True)
class _Call:
    """A tool call in the making."""

    index: object
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


class ChatReading:
    """One answer as it comes. It counts with a ``finish_reason`` and then the end of the stream."""

    __slots__ = ("_body", "_calls", "_counted", "_finish", "_limits", "_refused", "_said", "over")

    def __init__(self, body: Mapping[str, JsonValue], limits: Mapping[str, str]) -> None:
        self.over = False
        self._body = body
        self._limits = limits
        self._said: list[str] = []
        self._calls: list[_Call] = []
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
        self._counted = mapping(chunk.get("usage")) or self._counted
        pieces: list[Delta] = []
        for choice in map(mapping, sequence(chunk.get("choices"))[:1]):
            delta = mapping(choice.get("delta"))
            for call in map(mapping, sequence(delta.get("tool_calls"))):
                self._add(call)
                pieces += (
                    each for name in ("name", "arguments") for each in unseen(mapping(call.get("function")).get(name))
                )
            pieces += (each for name in _THOUGHTS for each in unseen(delta.get(name)))
            self._refused = self._refused or bool(delta.get("refusal"))
            pieces += [TextDelta(said) for name in ("content", "refusal") if (said := text(delta.get(name)))]
            self._finish = text(choice.get("finish_reason")) or self._finish
        self._said += [piece.text for piece in pieces if isinstance(piece, TextDelta)]
        return pieces

    def _add(self, call: Mapping[str, object]) -> None:
        """Calls come in pieces by their index. Some servers leave it out, or send each call whole as number 0."""
        index, known = call.get("index"), text(call.get("id"))
        slot = next((each for each in reversed(self._calls) if each.index == index), None)
        if slot is None or (known and slot.id and known != slot.id):
            slot = _Call(index, known)
            self._calls.append(slot)
        function = mapping(call.get("function"))
        slot.id = slot.id or known
        slot.name = slot.name or text(function.get("name"))
        given = function.get("arguments")
        slot.arguments.append(text(given) if given is None or isinstance(given, str) else to_json(given).decode())

    def _end(self) -> Sequence[ChatReply]:
        if not self._finish:
            raise truncated("the stream ended without a finish_reason", self._limits)
        if self._finish in _BROKEN:
            raise reported({"code": self._finish, "message": "the server gave up on its answer"}, self._limits)
        self.over = True
        cut = self._finish in _STOPS
        calls = tuple(ToolCall(call.id, call.name, arguments("".join(call.arguments), cut=cut)) for call in self._calls)
        stop: Stop = "refusal" if self._refused else "tool_use" if calls else "end"
        return (
            ChatReply(
                text="".join(self._said),
                tool_calls=calls,
                usage=self._usage(),
                stop=_STOPS.get(self._finish, stop),
                limits=self._limits,
            ),
        )

    def _usage(self) -> Usage:
        fields = self._counted
        if not fields:
            return estimated(self._body, "".join([*self._said, *("".join(call.arguments) for call in self._calls)]))
        of = mapping(fields.get("prompt_tokens_details"))
        total, output = fields.get("prompt_tokens"), fields.get("completion_tokens")
        return usage(total, of.get("cached_tokens"), of.get("cache_write_tokens"), output=output)
