"""Shell: the names that callboard offers. Each is imported on first use: ``import callboard`` costs next to nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from callboard.actors.function import worker
    from callboard.actors.receipt import Receipt
    from callboard.actors.run_context import RunContext
    from callboard.app.agent import Agent
    from callboard.app.board import Board, Run, connect
    from callboard.config.spec import AgentSpec
    from callboard.errors import (
        BusError,
        CallboardError,
        ConfigError,
        ModelError,
        QueueFull,
        RunFailed,
        RunKilled,
        StepInDoubt,
        ToolError,
    )
    from callboard.tools.tool import ToolContext, tool

__all__ = (
    "Agent",
    "AgentSpec",
    "Board",
    "BusError",
    "CallboardError",
    "ConfigError",
    "ModelError",
    "QueueFull",
    "Receipt",
    "Run",
    "RunContext",
    "RunFailed",
    "RunKilled",
    "StepInDoubt",
    "ToolContext",
    "ToolError",
    "connect",
    "tool",
    "worker",
)

_HOMES: Final = {
    "callboard.actors.function": ("worker",),
    "callboard.actors.receipt": ("Receipt",),
    "callboard.actors.run_context": ("RunContext",),
    "callboard.app.agent": ("Agent",),
    "callboard.app.board": ("Board", "Run", "connect"),
    "callboard.config.spec": ("AgentSpec",),
    "callboard.errors": (
        "BusError",
        "CallboardError",
        "ConfigError",
        "ModelError",
        "QueueFull",
        "RunFailed",
        "RunKilled",
        "StepInDoubt",
        "ToolError",
    ),
    "callboard.tools.tool": ("ToolContext", "tool"),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'callboard' has no attribute {name!r}: the public names are in callboard.__all__")
    value: object = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *(name for name in __all__ if name not in globals())]
