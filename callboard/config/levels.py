"""Pure: settings of guards from several levels, field by field: an agent's win over its tenant's, these over all's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from callboard.config.file_format import ConfigFile
from callboard.config.guards import FUNCTION_GUARDS, GuardSettings
from callboard.config.resolved import GuardLevels
from callboard.config.spec import Limits

_Stated: TypeAlias = dict[str, Any]
_NOTHING: Final = GuardSettings()


def merged(*levels: GuardSettings) -> GuardSettings:
    """What holds: of each field the value of the last level that states it, else the default, which is on.

    Guards of your own are merged by their names, their settings included; a list is one value.
    """
    stated: _Stated = {}
    for level in levels:
        stated = _over(stated, level.model_dump(exclude_unset=True))
    return GuardSettings.model_validate(stated)


def of_agent(file: ConfigFile, agent: str) -> GuardLevels:
    """What holds for the runs of an agent."""
    return _levels(file, _NOTHING, file.agents[agent].guards)


def of_functions(file: ConfigFile) -> GuardLevels:
    """What holds for the runs of ``@worker`` functions: the caps of a run only if somebody stated them."""
    return _levels(file, FUNCTION_GUARDS, _NOTHING)


def sources(file: ConfigFile, agent: str) -> Mapping[str, tuple[str, ...]]:
    """The levels that count for each setting of an agent that is no default, by its path.

    ``agent`` counts for all its runs; else ``deployment``, and ``tenant <name>`` for the runs of that tenant.
    """
    entry = file.agents[agent]
    found = dict.fromkeys((*_limits(file.defaults.limits), *_guards(file.guards)), ("deployment",))
    for name, tenant in file.tenants.items():
        found |= {path: (*found.get(path, ()), f"tenant {name}") for path in _guards(tenant.guards)}
    return found | dict.fromkeys((*_limits(entry.limits), *_guards(entry.guards)), ("agent",))


def _limits(stated: Limits) -> Iterator[str]:
    return _leaves(stated.model_dump(exclude_unset=True), "limits")


def _guards(stated: GuardSettings) -> Iterator[str]:
    return _leaves(stated.model_dump(exclude_unset=True, by_alias=True), "guards")


def _leaves(stated: _Stated, path: str) -> Iterator[str]:
    for name, value in stated.items():
        if isinstance(value, dict) and value:
            yield from _leaves(cast("_Stated", value), f"{path}.{name}")
        else:
            yield f"{path}.{name}"


def _levels(file: ConfigFile, below: GuardSettings, own: GuardSettings) -> GuardLevels:
    tenants = {name: merged(below, file.guards, entry.guards, own) for name, entry in file.tenants.items()}
    return GuardLevels(merged(below, file.guards, own), MappingProxyType(tenants))


def _over(below: _Stated, above: _Stated) -> _Stated:
    both = dict(below)
    for name, value in above.items():
        under = both.get(name)
        inner = isinstance(under, dict) and isinstance(value, dict)
        both[name] = _over(cast("_Stated", under), cast("_Stated", value)) if inner else value
    return both
