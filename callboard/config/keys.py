"""Shell: the providers of a configuration with their keys. Only who calls models looks them up, and only in memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

from callboard.config.interpolation import NOWHERE, Interpolation
from callboard.config.nodes import Problem, ScalarNode, report
from callboard.config.providers import Provider, ProviderConfig, Providers, entry_of
from callboard.config.reading import Reading
from callboard.config.resolved import AgentConfig, Config
from callboard.errors import ConfigError

_SECRET_NAME: Final = re.compile(r"(?i)key|token|secret|passw|credential")
_SENDABLE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")
_SECRET_SIZE: Final = 8
"""Characters; what is shorter is in many texts."""


def open_providers(config: Config, *, env: Mapping[str, str] | None = None) -> Providers:
    """All providers whose secrets can be had; ``absent`` says what is wrong with those that agents may do without.

    Raises ``ConfigError`` if the first model of an agent, or who sums up for it, cannot be asked.
    """
    providers, missing = look_up(config, env=env)
    needed = {entry_of(each) for agent in config.agents.values() for each in (agent.model, agent.summary) if each}
    if fatal := [each for name in missing.keys() & needed for each in missing[name]]:
        raise ConfigError(report(fatal))
    return replace(providers, absent=MappingProxyType({name: report(wrong) for name, wrong in missing.items()}))


def look_up(
    config: Config, *, env: Mapping[str, str] | None = None
) -> tuple[Providers, Mapping[str, tuple[Problem, ...]]]:
    """The same, with what is wrong with those that agents need, by the names of the entries."""
    reading = Reading(os.environ if env is None else env, config.path.absolute().parent)
    found: dict[str, Provider] = {}
    secrets: set[str] = set()
    missing: dict[str, tuple[Problem, ...]] = {}
    for name, provider in config.providers.items():
        looking = Interpolation(partial(_look_up, reading), NOWHERE)
        opened = _opened(provider, looking)
        agents = [each for each in config.agents.values() if name in map(entry_of, each.models)]
        if not looking.problems:
            found[name] = opened
            secrets |= looking.secrets
        elif agents:
            missing[name] = tuple(_missing(provider, looking.problems, agents))
    return Providers(MappingProxyType(found), frozenset(secrets)), missing


def known_secrets(config: Config, *, env: Mapping[str, str] | None = None) -> frozenset[str]:
    """What nobody may see: the secrets of the file, those of its providers, and variables that are named like one."""
    here = os.environ if env is None else env
    named = (value for name, value in here.items() if _SECRET_NAME.search(name) and len(value) >= _SECRET_SIZE)
    return config.secrets | look_up(config, env=here)[0].secrets | frozenset(named)


def _look_up(reading: Reading, kind: str, name: str) -> str:
    if kind == "env" and name not in reading.env:
        raise ValueError("the environment of this process has no such variable: set it")
    found = reading(kind, name)
    if found and not _SENDABLE.fullmatch(found):  # what fails to be sent is quoted by those who fail
        raise ValueError("its value cannot be sent: take out line ends, blanks around it, and what is no ASCII")
    return found


def _opened(provider: ProviderConfig, looking: Interpolation) -> Provider:
    def value(text: str, path: str) -> str:
        node = looking.apply(ScalarNode(provider.place, text, text), path)
        assert isinstance(node, ScalarNode)
        return str(node.value)

    api_key = value(provider.api_key, f"{provider.path}.api_key")
    headers = {name: value(text, f"{provider.path}.headers.{name}") for name, text in provider.headers.items()}
    return Provider(provider.kind, api_key, provider.base_url, MappingProxyType(headers), provider.stall_timeout)


def _missing(provider: ProviderConfig, problems: Sequence[Problem], agents: Sequence[AgentConfig]) -> Iterator[Problem]:
    """Where it is stated, or, for a key from the usual variable, where the first agent is that needs it."""
    needed = f"agent {agents[0].name!r} needs it" if len(agents) == 1 else f"{len(agents)} agents need it"
    for each in problems:
        if provider.stated:
            yield Problem(each.place, each.path, f"{each.message} ({needed})")
        else:
            other = f"or say where its key is, under 'providers: {{{provider.name}: {{api_key: …}}}}'"
            path = f"agents.{agents[0].name}.{'models' if agents[0].fallbacks else 'model'}"
            yield Problem(agents[0].place, path, f"{each.message}, {other} ({needed})")
