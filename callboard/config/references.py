"""Pure: what in the file names something else: tools, modules with functions, team members, guards.

Works on nodes, so that these checks run although other parts of the file are wrong, and know their places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from callboard.config.expectations import nearest
from callboard.config.guards import BUILTIN_GUARDS
from callboard.config.nodes import MappingNode, Node, Problem, ScalarNode, SequenceNode, joined, locate, shown
from callboard.config.resolved import ClassRef, FunctionsRef, GuardRef, ToolRef

BUILTIN_TOOLS: Final = frozenset({"read_file", "list_files", "search_text", "recall"})

_FUNCTION: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_MODULE: Final = re.compile(rf"{_FUNCTION}(?:\.{_FUNCTION})*")
_MEMBER: Final = re.compile(rf"(?P<source>.+):(?P<name>{_FUNCTION})")


@dataclass(slots=True)
class References:
    """Reads the references of one file. ``is_file`` answers for a path; ``problems`` collects what is wrong."""

    root: Node
    base: Path
    builtins: frozenset[str]
    is_file: Callable[[Path], bool]
    problems: list[Problem] = field(default_factory=list[Problem])

    def tools(self, agent: str) -> tuple[ToolRef, ...]:
        """The tools of an agent."""
        found: list[ToolRef] = []
        for node, value, path in self._texts("agents", agent, "tools"):
            try:
                kind, name, source = self._tool(value)
            except ValueError as error:
                self.problems.append(Problem(node.place, path, f"got {shown(node)}: {error}"))
            else:
                found.append(ToolRef(node.written, kind, name, source, node.place, path))
        return tuple(found)

    def functions(self) -> tuple[FunctionsRef, ...]:
        """The modules with functions."""
        found: list[FunctionsRef] = []
        for node, value, path in self._texts("functions"):
            try:
                kind, source = self._source(value)
            except ValueError as error:
                self.problems.append(Problem(node.place, path, f"got {shown(node)}: {error}"))
            else:
                found.append(FunctionsRef(node.written, kind, source, node.place, path))
        return tuple(found)

    def guards(self, *level: str) -> tuple[GuardRef, ...]:
        """The guards of your own that stand at a level: ``()``, ``("tenants", name)`` or ``("agents", name)``."""
        spot = locate(self.root, (*level, "guards", "custom"))
        entries = spot.node.entries if isinstance(spot.node, MappingNode) else ()
        found: list[GuardRef] = []
        for entry in entries:
            path = joined(spot.path, entry.key)
            if entry.key in BUILTIN_GUARDS:
                self.problems.append(Problem(entry.place, path, f"{entry.key!r} is a guard of callboard: rename yours"))
            use = self._class(*level, "guards", "custom", entry.key, "use")
            found.append(GuardRef(level, entry.key, entry.place, path, use))
        return tuple(found)

    def output(self, agent: str) -> ClassRef | None:
        """The class that an agent's results are of, if it names one."""
        return self._class("agents", agent, "output")

    def _class(self, *path: str) -> ClassRef | None:
        spot = locate(self.root, path)
        if not isinstance(spot.node, ScalarNode) or not isinstance(spot.node.value, str):
            return None
        try:
            kind, name, source = self._member(spot.node.value, "Class")
        except ValueError as error:
            self.problems.append(Problem(spot.node.place, spot.path, f"got {shown(spot.node)}: {error}"))
            return None
        return ClassRef(spot.node.value, kind, name, source, spot.node.place, spot.path)

    def check_team(self, agent: str, agents: frozenset[str]) -> None:
        """Each member is an agent of this file, and one of them is not ``agent`` itself."""
        members: list[str] = []
        for node, value, path in self._texts("agents", agent, "team"):
            members.append(value)
            if value not in agents:
                message = f"got {shown(node)}: no agent of this file has this name"
                others = agents - {agent}
                self.problems.append(Problem(node.place, path, f"{message}{nearest(node.written, others)}"))
        if members and set(members) == {agent}:
            spot = locate(self.root, ("agents", agent, "team"))
            self.problems.append(Problem(spot.key, spot.path, "the agent would only delegate to itself: name others"))

    def _texts(self, *path: str) -> Iterator[tuple[ScalarNode, str, str]]:
        spot = locate(self.root, path)
        if not isinstance(spot.node, SequenceNode):
            return
        seen: set[str] = set()
        for at, node in enumerate(spot.node.items):
            if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
                continue
            if node.value in seen:
                self.problems.append(Problem(node.place, f"{spot.path}.{at}", f"got {shown(node)} twice: keep one"))
                continue
            seen.add(node.value)
            yield node, node.value, f"{spot.path}.{at}"

    def _tool(self, text: str) -> tuple[Literal["builtin", "file", "module"], str, str]:
        if ":" not in text:
            if text not in self.builtins:
                raise ValueError(
                    f"expected a built-in tool ({', '.join(sorted(self.builtins))}), "
                    "'file.py:function' or 'package.module:function'"
                )
            return "builtin", text, ""
        return self._member(text, "function")

    def _member(self, text: str, what: str) -> tuple[Literal["file", "module"], str, str]:
        match = _MEMBER.fullmatch(text)
        if match is None:
            raise ValueError(f"expected 'file.py:{what}' or 'package.module:{what}'")
        kind, source = self._source(match["source"])
        return kind, match["name"], source

    def _source(self, text: str) -> tuple[Literal["file", "module"], str]:
        if text.endswith(".py"):
            path = self.base / text
            if not self.is_file(path):
                raise ValueError("there is no such file (it is relative to this file)")
            return "file", str(path)
        if _MODULE.fullmatch(text) is None:
            raise ValueError("expected 'file.py' or 'package.module'")
        return "module", text


def agent_names(root: Node) -> tuple[str, ...]:
    """The names under ``agents``, as far as there are any."""
    return _keys(root, "agents")


def tenant_names(root: Node) -> tuple[str, ...]:
    """The names under ``tenants``, as far as there are any."""
    return _keys(root, "tenants")


def _keys(root: Node, part: str) -> tuple[str, ...]:
    node = locate(root, (part,)).node
    return tuple(entry.key for entry in node.entries) if isinstance(node, MappingNode) else ()
