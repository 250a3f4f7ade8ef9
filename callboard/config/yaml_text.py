"""Pure: YAML text to nodes, with bounds on depth and size that hold for aliases too.

The values are those of YAML 1.2: ``yes``, ``on`` and dates are text. Explicit tags, several documents, merge keys
and keys that are not text are refused. Duplicate keys are problems, the first one counts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

from callboard.config.nodes import Entry, MappingNode, Node, Place, Problem, ScalarNode, SequenceNode

DEEPEST: Final = 40
LARGEST: Final = 50_000
"""Nodes of a file, aliases counted as what they stand for."""

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT: Final = re.compile(r"[-+]?[0-9]{1,30}")
_HEX_OR_OCTAL: Final = re.compile(r"0x[0-9a-fA-F]{1,30}|0o[0-7]{1,30}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class Unreadable(Exception):
    """The text has no tree. Never leaves this package."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def parse(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """The tree of ``text``, None if there is none, and what is wrong with it. ``file`` is the name to show."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - costs 0.2 s of CPU, which only readers of files should pay
    from ruamel.yaml.error import MarkedYAMLError  # noqa: PLC0415 - same

    build = _Build(file)
    try:
        _refuse_control_characters(text, file)
        for event in YAML(typ="safe", pure=True).parse(text):  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            build.on(event)
    except Unreadable as stop:
        return None, [*build.problems, stop.problem]
    except MarkedYAMLError as error:
        return None, [*build.problems, _syntax(error, build)]
    except Exception as error:  # noqa: BLE001 - the library lets OverflowError, UnicodeError and others out of bad text
        return None, [*build.problems, Problem(build.last, "", f"broken YAML after this place: {error}")]
    if build.root is None:
        return None, [Problem(Place(file, 1, 1), "", "the file is empty: expected a mapping")]
    return build.root, build.problems


def _refuse_control_characters(text: str, file: str) -> None:
    match = _FORBIDDEN.search(text)
    if match is None:
        return
    before = match.string[: match.start()]
    place = Place(file, before.count("\n") + 1, match.start() - (before.rfind("\n") + 1) + 1)
    raise Unreadable(Problem(place, "", f"the character {match.group()!r} may not stand in YAML: remove it"))


@dataclass(slots=True)
class _Open:
    """A collection that is being read."""

    place: Place
    anchor: str | None
    mapping: bool
    items: list[Node] = field(default_factory=list[Node])
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    key: tuple[Place, str] | None = None
    size: int = 1
    height: int = 1


@dataclass(slots=True)
class _Build:
    """Folds parser events into a tree, without recursion."""

    file: str
    root: Node | None = None
    problems: list[Problem] = field(default_factory=list[Problem])
    last: Place = field(init=False)
    _stack: list[_Open] = field(default_factory=list[_Open])
    _anchors: dict[str, tuple[Node, int, int]] = field(default_factory=dict[str, tuple[Node, int, int]])

    def __post_init__(self) -> None:
        self.last = Place(self.file, 1, 1)

    def place(self, mark: Any) -> Place:
        return Place(self.file, mark.line + 1, mark.column + 1)

    def on(self, event: Any) -> None:
        self.last = self.place(event.start_mark)
        match type(event).__name__:
            case "DocumentStartEvent" if self.root is not None:
                raise self._stop("a second document starts here: a file has one")
            case "MappingStartEvent" | "SequenceStartEvent":
                self._untagged(event)
                if len(self._stack) >= DEEPEST:
                    raise self._stop(f"nested deeper than {DEEPEST} levels")
                mapping = type(event).__name__ == "MappingStartEvent"
                self._stack.append(_Open(self.last, event.anchor, mapping))
            case "MappingEndEvent" | "SequenceEndEvent":
                self._close()
            case "ScalarEvent":
                self._untagged(event)
                self._add(self._scalar(event), size=1, height=0, anchor=event.anchor)
            case "AliasEvent":
                if event.anchor not in self._anchors:
                    raise self._stop(f"the alias *{event.anchor} stands for nothing that is complete before it")
                node, size, height = self._anchors[event.anchor]
                self._add(node, size=size, height=height, anchor=None)
            case _:
                pass

    def _close(self) -> None:
        done = self._stack.pop()
        node: Node = (
            MappingNode(done.place, tuple(done.entries.values()))
            if done.mapping
            else SequenceNode(done.place, tuple(done.items))
        )
        self._add(node, size=done.size, height=done.height, anchor=done.anchor)

    def _add(self, node: Node, *, size: int, height: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size, height)
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        parent.size += size
        parent.height = max(parent.height, height + 1)
        if sum(level.size for level in self._stack) > LARGEST:
            raise self._stop(f"more than {LARGEST} values, aliases counted as what they stand for")
        if len(self._stack) + height > DEEPEST:
            raise self._stop(f"nested deeper than {DEEPEST} levels")
        if parent.mapping:
            self._add_to_mapping(parent, node)
        else:
            parent.items.append(node)

    def _add_to_mapping(self, parent: _Open, node: Node) -> None:
        if parent.key is None:
            if not isinstance(node, ScalarNode):
                raise self._stop("a list or a mapping is used as a key: expected text")
            parent.key = (self.last, node.written)
            return
        place, key = parent.key
        parent.key = None
        if key in parent.entries:
            first = parent.entries[key].place
            self.problems.append(
                Problem(place, "", f"duplicate key {key[:60]!r}: it stands in line {first.line} too, keep one")
            )
            return
        if isinstance(node, ScalarNode) and node.value is None:
            node = ScalarNode(place, None, "")  # nothing has no place of its own
        parent.entries[key] = Entry(place, key, node)

    def _scalar(self, event: Any) -> ScalarNode:
        text: str = event.value
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text):
            raise self._stop(r"text may not hold \0 or half a surrogate pair: remove it")
        value = _resolve(text) if event.style is None and event.implicit[0] else text
        if isinstance(value, float) and not math.isfinite(value):
            raise self._stop(f"{text[:60]!r} is not a finite number")
        return ScalarNode(self.last, value, text)

    def _untagged(self, event: Any) -> None:
        if event.tag is not None:
            raise self._stop(f"the tag {str(event.tag)[:60]!r} is not supported: remove it, quote text instead")

    def _stop(self, message: str) -> Unreadable:
        return Unreadable(Problem(self.last, "", message))


def _resolve(text: str) -> str | int | float | bool | None:
    """A plain scalar by the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _HEX_OR_OCTAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text


def _syntax(error: Any, build: _Build) -> Problem:
    place = build.last if error.problem_mark is None else build.place(error.problem_mark)
    hint = ": indent with spaces, not tabs" if "'\\t'" in str(error.problem) else ""
    return Problem(place, "", f"broken YAML: {error.problem}{hint}")
