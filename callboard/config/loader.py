"""Shell: reads a configuration file, and what it refers to, and reports everything that is wrong with it at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from callboard.clock import SystemClock
from callboard.config.chains import chain_of, chain_problems, model_paths, prefer_of, summary_of
from callboard.config.contradictions import contradictions
from callboard.config.expectations import problems_of
from callboard.config.file_format import ConfigFile, DefaultsEntry, ModelEntry
from callboard.config.interpolation import Interpolation
from callboard.config.levels import of_agent, of_functions, sources
from callboard.config.nodes import Node, Place, Problem, ScalarNode, locate, plain, report, shown
from callboard.config.outputs import output_problems
from callboard.config.providers import KEPT_FOR_LATER, choice_of, provider_configs, provider_problems, rate_limits_of
from callboard.config.published import published, published_context
from callboard.config.reading import Reading, is_file, read
from callboard.config.references import BUILTIN_TOOLS, References, agent_names, tenant_names
from callboard.config.resolved import AgentConfig, Config, GuardRef, ToolRef, innermost
from callboard.config.script import Script
from callboard.config.spec import Limits, ModelChoice
from callboard.config.yaml_text import parse
from callboard.errors import ConfigError

_IN_RUNS: Final = re.compile(
    r"agents\.[^.]+\.(system|description|output)\b|(agents\.[^.]+|defaults)\.(model|models\.\d+|context\.summary)\.(turns|settings)\b"
    r"|((agents|tenants)\.[^.]+\.)?guards\.custom\b"
)
_EVERYTHING: Final = re.compile("")


def load(path: Path, *, builtins: frozenset[str] = BUILTIN_TOOLS, env: Mapping[str, str] | None = None) -> Config:
    """The configuration in ``path``, complete and checked. Raises ``ConfigError`` with one line for each problem.

    ``builtins`` are the names of the built-in tools; ``env`` is the environment for ``${env:NAME}``.
    """
    loading = _Loading(Path(path), builtins, os.environ if env is None else env)
    config = loading.run()
    if config is None or loading.problems:
        raise ConfigError(report(loading.problems))
    return config


def load_script(path: Path, *, env: Mapping[str, str] | None = None) -> Script:
    """The script of a scripted model in ``path``. Raises ``ConfigError`` like ``load``."""
    loading = _Loading(Path(path), frozenset(), os.environ if env is None else env)
    root = loading.tree(loading.path, str(path), script=True)
    script = None if root is None else loading.validated_script(root)
    if script is None or loading.problems:
        raise ConfigError(report(loading.problems))
    return script


@dataclass(slots=True)
class _Loading:
    """One call of ``load``: the problems and secrets so far."""

    path: Path
    builtins: frozenset[str]
    env: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list[Problem])
    secrets: set[str] = field(default_factory=set[str])
    scripts: dict[str, Script | None] = field(default_factory=dict[str, Script | None])

    def run(self) -> Config | None:
        root = self.tree(self.path, str(self.path), script=False)
        if root is None:
            return None
        for node, where in _script_names(root):
            self._read_script(node, where)
        references = References(root, self.path.absolute().parent, self.builtins, is_file)
        file = self._validated(root)
        names = agent_names(root)
        tools = {name: references.tools(name) for name in names}
        functions = references.functions()
        for name in names:
            references.check_team(name, frozenset(names))
            references.output(name)
        guards = _guards(references, root)
        self.problems += references.problems
        if file is None:
            return None
        self._check_models(file, root)
        self.problems += provider_problems(file, root)
        self.problems += contradictions(file, root)
        self._check_guards(file, guards)
        self.problems += output_problems(file, root)
        if self.problems:
            return None
        agents = {name: self._agent(name, file, references, tools[name]) for name in names}
        return Config(
            path=self.path,
            agents=MappingProxyType(agents),
            files_root=self.path.absolute().parent / file.files.root,
            functions=functions,
            secrets=frozenset(self.secrets),
            function_guards=of_functions(file),
            guard_refs=guards,
            breaker=file.breaker,
            rate_limits=rate_limits_of(file),
            prices=MappingProxyType(file.prices),
            alerts=file.alerts,
            providers=provider_configs(file, root, self.env),
        )

    def tree(self, path: Path, name: str, *, script: bool) -> Node | None:
        """The tree of a file, interpolated; None if it has none. ``name`` is the one to show."""
        try:
            text = read(path)
        except UnicodeDecodeError as error:
            self.problems.append(_not_utf8(error, name))
            return None
        except ValueError as error:
            self.problems.append(Problem(Place(name, 1, 1), "", str(error)))
            return None
        root, problems = parse(text, name)
        self.problems += problems
        if root is None:
            return None
        in_runs = _EVERYTHING if script else _IN_RUNS
        interpolation = Interpolation(Reading(self.env, path.parent), in_runs, KEPT_FOR_LATER)
        tree = interpolation.apply(root)
        self.problems += interpolation.problems
        self.secrets |= interpolation.secrets
        return tree

    def validated_script(self, root: Node) -> Script | None:
        """The script in ``root``."""
        try:
            return Script.model_validate(plain(root))
        except ValidationError as error:
            self.problems += problems_of(error, root, Script)
            return None

    def _read_script(self, node: ScalarNode, where: str) -> None:
        reference = str(node.value)
        path = self.path.parent / reference
        if reference in self.scripts:
            return
        self.scripts[reference] = None
        if not is_file(path):
            message = f"got {shown(node)}: there is no such file (it is relative to this file)"
            self.problems.append(Problem(node.place, where, message))
            return
        root = self.tree(path, str(self.path.parent / node.written), script=True)
        self.scripts[reference] = None if root is None else self.validated_script(root)

    def _validated(self, root: Node) -> ConfigFile | None:
        try:
            return ConfigFile.model_validate(plain(root))
        except ValidationError as error:
            self.problems += problems_of(error, root, ConfigFile)
            return None

    def _check_models(self, file: ConfigFile, root: Node) -> None:
        if not file.agents and not file.functions:
            self.problems.append(Problem(root.place, "", "there is nothing to run: add 'agents' or 'functions'"))
        self.problems += chain_problems(file, root)

    def _check_guards(self, file: ConfigFile, guards: tuple[GuardRef, ...]) -> None:
        """Each guard that runs have is a class."""
        scopes = {name: of_agent(file, name) for name in file.agents}
        if file.functions:
            scopes[""] = of_functions(file)
        for agent, levels in scopes.items():
            for tenant, settings in (("", levels.general), *levels.tenants.items()):
                for name in (name for name, guard in settings.custom.items() if not guard.use):
                    ref = innermost(guards, name, agent=agent, tenant=tenant)
                    message = "missing: say which class it is, 'file.py:Class' or 'package.module:Class'"
                    self.problems.append(Problem(ref.place, f"{ref.path}.use", message))

    def _agent(self, name: str, file: ConfigFile, references: References, tools: tuple[ToolRef, ...]) -> AgentConfig:
        entry = file.agents[name]
        model, *others = chain_of(file, name)
        return AgentConfig(
            name=name,
            description=entry.description,
            model=self._choice(model, file),
            fallbacks=tuple(self._choice(each, file) for each in others),
            prefer=prefer_of(file, name),
            summary=None if (summary := summary_of(file, name)) is None else self._choice(summary, file),
            system=entry.system,
            output=references.output(name) if isinstance(entry.output, str) else entry.output,
            tools=tools,
            team=entry.team,
            limits=_merged(file.defaults, entry.limits),
            guards=of_agent(file, name),
            sources=sources(file, name),
            place=locate(references.root, ("agents", name)).key,
        )

    def _choice(self, entry: ModelEntry | str, file: ConfigFile) -> ModelChoice:
        if isinstance(entry, str) or entry.provider != "scripted":
            choice = choice_of(entry, file, None)
            today = SystemClock().now().date()
            price = choice.price or published(choice, on=today)
            window = (choice.context, choice.context_source) if choice.context else published_context(choice)
            return choice.model_copy(update={"price": price, "context": window[0], "context_source": window[1]})
        script = self.scripts.get(entry.script or "")
        if entry.turns is not None:
            script = Script(turns=entry.turns, loop=entry.loop)
        assert script is not None, "a script with problems ends the loading before"
        return choice_of(entry, file, script)


def _script_names(root: Node) -> Iterator[tuple[ScalarNode, str]]:
    for path in model_paths(agent_names(root)):
        spot = locate(root, (*path, "script"))
        if isinstance(spot.node, ScalarNode) and isinstance(spot.node.value, str):
            yield spot.node, spot.path


def _guards(references: References, root: Node) -> tuple[GuardRef, ...]:
    """The user's own guards at all levels, innermost first."""
    agents = [("agents", name) for name in agent_names(root)]
    tenants = [("tenants", name) for name in tenant_names(root)]
    return tuple(ref for level in (*agents, *tenants, ()) for ref in references.guards(*level))


def _merged(defaults: DefaultsEntry, own: Limits) -> Limits:
    """The agent's limits over those of ``defaults``."""
    return Limits.model_validate(
        {**defaults.limits.model_dump(exclude_unset=True), **own.model_dump(exclude_unset=True)}
    )


def _not_utf8(error: UnicodeDecodeError, name: str) -> Problem:
    before = error.object[: error.start]
    line = before.count(b"\n") + 1
    column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
    return Problem(Place(name, line, column), "", "the file is not UTF-8 here: save it as UTF-8")
