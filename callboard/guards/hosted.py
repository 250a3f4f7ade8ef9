"""Pure: which guards a process hosts: the sidecar, the gates in the worker and the back-test are handed the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from callboard.bus.guard_messages import Mode
from callboard.config.spec import AgentSpec
from callboard.guards.kit import Guard

Make: TypeAlias = Callable[[AgentSpec], tuple[Guard[Any], Mode] | None]
"""The guard as an agent's runs have it (its settings are in the spec) and its mode; None: they do not have it."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A guard by its name on the bus, and how to make it for the runs of an agent."""

    name: str
    make: Make
