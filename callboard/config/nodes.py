"""Pure: YAML as a tree whose every node knows where it was written, and errors that say so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from pydantic import JsonValue

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong, where (in the file, and as the path of the setting), and what to do."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.place}: {self.path}" if self.path else str(self.place)
        return f"{where}: {' '.join(self.message.splitlines())}"


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value. ``written`` is what stands in the file, which is what errors may show."""

    place: Place
    value: str | int | float | bool | None
    written: str


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value; ``place`` is the key's."""

    place: Place
    key: str
    value: Node


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping; keys are unique."""

    place: Place
    entries: tuple[Entry, ...]

    def entry(self, key: str) -> Entry | None:
        """The entry of ``key``."""
        return next((entry for entry in self.entries if entry.key == key), None)


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


@dataclass(frozen=True, slots=True)
class Spot:
    """What a path leads to. ``key`` is where its key stands, ``node`` is None if it is not there."""

    key: Place
    path: str
    node: Node | None

    @property
    def value(self) -> Place:
        """Where the value stands, or, without one, its key."""
        return self.key if self.node is None else self.node.place


def joined(path: str, part: str | int) -> str:
    """The path of ``part`` below ``path``, on one line whatever the key is."""
    step = str(part) if str(part).isprintable() else repr(part)
    return f"{path}.{step}" if path else step


def plain(node: Node) -> JsonValue:
    """The tree as a JSON value."""
    match node:
        case ScalarNode():
            return node.value
        case SequenceNode():
            return [plain(item) for item in node.items]
        case MappingNode():
            return {entry.key: plain(entry.value) for entry in node.entries}
        case _:
            assert_never(node)


def shown(node: Node) -> str:
    """The value as errors show it: as written, cut to a line, never what an interpolation made of it."""
    match node:
        case ScalarNode(value=None):
            return "nothing"
        case ScalarNode(value=str()):
            text = node.written if len(node.written) <= 60 else node.written[:57] + "..."  # noqa: PLR2004 - a width
            return repr(text)
        case ScalarNode():
            return node.written
        case SequenceNode():
            return "a list"
        case MappingNode():
            return "a mapping"
        case _:
            assert_never(node)


def locate(root: Node, path: Sequence[str | int]) -> Spot:
    """Follow ``path`` as far as it goes.

    Parts such as ``<turn>`` name the branch of a union and are no steps; ``[key]`` is the key itself.
    """
    spot = Spot(root.place, "", root)
    for part in path:
        if spot.node is None or part == "[key]":
            return Spot(spot.key, spot.path, None)
        if not str(part).startswith("<"):
            spot = _step(spot, spot.node, part)
    return spot


def _step(spot: Spot, node: Node, part: str | int) -> Spot:
    path = joined(spot.path, part)
    if isinstance(node, MappingNode) and (entry := node.entry(str(part))) is not None:
        return Spot(entry.place, path, entry.value)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.items):
        return Spot(node.items[part].place, path, node.items[part])
    return Spot(spot.key, path, None)


def report(problems: Iterable[Problem]) -> str:
    """All of them, one a line, in the order of the file, each once."""
    return "\n".join(str(problem) for problem in sorted(set(problems)))
