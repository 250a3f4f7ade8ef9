"""Shell: what guards runs have, for ``callboard check``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue
from rich.table import Table
from rich.text import Text

from callboard.actors.code import AgentCode
from callboard.cli.layout import show_table
from callboard.cli.shared import say
from callboard.config.guards import BudgetSettings, CustomGuard, GuardSettings, RateLimit, RunBudget, SharedBudget
from callboard.config.resolved import Config
from callboard.config.times import duration

_CAPS: Final = {
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "model_calls": "model calls",
    "tool_calls": "tool calls",
}
_SHARED: Final = {"agent": "agent", "tenant": "tenant", "everybody": "all"}


def guards_json(config: Config, agents: Mapping[str, AgentCode]) -> dict[str, JsonValue]:
    """What differs for tenants, and what holds for all runs together. The agents' own guards are in their specs."""
    tenants = {tenant: None for code in agents.values() for tenant in code.tenants}
    return {
        "tenants": {
            tenant: {
                name: code.tenants[tenant].guards.model_dump(mode="json", by_alias=True)
                for name, code in agents.items()
                if tenant in code.tenants
            }
            for tenant in tenants
        },
        "breaker": config.breaker.model_dump(mode="json"),
        "rate_limits": {name: limit.model_dump(mode="json") for name, limit in config.rate_limits.items()},
        "sources": {
            name: {path: list(levels) for path, levels in agent.sources.items()}
            for name, agent in config.agents.items()
        },
        "alerts": {name: list(webhook.on) for name, webhook in config.alerts.webhooks.items()},
    }


def print_guards(config: Config, agents: Mapping[str, AgentCode]) -> None:
    """The guards of each agent, and where a tenant's runs have others; what all runs share."""
    table = Table(box=None, pad_edge=False)
    for name in ("guards of", "tenant", "a run may use", "runs may use together", "loop", "stuck", "your own"):
        table.add_column(name, overflow="fold")
    for name, code in agents.items():
        table.add_row(Text(name, style="bold"), "", *_cells(code.spec.guards, function=code.function is not None))
        for tenant, spec in code.tenants.items():
            cells = _cells(spec.guards, function=code.function is not None)
            table.add_row("", Text(tenant, style="bold"), *cells)
    show_table(table)
    for line in _shared_lines(config):
        say(line)


def print_sources(config: Config) -> None:
    """Which level stated what; the rest are defaults."""
    say("\nset in the file, everything else is a default:")
    table = Table(box=None, pad_edge=False)
    for name in ("agent", "by", "settings"):
        table.add_column(name, overflow="fold")
    for name, agent in config.agents.items():
        stated: dict[str, list[str]] = {}
        for path, levels in agent.sources.items():
            for level in levels:
                stated.setdefault(level, []).append(path)
        for level, paths in stated.items():
            table.add_row(Text(name, style="bold"), Text(level), Text(" · ".join(paths)))
    if table.row_count:
        show_table(table)
    else:
        say("nothing")


def _cells(guards: GuardSettings, *, function: bool) -> Iterator[Text]:
    yield Text(_run(guards.budget))
    yield Text("\n".join(_together(guards.budget)) or "no cap")
    yield Text("-" if function else _modes(guards.loop.mode, guards.loop.missing))
    yield Text(_modes(guards.stuck.mode, guards.stuck.missing))
    yield Text("\n".join(f"{name}: {_own(guard)}" for name, guard in guards.custom.items()))


def _run(budget: BudgetSettings) -> str:
    caps = " · ".join(caps_of(budget.run)) or "no cap"
    hard = " · killed at 100 %" if budget.hard else ""
    mode = "" if budget.mode == "enforce" else f" ({budget.mode})"
    return "\n".join((f"{caps}{hard}{mode}", *_audit(budget)))


def _audit(budget: BudgetSettings) -> Iterator[str]:
    if budget.missing == "closed":
        yield "runs wait for its audit"
    if budget.run.usd is not None and budget.burn_within:
        yield f"warned {', '.join(map(duration, budget.burn_within))} ahead, at its rate"


def _together(budget: BudgetSettings) -> Iterator[str]:
    for field, who in _SHARED.items():
        shared: SharedBudget | None = getattr(budget, field)
        if shared is not None and (caps := " · ".join(caps_of(shared))):
            yield f"{who}: {caps} a {shared.per}"


def caps_of(budget: RunBudget | SharedBudget) -> Iterator[str]:
    """Each cap of a budget, for people."""
    if budget.usd is not None:
        yield _exactly(budget.usd)
    for field, noun in _CAPS.items():
        cap: int | None = getattr(budget, field)
        if cap is not None:
            yield f"{cap:,} {noun}"


def _exactly(usd: float) -> str:
    """To the micro-dollar, in which it is counted; at least in cents."""
    whole, _, parts = f"{usd:,.6f}".partition(".")
    return f"${whole}.{parts.rstrip('0').ljust(2, '0')}"


def _modes(mode: str, missing: str) -> str:
    return mode if missing == "open" else f"{mode}, runs wait for it"


def _own(guard: CustomGuard) -> str:
    settings = ", ".join(f"{name} {value!r}" for name, value in guard.settings.items())
    return f"{_modes(guard.mode, guard.missing or 'open')}{f' ({settings})' if settings else ''}"


def _shared_lines(config: Config) -> Iterator[str]:
    breaker = config.breaker
    yield (
        f"\nbreaker: {breaker.mode} · opens at {breaker.failures:.0%} failures or {breaker.slow:.0%} slow of "
        f"{breaker.calls} or more calls in {duration(breaker.window)}, or {breaker.consecutive} hard failures in a row"
    )
    for name, limit in config.rate_limits.items():
        yield f"rate limit of {name}: {' · '.join(_rates(limit)) or 'none'}"
    for name, webhook in config.alerts.webhooks.items():
        yield f"alerts to {name}: {', '.join(webhook.on)}"


def _rates(limit: RateLimit) -> Iterator[str]:
    for noun, value in (
        ("requests", limit.requests),
        ("input tokens", limit.input_tokens),
        ("output tokens", limit.output_tokens),
    ):
        if value is not None:
            yield f"{value:,} {noun} a minute"
    if limit.concurrency is not None:
        yield f"{limit.concurrency:,} at a time"
