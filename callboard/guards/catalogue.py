"""Pure: the guards that callboard has, as a process hosts them: made from the settings that a run keeps."""

from __future__ import annotations

from typing import Any, Final

from callboard.bus.guard_words import Mode
from callboard.config.spec import AgentSpec
from callboard.guards.budget.audit import BudgetGuard
from callboard.guards.cache.guard import CacheGuard
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Guard
from callboard.guards.limits import LimitsGuard
from callboard.guards.loop.guard import LoopGuard
from callboard.guards.stuck import StuckGuard


def _loop(spec: AgentSpec) -> tuple[Guard[Any], Mode] | None:
    if spec.kind == "function":
        return None  # its loops are its author's
    return LoopGuard(spec.guards.loop), spec.guards.loop.mode


def _budget(spec: AgentSpec) -> tuple[Guard[Any], Mode]:
    return BudgetGuard(spec.guards.budget), spec.guards.budget.mode


def _stuck(spec: AgentSpec) -> tuple[Guard[Any], Mode]:
    return StuckGuard(spec.guards.stuck, spec), spec.guards.stuck.mode


def _cache(spec: AgentSpec) -> tuple[Guard[Any], Mode] | None:
    if all(choice.provider == "scripted" for choice in spec.models):
        return None  # a script has no prompt cache
    return CacheGuard(spec.guards.cache, spec), spec.guards.cache.mode


def _limits(_: AgentSpec) -> tuple[Guard[Any], Mode]:
    return LimitsGuard(), "enforce"


BUILTIN: Final = (
    Hosted("budget", _budget),
    Hosted("loop", _loop),
    Hosted("stuck", _stuck),
    Hosted("limits", _limits),
    Hosted("cache", _cache),
)
