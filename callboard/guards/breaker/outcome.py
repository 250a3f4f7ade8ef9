"""Pure: what the end of a call says about the health of what was called. Most ends say nothing."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from callboard.actors.gate import Ask, Ending

Outcome: TypeAlias = Literal["good", "slow", "failed", "answered", "nothing"]
"""``answered``: it is there, and said no for reasons that are not its health. ``nothing``: nobody can tell."""

_MODEL_FAILS: Final = frozenset({"model_overload", "model_network", "model_truncated", "timeout", "first_token"})
_TOOL_FAILS: Final = frozenset({"timeout", "tool_crashed"})
_TOOL_NEVER_RAN: Final = frozenset({"bad_arguments", "unknown_tool", "tool_unavailable"})
_NEARLY: Final = 0.98


def outcome(ask: Ask, ending: Ending, *, slow_after: float) -> Outcome:
    """Of a model call or a tool call. Only model calls are ever ``slow``: how long a tool works is its own affair."""
    if ending.how in ("unstarted", "cancelled"):
        return "nothing"
    model = ask.kind == "model"
    if not ending.error:
        return "slow" if model and ending.seconds > slow_after else "good"
    if ending.error in (_MODEL_FAILS if model else _TOOL_FAILS):
        return "nothing" if _cut_short(ask, ending) else "failed"
    return "nothing" if not model and ending.error in _TOOL_NEVER_RAN else "answered"


def last_but_one(ask: Ask) -> bool:
    """Of a model call: does only one attempt remain, and then its run is lost?"""
    if ask.kind != "model":
        return False
    denied, known = ask.state.denied, ask.state.calls.get(ask.call)
    if denied is not None and denied.retry_at is not None:
        tried = 1
    else:
        tried = ask.attempt - (0 if known is None else known.forgiven)
    return tried == ask.spec.limits.model_attempts - 1


def _cut_short(ask: Ask, ending: Ending) -> bool:
    """Did the run's deadline leave it less time than its own timeout, and did it use all of that?"""
    limits = ask.spec.limits
    if ask.request is not None:
        given = ask.request.timeout
        return given < limits.model_timeout and ending.seconds >= given * _NEARLY
    tool = ask.spec.tool(ask.name)
    usual = limits.tool_timeout if tool is None or tool.timeout is None else tool.timeout
    return ending.error == "timeout" and ending.seconds < usual * _NEARLY
