"""Pure: settings of a guard that somebody wants to try: ``threshold=3``, ``run.usd=0.5``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, TypeVar, cast

from pydantic import JsonValue, ValidationError

from callboard.config.base import Strict
from callboard.config.expectations import nearest
from callboard.config.spec import AgentSpec
from callboard.errors import ConfigError

Settings = dict[str, JsonValue]
_S = TypeVar("_S", bound=Strict)
BUILTIN: Final = ("budget", "cache", "loop", "stuck")
"""Guards with a field of their own in the settings."""


def parsed(pairs: Sequence[str]) -> Settings:
    """Each ``key=value``, nested at the dots of its key; a value that is no JSON is text. Raises ``ConfigError``."""
    found: Settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        path = key.split(".")
        if not equals or not all(path):
            raise ConfigError(f"--set is {pair!r}: give key=value, e.g. --set threshold=3")
        here = found
        for part in path[:-1]:
            inner = here.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"--set {pair!r}: {part!r} has the value {inner!r} already")
            here = inner
        here[path[-1]] = _value(text)
    return found


def with_settings(spec: AgentSpec, guard: str, given: Settings) -> AgentSpec:
    """``spec`` with other settings for one of its guards. Raises ``ConfigError``."""
    if not given:
        return spec
    guards = spec.guards
    custom = guards.custom.get(guard)
    if guard in BUILTIN:
        guards = guards.model_copy(update={guard: _changed(cast("Strict", getattr(guards, guard)), given)})
    elif custom is not None:
        changed = custom.model_copy(update={"settings": _over(custom.settings, given)})
        guards = guards.model_copy(update={"custom": {**guards.custom, guard: changed}})
    return spec.model_copy(update={"guards": guards})


def _changed(settings: _S, given: Settings) -> _S:
    try:
        return type(settings).model_validate(_over(settings.model_dump(by_alias=True), given))
    except ValidationError as error:
        raise ConfigError("\n".join(_told(each, type(settings)) for each in error.errors(include_url=False))) from error


def _told(error: Any, model: type[Strict]) -> str:
    path = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in model.model_fields.items()] if "." not in path else []
        return f"--set {path}: there is no such setting{nearest(path, known)}"
    return f"--set {path}={error['input']!r}: {error['msg'].removeprefix('Value error, ')}"


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for name, value in above.items():
        under = both.get(name)
        nested = isinstance(under, dict) and isinstance(value, dict)
        both[name] = _over(cast("dict[str, Any]", under), cast("dict[str, Any]", value)) if nested else value
    return both


def _value(text: str) -> JsonValue:
    try:
        return cast("JsonValue", json.loads(text))
    except (ValueError, RecursionError):
        return text
