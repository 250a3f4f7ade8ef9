"""Pure: ``${env:NAME}`` and ``${file:path}`` in every string of a tree, lists included. Keys are left alone.

``$${`` stands for a literal ``${``. What a reference resolves to is not looked at again. It is refused where the text
becomes a part of a run: what a journal and a prompt hold is no secret any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, assert_never

from callboard.config.nodes import Entry, MappingNode, Node, Problem, ScalarNode, SequenceNode, joined

Resolve = Callable[[str, str], str]
"""(kind, name) to the value. Raises ``ValueError`` that says what is wrong and what to do."""

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{(?P<kind>env|file|secret):(?P<name>[^}]*)(?P<end>\}?)")
NOWHERE: Final = re.compile(r"(?!)")


@dataclass(slots=True)
class Interpolation:
    """One pass over one tree; ``secrets`` are the values that it put in, ``problems`` what it could not."""

    resolve: Resolve
    in_runs: re.Pattern[str]
    """Paths whose text goes into the journals of runs, and to the model."""
    later: re.Pattern[str] = NOWHERE
    """Paths whose text is left as it is written."""
    secrets: set[str] = field(default_factory=set[str])
    problems: list[Problem] = field(default_factory=list[Problem])

    def apply(self, node: Node, path: str = "") -> Node:
        """``node`` with every reference replaced."""
        match node:
            case ScalarNode(value=str()) if "${" in node.written and not self.later.match(path):
                return ScalarNode(node.place, self._text(node, path), node.written)
            case ScalarNode():
                return node
            case SequenceNode():
                items = (self.apply(item, joined(path, at)) for at, item in enumerate(node.items))
                return SequenceNode(node.place, tuple(items))
            case MappingNode():
                entries = (
                    Entry(entry.place, entry.key, self.apply(entry.value, joined(path, entry.key)))
                    for entry in node.entries
                )
                return MappingNode(node.place, tuple(entries))
            case _:
                assert_never(node)

    def _text(self, node: ScalarNode, path: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match["kind"] is None:
                return "${"
            try:
                found = self._resolved(match)
            except ValueError as error:
                self.problems.append(Problem(node.place, path, f"{match.group()[:80]!r}: {error}"))
                return match.group()
            self.secrets.add(found)
            if self.in_runs.match(path):
                hint = "journals of runs keep this text and models read it: write it out, or let a tool read it"
                self.problems.append(Problem(node.place, path, f"{match.group()[:80]!r}: {hint}"))
            return found

        return _REFERENCE.sub(value, node.written)

    def _resolved(self, match: re.Match[str]) -> str:
        if not match["end"]:
            raise ValueError("the closing '}' is missing (a literal '${' is written '$${')")
        if match["kind"] == "secret":
            raise ValueError("secret stores are not available in this version: use ${env:NAME} or ${file:path}")
        found = self.resolve(match["kind"], match["name"])
        if not found:
            raise ValueError("it is empty: give it a value")
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in found):
            raise ValueError("its value is not text: it must be UTF-8 without NUL")
        return found
