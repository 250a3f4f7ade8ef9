"""Pure: the events of the Responses API -> text, then the reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.models.openai.failures import reported, truncated
from callboard.models.openai.reading import END, arguments, mapping, sequence, text, unseen, usage
from callboard.models.port import ChatReply, Counted, Delta, Stop, TextDelta, ToolCall, Usage
from callboard.models.uncounted import estimated

_TEXT: Final = frozenset({"response.output_text.delta", "response.refusal.delta"})
_UNSEEN: Final = {
    "response.output_item.added": "item",
    "response.function_call_arguments.delta": "delta",
    "response.reasoning_summary_text.delta": "delta",
    "response.reasoning_text.delta": "delta",
}
"""What is said beside the text, and where."""
_TERMINAL: Final = frozenset({"response.completed", "response.incomplete"})


class ResponseReading:
    """One answer as it comes. It counts with ``response.completed`` or ``response.incomplete``."""

    __slots__ = ("_body", "_items", "_limits", "_said", "over")

    def __init__(self, body: Mapping[str, JsonValue], limits: Mapping[str, str]) -> None:
        self.over = False
        self._body = body
        self._limits = limits
        self._said: list[str] = []
        self._items: list[object] = []

    def read(self, event: object) -> Iterable[Delta | ChatReply]:
        """What this event adds. Raises ``ModelError`` if it says, or is, the failure of the call."""
        if event is END:
            raise truncated("the stream ended without response.completed or response.incomplete", self._limits)
        fields = mapping(event)
        kind = fields.get("type")
        if kind in _TEXT:
            return self._more(text(fields.get("delta")))
        if kind == "response.output_item.done":
            self._items.append(fields.get("item"))
            return unseen(mapping(fields.get("item")).get("encrypted_content"))  # thoughts come sealed, all at once
        if kind in _UNSEEN:
            return unseen(fields.get(_UNSEEN[str(kind)]))
        if kind in _TERMINAL:
            response = mapping(fields.get("response"))  # some servers say "completed" of what they cut off
            return self._end(response, complete=kind == "response.completed" and response.get("status") != "incomplete")
        if kind == "response.failed":
            return self._fail(mapping(fields.get("response")))
        if kind == "error":
            raise reported(fields, self._limits)
        return ()

    def _fail(self, response: Mapping[str, object]) -> Iterator[Counted]:
        if (told := _told(response.get("usage"))) is not None:
            yield Counted(told)  # what failed is paid for
        raise reported(response.get("error"), self._limits)

    def _more(self, delta: str) -> Sequence[TextDelta]:
        if not delta:
            return ()
        self._said.append(delta)
        return (TextDelta(delta),)

    def _end(self, response: Mapping[str, object], *, complete: bool) -> Sequence[TextDelta | ChatReply]:
        self.over = True
        output = sequence(response.get("output")) or self._items  # some servers leave it empty at the end
        items = [mapping(item) for item in output]
        unsaid = () if self._said else self._more(_text(items))
        calls = tuple(_call(item) for item in items if item.get("type") == "function_call")
        reply = ChatReply(
            text="".join(self._said),
            tool_calls=calls,
            usage=self._usage(response.get("usage"), calls),
            stop=_end_of(items) if complete else _cut_by(response),
            blocks=_blocks(items) if complete else (),
            limits=self._limits,
        )
        return (*unsaid, reply)

    def _usage(self, counted: object, calls: Sequence[ToolCall]) -> Usage:
        written = (str(call.arguments) for call in calls)
        return _told(counted) or estimated(self._body, "".join([*self._said, *written]))


def _told(counted: object) -> Usage | None:
    """As the provider counts; None: it has not."""
    fields = mapping(counted)
    of = mapping(fields.get("input_tokens_details"))
    total, output = fields.get("input_tokens"), fields.get("output_tokens")
    return usage(total, of.get("cached_tokens"), of.get("cache_write_tokens"), output=output)


def _parts(items: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The parts of the messages, in their order."""
    contents = (sequence(item.get("content")) for item in items if item.get("type") == "message")
    return [mapping(part) for content in contents for part in content]


def _text(items: Sequence[Mapping[str, object]]) -> str:
    return "".join(text(part.get("text")) or text(part.get("refusal")) for part in _parts(items))


def _call(item: Mapping[str, object]) -> ToolCall:
    given = arguments(item.get("arguments"), cut=item.get("status") == "incomplete")
    return ToolCall(text(item.get("call_id")), text(item.get("name")), given)


def _end_of(items: Sequence[Mapping[str, object]]) -> Stop:
    if any(item.get("type") == "function_call" for item in items):
        return "tool_use"
    return "refusal" if any(part.get("type") == "refusal" for part in _parts(items)) else "end"


def _cut_by(response: Mapping[str, object]) -> Stop:
    reason = mapping(response.get("incomplete_details")).get("reason")
    return "content_filter" if reason == "content_filter" else "max_tokens"


def _blocks(items: Sequence[Mapping[str, object]]) -> tuple[JsonValue, ...]:
    """The answer as it was said if it holds reasoning; nothing if that cannot be sent back (it was not stored)."""
    reasoning = [item for item in items if item.get("type") == "reasoning"]
    if not reasoning or not all(item.get("encrypted_content") for item in reasoning):
        return ()
    try:
        to_json(items)
    except ValueError:  # half a surrogate pair, which no journal can keep
        return ()
    return tuple(cast("JsonValue", item) for item in items)
