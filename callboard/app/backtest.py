"""Shell: a guard over the recorded runs of a deployment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from callboard.app.guards import OwnGuards, guard_class, hosted_guards, own_guards
from callboard.bus.bus import Bus
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.config.expectations import nearest
from callboard.config.resolved import Config
from callboard.config.spec import AgentSpec
from callboard.errors import ConfigError
from callboard.guards.backtest import Report, Trial, judge
from callboard.guards.budget.audit import BudgetGuard
from callboard.guards.catalogue import BUILTIN
from callboard.guards.hosted import Hosted
from callboard.guards.journal_text import journals_in
from callboard.guards.overrides import Settings, with_settings
from callboard.guards.recordings import recordings

_BUDGET: Final = Hosted(
    "budget", lambda spec: (BudgetGuard(spec.guards.budget, role="instead"), spec.guards.budget.mode)
)
"""As it would decide in the worker: with other caps than the gate had that was asked when the run was recorded."""


@dataclass(frozen=True, slots=True)
class Period:
    """Which runs: those in which something happened between the instants, of a tenant, of an agent."""

    since: datetime
    until: datetime
    tenant: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A guard to try, with other settings. Agents that ``own`` knows have it as it says, others as they had it."""

    name: str
    settings: Settings
    own: OwnGuards | None
    hosted: Hosted

    def respec(self, key: RunKey, spec: AgentSpec) -> AgentSpec:
        """The agent of a run as the guard is to know it."""
        levels = None if self.own is None else self.own.agents.get(spec.name)
        if levels is not None:
            spec = spec.model_copy(update={"guards": levels.tenants.get(key.tenant, levels.general)})
        return with_settings(spec, self.name, self.settings)


def candidate(name: str, settings: Settings, config: Config | None) -> Candidate:
    """The guard of that name, or in that file. Raises ``ConfigError``."""
    if ":" in name:
        return Candidate(name, {}, None, _of_class(name, settings))
    own = None if config is None else own_guards(config)
    known = {each.name: each for each in (*BUILTIN, _BUDGET, *(() if own is None else hosted_guards(own)))}
    if name not in known:
        raise ConfigError(
            f"there is no guard {name!r} to try{nearest(name, known).rstrip('?')}. "
            "One of your own is 'file.py:Class', or stands in the configuration that you name"
        )
    found = Candidate(name, settings, own, known[name])
    found.respec(RunKey("none", "none"), AgentSpec(name="none"))  # a mistake must not wait for the first run
    return found


async def backtest(bus: Bus, tried: Candidate, period: Period, *, progress: Callable[[int, int], None]) -> Report:
    """Judge every recorded run. Raises ``ConfigError`` for settings that cannot be."""
    read = recordings(bus, since=period.since, until=period.until, tenant=period.tenant, progress=progress)
    async with aclosing(read) as runs:
        return _report(tried, [_trial(tried, key, entries, period) async for key, entries in runs])


def backtest_files(
    files: Sequence[Path], tried: Candidate, *, tenant: str | None = None, agent: str | None = None
) -> Report:
    """Judge the runs that stand in ``files``, each up to its last entry. Raises ``ConfigError``."""
    trials: list[Trial | None] = []
    for file in files:
        for key, entries in journals_in(_text(file), str(file)):
            last = max(entry.at for entry in entries if entry.at is not None)
            if tenant in (None, key.tenant):
                trials.append(_trial(tried, key, entries, Period(last, last, tenant, agent)))
    return _report(tried, trials)


def _trial(tried: Candidate, key: RunKey, entries: Sequence[Stored], period: Period) -> Trial | None:
    trial = judge(tried.hosted, key, entries, until=period.until, respec=tried.respec)
    return trial if trial is not None and period.agent in (None, trial.agent) else None


def _report(tried: Candidate, trials: Sequence[Trial | None]) -> Report:
    judged = tuple(trial for trial in trials if trial is not None)
    return Report(tried.hosted.name, judged, len(trials) - len(judged))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error


def _of_class(text: str, settings: Settings) -> Hosted:
    source, _, name = text.rpartition(":")
    kind = guard_class(str(Path(source).absolute()) if source.endswith(".py") else source, name, text)
    try:
        guard = kind(**settings)
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        raise ConfigError(f"{text}({given}) raises {type(error).__name__}: {error}") from error
    return Hosted(kind.name, lambda _: (guard, "enforce"))
