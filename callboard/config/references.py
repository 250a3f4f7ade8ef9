"""Pure: what in the file names something else: tools, modules with functions, team members.

Works on nodes, so that these checks run although other parts of the file are wrong, and know their places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from callboard.config.expectations import nearest
from callboard.config.nodes import MappingNode, Node, Problem, ScalarNode, SequenceNode, locate, shown
from callboard.config.resolved import FunctionsRef, ToolRef

BUILTIN_TOOLS: Final = frozenset({"read_file", "list_files", "search_text"})

_FUNCTION: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_MODULE: Final = re.compile(rf"{_FUNCTION}(?:\.{_FUNCTION})*")
_TOOL: Final = re.compile(rf"(?P<source>.+):(?P<name>{_FUNCTION})")


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
        match = _TOOL.fullmatch(text)
        if match is None:
            raise ValueError("expected 'file.py:function' or 'package.module:function'")
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
    agents = locate(root, ("agents",)).node
    return tuple(entry.key for entry in agents.entries) if isinstance(agents, MappingNode) else ()
