"""Pure: what the tools of a run are for, as its agent declares them. Undeclared tools count as writing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, cast

from pydantic import JsonValue

from callboard.bus.messages import Effect
from callboard.guards.loop.fingerprint import Kind

_READ: Final = 4_096


_SLEEPS: Final = frozenset({"sleep", "wait"})
_SLEEP: Final = re.compile(r"\bsleep[ (]+[\d$]")


def sleeps(name: str, arguments: JsonValue) -> bool:
    """Does the call wait, by itself or before it does something?"""
    if name in _SLEEPS:
        return True
    said = arguments.values() if isinstance(arguments, dict) else [arguments]
    return any(isinstance(each, str) and _SLEEP.search(each[:_READ]) for each in said)


def kinds_in(spec: JsonValue) -> Mapping[str, Kind]:
    """The kinds of the tools in the spec of ``run.created``, by name; whatever is no spec has none."""
    tools = spec.get("tools") if isinstance(spec, dict) else None
    found: dict[str, Kind] = {}
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and isinstance(name := tool.get("name"), str):
            found[name] = _kind(tool)
    return found


def kind_of(effect: Effect) -> Kind:
    """The kind of a tool of which only the effect is known."""
    return "read" if effect == "pure" else "write"


def _kind(tool: Mapping[str, JsonValue]) -> Kind:
    if tool.get("kind") == "spawn":
        return "delegate"
    return "poll" if tool.get("polls") is True else kind_of(cast("Effect", tool.get("effect")))
