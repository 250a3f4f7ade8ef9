"""Pure: settings of guards from several levels, field by field: an agent's win over its tenant's, these over all's."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from callboard.config.file_format import ConfigFile
from callboard.config.guards import FUNCTION_GUARDS, GuardSettings
from callboard.config.resolved import GuardLevels

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
