"""Shell: costs and shared budgets as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue
from rich.table import Table

from callboard.actors.allowance import MICROS
from callboard.app.budgets import SharedAccount
from callboard.cli.guard_tables import caps_of
from callboard.cli.layout import show_table
from callboard.cli.shared import say
from callboard.cli.teller import amount
from callboard.guards.budget.costs import By, Row
from callboard.guards.budget.counters import Drift
from callboard.guards.budget.scopes import EVERYBODY, Key, RuntimeCap

_MONTH: Final = len("2026-11")


def print_costs(found: Sequence[Row], by: Sequence[By], everything: Row) -> None:
    """A line for each row, and one for all of them."""
    if not found:
        say("no runs")
        return
    table = Table(box=None, pad_edge=False, show_footer=len(found) > 1)
    for at, name in enumerate(by):
        table.add_column(name, footer="all" if at == 0 else "", overflow="fold")
    names = ("runs", "model calls", "tool calls", "input", "output", "cost")
    for title, footer in zip(names, _figures(everything), strict=True):
        table.add_column(title, footer=footer, justify="right", no_wrap=True)
    for row in found:
        table.add_row(*row.names, *_figures(row))
    show_table(table)


def print_accounts(accounts: Sequence[SharedAccount], runtime: Mapping[Key, RuntimeCap]) -> None:
    """The shared budgets: what is spent, what calls that are under way hold, what is left, what was set at run time."""
    if accounts:
        table = Table(box=None, pad_edge=False, title="shared budgets", title_justify="left")
        table.add_column("tenant")
        table.add_column("account", overflow="fold")
        for figure in ("spent", "held", "cap", "left"):
            table.add_column(figure, justify="right")
        for each in accounts:
            figures = (each.at.spent, each.at.held, each.cap, each.left)
            shown = "all" if each.tenant == EVERYBODY else each.tenant
            table.add_row(shown, each.name, *(_amount(each.name, figure) for figure in figures))
        show_table(table)
    for key, cap in sorted(runtime.items()):
        say(f"set at run time: {_scope(key)}: {' · '.join(_set(cap))}")


def accounts_as_json(accounts: Sequence[SharedAccount], runtime: Mapping[Key, RuntimeCap]) -> dict[str, JsonValue]:
    """The same as JSON; money in micro-dollars."""
    return {
        "ledger": [
            {
                "tenant": each.tenant,
                "account": each.name,
                "spent": each.at.spent,
                "held": each.at.held,
                "cap": each.cap,
                "left": each.left,
            }
            for each in accounts
        ],
        "set": [
            {"scope": list(key), **cap.model_dump(mode="json", exclude_defaults=True)}
            for key, cap in sorted(runtime.items())
        ],
    }


def drifts_as_json(found: Sequence[Drift]) -> list[JsonValue]:
    """Counters that are wrong; money in micro-dollars."""
    return [
        {
            "tenant": each.tenant, "account": each.account, "spent": each.counted.spent, "held": each.counted.held,
            "least": each.least, "most": each.most,
        }
        for each in found
    ]  # fmt: skip


def set_for(runtime: Mapping[Key, RuntimeCap], *, tenant: str | None, agent: str | None) -> dict[Key, RuntimeCap]:
    """What was set at run time for a tenant and an agent (None: for any), by the scope alone."""
    scopes = {key[1:]: cap for key, cap in runtime.items()}
    of = {key: cap for key, cap in scopes.items() if tenant in (None, key[0])}
    return {key: cap for key, cap in of.items() if agent is None or key[1:] == ("agent", agent)}


def _figures(row: Row) -> tuple[str, ...]:
    used = row.used
    counts = (row.runs, used.model_calls, used.tool_calls, used.input_tokens, used.output_tokens)
    return (*(f"{count:,}" for count in counts), f"${used.usd_micros / MICROS:,.4f}")


def _scope(key: Key) -> str:
    return " ".join(key[1:] if key[0] == EVERYBODY else key)


def _set(cap: RuntimeCap) -> Iterator[str]:
    """What was set, and what a top-up added: it was noted for the day and for the month, and one of them counts."""
    if cap.budget is not None:
        yield f"{' · '.join(caps_of(cap.budget))} a {cap.budget.per}"
    for period, more in sorted(cap.more.items()):
        if cap.budget is None or cap.budget.per == ("month" if len(period) == _MONTH else "day"):
            yield f"{amount(more)} more in {period}"


def _amount(account: str, number: int | None) -> str:
    if number is None:
        return "-"
    return f"${number / MICROS:,.4f}" if "-usd-" in account else f"{number:,}"
