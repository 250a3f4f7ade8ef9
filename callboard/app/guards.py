"""Shell: from a configuration to guards: the user's classes are imported; what a process hosts is put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Final, TypeAlias, TypeGuard, get_args

from callboard.bus.guard_words import Missing, Mode
from callboard.config.alerts import Alerts
from callboard.config.expectations import nearest
from callboard.config.guards import Breaker, CustomGuard, GuardSettings, RateLimit
from callboard.config.resolved import ClassRef, Config, GuardLevels, GuardRef, innermost
from callboard.config.spec import AgentSpec
from callboard.errors import ConfigError
from callboard.guards.catalogue import BUILTIN
from callboard.guards.hosted import Hosted, missing_of
from callboard.guards.kit import Guard
from callboard.tools.registry import load_module

AnyGuard: TypeAlias = Guard[Any]
_WAITS: Final = (iscoroutinefunction, isasyncgenfunction, isgeneratorfunction)


@dataclass(frozen=True, slots=True)
class OwnGuards:
    """The user's guards of a configuration: their classes by what the file calls them, and what runs have of them.

    ``agents`` is complete (each guard says whether runs wait for it) and checked (each can be made); ``functions`` too.
    """

    classes: Mapping[str, type[AnyGuard]]
    agents: Mapping[str, GuardLevels]
    functions: GuardLevels

    def scopes(self) -> Iterator[GuardSettings]:
        """All settings that runs may have."""
        for levels in (*self.agents.values(), self.functions):
            yield levels.general
            yield from levels.tenants.values()


@dataclass(frozen=True, slots=True)
class Guarding:
    """What guards the processes of a deployment: without a configuration, what is on by default."""

    hosted: tuple[Hosted, ...] = BUILTIN
    breaker: Breaker = Breaker()
    rate_limits: Mapping[str, RateLimit] = field(default_factory=dict[str, RateLimit])
    alerts: Alerts = field(default=Alerts(), repr=False)

    def only(self, names: Sequence[str]) -> Guarding:
        """The same with no other guards than ``names``. Raises ``ConfigError``."""
        known = {each.name: each for each in self.hosted}
        for name in names:
            if name not in known:
                raise ConfigError(f"there is no guard {name!r}{nearest(name, known)}")
        return replace(self, hosted=tuple(each for each in self.hosted if each.name in names))


def guards_of(guarding: Guarding, specs: Iterable[AgentSpec]) -> Mapping[str, Missing]:
    """The guards that runs of ``specs`` have, and what becomes of the runs without them: ``closed`` if some wait."""
    found: dict[str, Missing] = {}
    for spec in specs:
        for each in guarding.hosted:
            made = each.make(spec)
            if made is not None and found.get(each.name) != "closed":
                found[each.name] = missing_of(spec, each.name, made[0])
    return found


def guarding_of(config: Config) -> Guarding:
    """What guards the processes of ``config``. Raises ``ConfigError`` like ``own_guards``."""
    hosted = (*BUILTIN, *hosted_guards(own_guards(config)))
    return Guarding(hosted, config.breaker, config.rate_limits, config.alerts)


def own_guards(config: Config) -> OwnGuards:
    """Import the user's guards and try to make each of them. Raises ``ConfigError`` with the place in the file."""
    used = {ref.use.text: ref.use for ref in config.guard_refs if ref.use is not None}
    classes = {text: _class(use) for text, use in used.items()}

    def checked(levels: GuardLevels, agent: str) -> GuardLevels:
        def of(settings: GuardSettings, tenant: str) -> GuardSettings:
            custom = {
                name: _complete(classes, guard, innermost(config.guard_refs, name, agent=agent, tenant=tenant))
                for name, guard in settings.custom.items()
            }
            return settings.model_copy(update={"custom": custom}) if custom else settings

        tenants = {tenant: of(settings, tenant) for tenant, settings in levels.tenants.items()}
        return GuardLevels(of(levels.general, ""), tenants)

    agents = {name: checked(agent.guards, name) for name, agent in config.agents.items()}
    functions = checked(config.function_guards, "") if config.functions else GuardLevels(GuardSettings())
    return OwnGuards(classes, agents, functions)


def hosted_guards(own: OwnGuards) -> tuple[Hosted, ...]:
    """The user's guards, as processes host them."""
    names = sorted({name for settings in own.scopes() for name in settings.custom})
    return tuple(_hosted(name, own) for name in names)


def _hosted(name: str, own: OwnGuards) -> Hosted:
    def make(spec: AgentSpec) -> tuple[AnyGuard, Mode] | None:
        guard = spec.guards.custom.get(name)
        if guard is None:
            return None
        if guard.use not in own.classes:
            raise ConfigError(f"the run has {guard.use!r} as its guard {name!r}, which the configuration here has not")
        return own.classes[guard.use](**guard.settings), guard.mode

    closed = any(settings.custom[name].missing == "closed" for settings in own.scopes() if name in settings.custom)
    return Hosted(name, make, missing="closed" if closed else "open")


def _complete(classes: Mapping[str, type[AnyGuard]], guard: CustomGuard, ref: GuardRef) -> CustomGuard:
    try:
        made = classes[guard.use](**guard.settings)
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in guard.settings.items())
        raise ConfigError(f"{ref.at}: {guard.use}({given}) raises {type(error).__name__}: {error}") from error
    if flaw := _flaw(made):
        raise ConfigError(f"{ref.at}: {guard.use}: {flaw}")
    return guard if guard.missing is not None else guard.model_copy(update={"missing": made.missing})


def _flaw(made: AnyGuard) -> str:
    """Why it would be a guard that judges nothing; empty: it is none that is known."""
    missing: object = made.missing
    if missing not in get_args(Missing):
        return f"its missing is {missing!r}: it is one of {', '.join(map(repr, get_args(Missing)))}"
    for name in ("start", "observe", "tick", "wakes"):
        if any(waits(getattr(made, name)) for waits in _WAITS):
            return f"its {name} is async, or yields: write 'def {name}', and return the answer"
    return ""


def guard_class(source: str, name: str, text: str) -> type[AnyGuard]:
    """The guard ``name`` of a file or module; ``text`` is what somebody wrote. Raises ``ConfigError``."""
    module = load_module(source, f"guard {text!r}")
    found: object = getattr(module, name, None)
    if _is_guard(found):
        return found
    message = f"{text!r} is no guard: name a subclass of callboard.guards.kit.Guard"
    here = [each for each in vars(module).values() if _is_guard(each) and each.__module__ == module.__name__]
    known = ", ".join(sorted(each.__name__ for each in here))
    raise ConfigError(f"{message} (there are: {known})" if known else message)


def _class(use: ClassRef) -> type[AnyGuard]:
    try:
        return guard_class(use.source, use.name, use.text)
    except ConfigError as error:
        raise ConfigError(f"{use.at}: {error}") from error


def _is_guard(value: object) -> TypeGuard[type[AnyGuard]]:
    return isinstance(value, type) and issubclass(value, Guard)
