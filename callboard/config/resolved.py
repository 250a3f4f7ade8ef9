"""Pure: a configuration after loading: complete, checked, with code still as references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from callboard.config.nodes import Place
from callboard.config.spec import Limits, ModelChoice


@dataclass(frozen=True, slots=True)
class ToolRef:
    """A tool as the file names it. ``text`` and ``at`` (``file:line:column: path``) are for error messages.

    ``name`` is the built-in's name or the function's; ``source`` is the absolute path of the file, the dotted name
    of the module, or ``""``.
    """

    text: str
    kind: Literal["builtin", "file", "module"]
    name: str
    source: str
    place: Place
    path: str

    @property
    def at(self) -> str:
        """The start of an error message about it."""
        return f"{self.place}: {self.path}"


@dataclass(frozen=True, slots=True)
class FunctionsRef:
    """A module with ``@worker`` functions. ``source`` is the absolute path of the file or the dotted name."""

    text: str
    kind: Literal["file", "module"]
    source: str
    place: Place
    path: str

    @property
    def at(self) -> str:
        """The start of an error message about it."""
        return f"{self.place}: {self.path}"


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """An agent. ``model`` is complete: a script's turns are in its settings. May hold secrets, so repr is short."""

    name: str
    description: str = field(repr=False)
    model: ModelChoice = field(repr=False)
    system: str = field(repr=False)
    tools: tuple[ToolRef, ...] = field(repr=False)
    team: tuple[str, ...]
    limits: Limits
    place: Place


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration file. ``secrets`` are the values of its interpolations, for the redactor of the logs."""

    path: Path
    agents: Mapping[str, AgentConfig]
    files_root: Path
    functions: tuple[FunctionsRef, ...]
    secrets: frozenset[str] = field(repr=False)
