"""Shell: ``callboard budget``: what runs cost, and what budgets may be used from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from callboard.cli.client import board
from callboard.cli.shared import DONE, FAILED, Shared, Tenant, command, say
from callboard.errors import ConfigError

if TYPE_CHECKING:
    from callboard.app.budgets import SharedScope
    from callboard.bus.messages import Amount
    from callboard.guards.budget.costs import By

_BY = ("tenant", "agent", "tool", "run")
Usd = Annotated[float | None, typer.Option("--usd", help="US dollars.", min=0.000001)]
InputTokens = Annotated[int | None, typer.Option("--input-tokens", help="Input tokens, cached or not.", min=1)]
OutputTokens = Annotated[int | None, typer.Option("--output-tokens", help="Output tokens.", min=1)]
ModelCalls = Annotated[int | None, typer.Option("--model-calls", help="Attempts of model calls.", min=1)]
ToolCalls = Annotated[int | None, typer.Option("--tool-calls", help="Attempts of tool calls.", min=1)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="What runs cost, and what they may cost.")
    command(group, "show")(show)
    command(group, "audit")(audit)
    command(group, "set")(set_budget)
    command(group, "top-up")(top_up)
    app.add_typer(group, name="budget")


async def show(
    shared: Shared,
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only of this agent.")] = None,
    tool: Annotated[str | None, typer.Option("--tool", help="Only of this tool, or model.")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Only of this run.")] = None,
    by: Annotated[str, typer.Option("--by", help="Add up by these: tenant,agent,tool,run.")] = "tenant,agent",
    since: Annotated[str | None, typer.Option("--since", help="Only runs created since, e.g. 7d, 2026-11-20.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> int:
    """What runs have cost, from their journals, and what the shared budgets have counted."""
    from callboard.app.budgets import Filter, caps, costs
    from callboard.cli.budget_tables import accounts_as_json, print_accounts, print_costs, set_for
    from callboard.cli.instants import instant
    from callboard.guards.budget.costs import as_csv, as_json, rows, total

    names = _names(by)
    if csv and shared.json:
        raise ConfigError("--csv and --json are two forms of one answer: give one of them")
    async with board(shared) as opened:
        bus = opened.bus
        start = None if since is None else instant(since, "--since", now=bus.clock.now())
        lines, ledger = await costs(bus, Filter(tenant, agent, run, start))
        lines = [line for line in lines if tool in (None, line.tool)]
        found = rows(lines, names)
        if csv:
            say(as_csv(found, names).rstrip("\n"))
            return DONE
        runtime = {} if run or tool else set_for(await caps(bus), tenant=tenant, agent=agent)
        ledger = [] if tool else ledger  # it knows no tools
    if shared.json:
        shared.show({"costs": as_json(found, names), "accounts": accounts_as_json(ledger, runtime)})
    else:
        print_costs(found, names, total(lines))
        print_accounts(ledger, runtime)
    return DONE


async def audit(shared: Shared) -> int:
    """Compare the shared budgets of this day and month with the journals. 1: a counter is wrong."""
    from callboard.app.budgets import compare
    from callboard.cli.budget_tables import drifts_as_json

    async with board(shared) as opened:
        compared, found = await compare(opened.bus)
    if shared.json:
        shared.show({"accounts": compared, "wrong": drifts_as_json(found)})
    else:
        for each in found:
            say(f"wrong: {'all tenants' if each.tenant == '_' else each.tenant}: {each.message}")
        say(f"{compared} accounts, {len(found)} wrong")
    return FAILED if found else DONE


async def set_budget(
    shared: Shared,
    scope: Annotated[str, typer.Argument(help="'tenant', 'agent:NAME' or 'global'.", metavar="SCOPE")],
    *,
    tenant: Tenant = "default",
    usd: Usd = None,
    input_tokens: InputTokens = None,
    output_tokens: OutputTokens = None,
    model_calls: ModelCalls = None,
    tool_calls: ToolCalls = None,
    per: Annotated[Literal["day", "month"], typer.Option("--per", help="In UTC.")] = "month",
    clear: Annotated[bool, typer.Option("--clear", help="Back to what is configured.")] = False,
) -> int:
    """Cap what the runs of a scope may use together, from now on, whatever is configured."""
    from callboard.app.budgets import set_cap
    from callboard.config.guards import SharedBudget

    given = (usd, input_tokens, output_tokens, model_calls, tool_calls)
    if clear == any(each is not None for each in given):
        raise ConfigError("set what? Give a cap, e.g. --usd 20, or --clear for what is configured")
    budget = SharedBudget(
        usd=usd,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        model_calls=model_calls,
        tool_calls=tool_calls,
        per=per,
    )
    where = _scope(scope, tenant)
    async with board(shared) as opened:
        await set_cap(opened.bus, where, None if clear else budget)
    return _said(shared, scope, "as configured" if clear else "set")


async def top_up(
    shared: Shared,
    target: Annotated[str, typer.Argument(help="A run's id, or a scope as for 'set'.", metavar="RUN|SCOPE")],
    *,
    tenant: Tenant = "default",
    usd: Usd = None,
    input_tokens: InputTokens = None,
    output_tokens: OutputTokens = None,
    model_calls: ModelCalls = None,
    tool_calls: ToolCalls = None,
) -> int:
    """Let a run that is not over use more, or a scope, in its current day or month."""
    from callboard.app.budgets import SharedScope, amount, top_up_run
    from callboard.app.budgets import top_up as top_up_scope

    more: Amount = amount(
        usd=usd,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        model_calls=model_calls,
        tool_calls=tool_calls,
    )
    if not any(more.model_dump().values()):
        raise ConfigError("top up by how much? Give e.g. --usd 1 or --model-calls 50")
    where = SharedScope.parse(target, tenant=tenant)
    async with board(shared) as opened:
        if where is None:
            await top_up_run(opened.bus, opened.run(target, tenant=tenant).key, more, by=shared.by)
        else:
            await top_up_scope(opened.bus, where, more)
    return _said(shared, target, "topped up")


def _names(by: str) -> tuple[By, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in by.split(",") if part.strip()))
    if not names or not set(names) <= set(_BY):
        raise ConfigError(f"--by is {by!r}: name some of {', '.join(_BY)}, with commas")
    return cast("tuple[By, ...]", names)


def _scope(text: str, tenant: str) -> SharedScope:
    from callboard.app.budgets import SharedScope

    found = SharedScope.parse(text, tenant=tenant)
    if found is None:
        raise ConfigError(f"scope is {text!r}: use 'tenant', 'agent:NAME' or 'global'")
    return found


def _said(shared: Shared, what: str, how: str) -> int:
    if shared.json:
        shared.show({"scope": what, "status": how})
    else:
        say(f"{how}: {what}")
    return DONE
