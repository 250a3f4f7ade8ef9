"""Pure: the tool calls of a chat, put together from their pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic_core import to_json

from callboard.models.openai.reading import arguments, mapping, text
from callboard.models.port import ToolCall


@dataclass(slots=True)
class _Growing:
    """A call as far as it has come."""

    index: object
    id: str
    name: str = ""
    arguments: str = ""

    def may_take(self, index: object, known: str) -> bool:
        """Whether a piece with this index and id, if it has them, may be of this call."""
        return (index is None or self.index == index) and not (known and self.id and known != self.id)

    def is_followed(self, name: str, given: str) -> bool:
        """Whether a piece of no known id begins the next call: it has a name, and this one is whole."""
        if not name or not self.name:
            return False
        return name != self.name or (bool(given) and isinstance(arguments(self.arguments, cut=True), dict))


@dataclass(slots=True)
class GrowingCalls:
    """The calls of one answer.

    A piece has the index of its call, and the first one its id and its name. Some servers leave out the index, the id
    or both, give every call the index 0, or repeat id and name in each piece.
    """

    _calls: list[_Growing] = field(default_factory=list[_Growing])

    def add(self, piece: Mapping[str, object]) -> None:
        """A piece of a call, or a whole one."""
        function, index, known = mapping(piece.get("function")), piece.get("index"), text(piece.get("id"))
        name, given = text(function.get("name")), _written(function.get("arguments"))
        call = next((each for each in reversed(self._calls) if each.may_take(index, known)), None)
        if call is None or (not (known and known == call.id) and call.is_followed(name, given)):
            call = _Growing(index, known)
            self._calls.append(call)
        call.id, call.name = call.id or known, call.name or name
        call.arguments += given

    def whole(self, *, cut: bool) -> tuple[ToolCall, ...]:
        """The calls. ``cut``: the answer was cut off."""
        return tuple(ToolCall(call.id, call.name, arguments(call.arguments, cut=cut)) for call in self._calls)

    @property
    def written(self) -> str:
        """All arguments, as they came."""
        return "".join(call.arguments for call in self._calls)


def _written(given: object) -> str:
    return text(given) if given is None or isinstance(given, str) else to_json(given).decode()
