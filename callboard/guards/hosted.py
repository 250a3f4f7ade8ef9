"""Pure: which guards a process hosts: the sidecar, the gates in the worker and the back-test are handed the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from callboard.bus.guard_words import Missing, Mode
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec
from callboard.guards.kit import Guard

_NAME: Final = 64
Make: TypeAlias = Callable[[AgentSpec], tuple[Guard[Any], Mode] | None]
"""The guard as an agent's runs have it (its settings are in the spec) and its mode; None: they do not have it."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """A guard by its name on the bus, and how to make it for an agent's runs. ``missing`` is what its pulse says."""

    name: str
    make: Make
    missing: Missing = "open"


def missing_of(spec: AgentSpec, name: str, guard: Guard[Any]) -> Missing:
    """What happens to the runs of ``spec`` when nobody runs ``guard``: what is configured, else what its class says."""
    match name:
        case "budget":
            return spec.guards.budget.missing
        case "loop":
            return spec.guards.loop.missing
        case "stuck":
            return spec.guards.stuck.missing
        case _:
            custom = spec.guards.custom.get(name)
            return guard.missing if custom is None or custom.missing is None else custom.missing


def pause_name(guard: str) -> str:
    """What the pauses of a guard are called: ``callboard resume`` and ``run.resumed`` name them."""
    return f"guard-{guard}"[:_NAME]


def by(guard: str) -> str:
    """Who signed what a guard appends."""
    return f"guard:{guard}"


def kill_id(guard: str, run: RunKey) -> str:
    """The id of the record by which a gate ends a run: asked again before the kill is noticed, it kills only once."""
    return f"k{hashlib.sha256(f'{run}/{guard}'.encode()).hexdigest()[:39]}"
