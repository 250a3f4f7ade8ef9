"""Shell: from a configuration to code: tools are imported, functions collected, agents with a team get ``delegate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from callboard.actors.code import AgentCode, WorkerFunction
from callboard.app.guards import own_guards
from callboard.app.outputs import output_of
from callboard.config.resolved import AgentConfig, Config, FunctionsRef, GuardLevels, ToolRef
from callboard.config.spec import AgentSpec
from callboard.errors import ConfigError
from callboard.supervisors.team import DELEGATE, equip
from callboard.tools.files import file_tools
from callboard.tools.recall import recall
from callboard.tools.registry import Registry, load_module
from callboard.tools.tool import AnyTool


def load_agents(config: Config) -> Mapping[str, AgentCode]:
    """Everything that the file has to run, by name. Raises ``ConfigError`` with the place in the file."""
    guards = own_guards(config)
    descriptions = {name: agent.description for name, agent in config.agents.items()}
    found = {
        name: _agent(agent, config, descriptions, guards=guards.agents[name]) for name, agent in config.agents.items()
    }
    for reference in config.functions:
        for function in _functions(reference):
            name = function.spec.name
            if name in found:
                raise ConfigError(
                    f"{reference.at}: it has @worker({name!r}), and {name!r} is there already: rename one"
                )
            spec = function.spec.model_copy(update={"guards": guards.functions.general})
            found[name] = AgentCode(spec, function=function, tenants=_of_tenants(spec, guards.functions))
    return MappingProxyType(found)


def _agent(agent: AgentConfig, config: Config, descriptions: Mapping[str, str], *, guards: GuardLevels) -> AgentCode:
    tools: dict[str, AnyTool] = {}
    for reference in agent.tools:
        tool = _tool(reference, config)
        name = tool.spec.name
        if name in tools or (name == DELEGATE and agent.team):
            raise ConfigError(f"{reference.at}: the agent has a tool {name!r} already: rename one with @tool(name=…)")
        tools[name] = tool
    schema, output = output_of(agent.output)
    spec = AgentSpec(
        name=agent.name,
        description=agent.description,
        model=agent.model,
        fallbacks=agent.fallbacks,
        prefer=agent.prefer,
        summary=agent.summary,
        system=agent.system,
        output=schema,
        tools=tuple(tool.spec for tool in tools.values()),
        team=agent.team,
        limits=agent.limits,
        guards=guards.general,
    )
    spec = equip(spec, descriptions)
    return AgentCode(spec, MappingProxyType(tools), tenants=_of_tenants(spec, guards), output=output)


def _of_tenants(spec: AgentSpec, guards: GuardLevels) -> Mapping[str, AgentSpec]:
    """The specs of those tenants for whom something else holds."""
    return {
        tenant: spec.model_copy(update={"guards": settings})
        for tenant, settings in guards.tenants.items()
        if settings != spec.guards
    }


def _tool(reference: ToolRef, config: Config) -> AnyTool:
    builtin = reference.kind == "builtin"
    named = reference.name if builtin else f"{reference.source}:{reference.name}"
    try:
        registry = Registry((*file_tools(config.files_root), recall) if builtin else ())
        (tool,) = registry.resolve((named,), Path()).values()
    except ConfigError as error:
        raise ConfigError(f"{reference.at}: {error}") from error
    return tool


def _functions(reference: FunctionsRef) -> tuple[WorkerFunction, ...]:
    try:
        module = load_module(reference.source, f"module {reference.text!r}")
    except ConfigError as error:
        raise ConfigError(f"{reference.at}: {error}") from error
    by_identity = {id(value): value for value in vars(module).values() if isinstance(value, WorkerFunction)}
    found = tuple(by_identity.values())  # one function may have two names in its module
    if not found:
        raise ConfigError(f"{reference.at}: {reference.text!r} has no @worker functions: decorate one, or remove it")
    return found
