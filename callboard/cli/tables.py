"""Shell: tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callboard.cli.layout import show_table
from callboard.cli.shared import say
from callboard.cli.teller import dollars, plain, short
from callboard.clock import SystemClock
from callboard.config.providers import ProviderConfig, entry_of
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.config.times import duration, instant
from callboard.models.prices import describe_price

if TYPE_CHECKING:  # each is for a command that has it anyway
    from callboard.actors.code import AgentCode
    from callboard.app.finding import Finding
    from callboard.app.summary import RunSummary
    from callboard.bus.messages import DeadLetter

STYLES: Final = {
    "queued": "dim",
    "running": "cyan",
    "suspended": "yellow",
    "completed": "green",
    "failed": "red",
    "killed": "magenta",
}

SIGNS: Final = {"good": ("✓", "green"), "odd": ("!", "yellow"), "wrong": ("✗", "red")}


def print_runs(runs: Sequence[RunSummary]) -> None:
    """Runs, a line each."""
    if not runs:
        say("no runs")
        return
    tenants = {run.tenant for run in runs} != {"default"}
    table = Table(box=None, pad_edge=False)
    for name in ("run", *(("tenant",) if tenants else ()), "agent", "status", "age"):
        table.add_column(name, no_wrap=True)
    for name in ("turns", "tokens", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="ellipsis", no_wrap=True)
    now = SystemClock().now()
    for run in runs:
        start = run.created or run.updated
        aged = "" if start is None else age((now - start).total_seconds())
        status = Text(run.status, style=STYLES[run.status])
        numbers = (str(run.turns), f"{run.tokens:,}", dollars(run.cost_usd_micros))
        agent = f"{run.agent}{' (warm-up)' if run.warm else ''}"
        cells = (run.run, *((run.tenant,) if tenants else ()), agent, status, aged, *numbers)
        table.add_row(*cells, Text(short(run.why)))
    show_table(table)


def print_agents(agents: Mapping[str, AgentCode], providers: Mapping[str, ProviderConfig]) -> None:
    """What a configuration has to run: agents, models with where their keys are and what they cost, tools, limits."""
    table = Table(box=None, pad_edge=False)
    outputs = any(code.spec.output is not None for code in agents.values())
    for name in ("agent", "model", "tools", "team", *(("output",) if outputs else ()), "limits"):
        table.add_column(name, overflow="fold")
    for name, code in agents.items():
        spec = code.spec
        models = "\n".join(_model(choice, providers) for choice in spec.models) or "function"
        if spec.prefer == "price" and spec.fallbacks:
            models = f"the cheapest first, of\n{models}"
        if spec.summary is not None:
            models += f"\nsums up: {_model(spec.summary, providers)}"
        tools = "\n".join(f"{tool.name} ({tool.effect.replace('_', ' ')})" for tool in spec.tools)
        cells = (models, tools, ", ".join(spec.team), *((_output(spec),) if outputs else ()), _bounds(spec))
        table.add_row(Text(name, style="bold"), *map(Text, cells))
    show_table(table)


def _model(choice: ModelChoice, providers: Mapping[str, ProviderConfig]) -> str:
    if choice.provider == "scripted":
        return "".join(filter(None, ("scripted", f" {choice.name}".rstrip(), _window(choice))))
    provider = providers[entry_of(choice)]
    price = describe_price(choice) or "price unknown"
    window = _window(choice) or "\n  context window unknown"
    return f"{provider.name}/{choice.name}\n  key: {provider.key_source}\n  {price}{window}"


def _window(choice: ModelChoice) -> str:
    """The context window, and who says so, in a line of its own; ``""``: nobody knows it."""
    return f"\n  context {choice.context:,} ({choice.context_source})" if choice.context is not None else ""


def _output(spec: AgentSpec) -> str:
    """What its results are: the schema's title, and the fields, with a mark at those that may be missing."""
    if spec.output is None:
        return "text"
    properties, required = spec.output.get("properties"), spec.output.get("required")
    needed = required if isinstance(required, list) else []
    named = properties if isinstance(properties, dict) else {}
    fields = ", ".join(name if name in needed else f"{name}?" for name in named)
    return "\n".join(filter(None, (str(spec.output.get("title", "JSON")), fields)))


def _bounds(spec: AgentSpec) -> str:
    """Every limit of a run."""
    limits, loop = spec.limits, spec.guards.loop
    tool, model = duration(limits.tool_timeout), duration(limits.model_timeout)
    lines = [
        f"{limits.turns} turns · deadline {duration(limits.deadline)} · {limits.attempts} attempts",
        f"depth {limits.depth} · {limits.children} children, {limits.spawn_rate} a minute · cycles {limits.cycles}",
        f"a tool {tool} · a model {model}, {limits.model_attempts} attempts",
        f"a model's first token {duration(limits.first_token_timeout)}",
        f"stuck after {spec.guards.stuck.factor:g} times a step's timeout",
    ]
    if spec.kind == "agent":
        nothing_new = f"{loop.turns} turns of nothing new, {loop.monologue} of talk"
        lines.append(f"loop: {loop.repeats} repeats · {loop.errors} equal errors · {nothing_new}")
        lines.append(f"loop: a poll unchanged for {duration(loop.unchanged)} · patience {loop.patience}")
    if any(choice.provider != "scripted" for choice in spec.models):
        cache = spec.guards.cache
        lines.append(f"cache: told of when less than {cache.ratio:.0%} is read within {duration(cache.lifetime)}")
    return "\n".join(lines)


def print_letters(letters: Sequence[DeadLetter]) -> None:
    """Dead letters, newest last."""
    if not letters:
        say("no dead letters")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("at", "reason", "subject", "message"):
        table.add_column(name, overflow="fold")
    for letter in letters:
        table.add_row(
            instant(letter.at),
            Text(plain(letter.reason), style="red"),
            Text(plain(letter.subject)),
            Text(short(letter.message)),
        )
    show_table(table)


def print_findings(findings: Sequence[Finding]) -> None:
    """What the doctor found."""
    out = Console(highlight=False, soft_wrap=True)
    for each in findings:
        out.print(Text.assemble(SIGNS[each.level], f" {each.about:<13} {plain(each.text)}"))


def age(value: float) -> str:
    """How long ago, in its largest unit."""
    number, unit = duration(max(1.0, value)).split()[:2]
    return f"{number.partition('.')[0]} {unit}"
