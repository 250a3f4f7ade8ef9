"""Pure: a configuration after loading: complete, checked, with code still as references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from callboard.config.alerts import Alerts
from callboard.config.guards import Breaker, GuardSettings, Price, RateLimit
from callboard.config.nodes import Place
from callboard.config.providers import ProviderConfig
from callboard.config.spec import Limits, ModelChoice, Prefer


class _Placed:
    """What stands somewhere in the file."""

    __slots__ = ()
    place: Place
    path: str

    @property
    def at(self) -> str:
        """The start of an error message about it."""
        return f"{self.place}: {self.path}"


@dataclass(frozen=True, slots=True)
class ToolRef(_Placed):
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


@dataclass(frozen=True, slots=True)
class FunctionsRef(_Placed):
    """A module with ``@worker`` functions. ``source`` is the absolute path of the file or the dotted name."""

    text: str
    kind: Literal["file", "module"]
    source: str
    place: Place
    path: str


@dataclass(frozen=True, slots=True)
class ClassRef(_Placed):
    """A class as the file names it. ``name`` is the class's, ``source`` as that of ``ToolRef``."""

    text: str
    kind: Literal["file", "module"]
    name: str
    source: str
    place: Place
    path: str


@dataclass(frozen=True, slots=True)
class GuardRef(_Placed):
    """A guard of the user's as it stands at one level: ``()``, ``("tenants", name)`` or ``("agents", name)``.

    ``use`` is None if another level says which class it is.
    """

    level: tuple[str, ...]
    name: str
    place: Place
    path: str
    use: ClassRef | None


def innermost(refs: Iterable[GuardRef], name: str, *, agent: str, tenant: str) -> GuardRef:
    """Of ``refs``, innermost first, the one that counts for an agent (``""``: functions) and a tenant (``""``: any)."""
    levels = (("agents", agent), ("tenants", tenant), ())
    return next(ref for ref in refs if ref.name == name and ref.level in levels)


@dataclass(frozen=True, slots=True)
class GuardLevels:
    """What holds without and with a tenant's own settings: for one agent, or for functions."""

    general: GuardSettings
    tenants: Mapping[str, GuardSettings] = field(default_factory=dict[str, GuardSettings])


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """An agent. ``model`` is complete: a script's turns are in its settings. May hold secrets, so repr is short.

    ``sources`` says which levels stated a setting, by its path; what is not in it is a default.
    """

    name: str
    description: str = field(repr=False)
    model: ModelChoice = field(repr=False)
    fallbacks: tuple[ModelChoice, ...] = field(repr=False)
    prefer: Prefer
    summary: ModelChoice | None = field(repr=False)
    system: str = field(repr=False)
    output: ClassRef | dict[str, JsonValue] | None = field(repr=False)
    tools: tuple[ToolRef, ...] = field(repr=False)
    team: tuple[str, ...]
    limits: Limits
    guards: GuardLevels
    sources: Mapping[str, tuple[str, ...]]
    place: Place

    @property
    def models(self) -> tuple[ModelChoice, ...]:
        """All that may be asked, the first one first."""
        return (self.model, *self.fallbacks, *(() if self.summary is None else (self.summary,)))


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration file. ``secrets`` are the values of its interpolations, for the redactor of the logs.

    ``function_guards`` are the guards of its functions; ``guard_refs`` the guards of the user's, innermost level first.
    """

    path: Path
    agents: Mapping[str, AgentConfig]
    files_root: Path
    functions: tuple[FunctionsRef, ...]
    secrets: frozenset[str] = field(repr=False)
    function_guards: GuardLevels
    guard_refs: tuple[GuardRef, ...]
    breaker: Breaker
    rate_limits: Mapping[str, RateLimit]
    prices: Mapping[str, Price]
    alerts: Alerts = field(repr=False)
    providers: Mapping[str, ProviderConfig]
