"""Shell: tables about models, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue
from rich.table import Table
from rich.text import Text

from callboard.app.finding import Finding
from callboard.app.model_health import ModelHealth
from callboard.cli.layout import show_table
from callboard.cli.shared import say
from callboard.cli.tables import SIGNS
from callboard.cli.teller import plain
from callboard.config.providers import entry_of
from callboard.config.resolved import Config

_COLUMNS: Final = ("key", "model", "price", "tokens", "probe")


def print_models(models: Sequence[ModelHealth]) -> None:
    """What the doctor found about models, a line each, then what to do."""
    if not models:
        say("no models of providers: the agents of this file play scripts")
        return
    asked = [name for name in _COLUMNS if any(name == each.about for model in models for each in model.findings)]
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("agents", overflow="fold")
    for name in asked:
        table.add_column("exists" if name == "model" else name, overflow="fold")
    for model in models:
        found = {each.about: each for each in model.findings}
        cells = [_cell(found.get(name)) for name in asked]
        table.add_row(Text(plain(model.model), style="bold"), Text(", ".join(model.agents)), *cells)
    show_table(table)


def providers_json(config: Config) -> JsonValue:
    """The entries that agents use, with where their keys are, never the keys."""
    used = {entry_of(choice) for agent in config.agents.values() for choice in agent.models} & config.providers.keys()
    return {
        name: {"kind": provider.kind, "key": provider.key_source, "base_url": provider.base_url}
        for name, provider in config.providers.items()
        if name in used
    }


def _cell(found: Finding | None) -> Text:
    if found is None:
        return Text("not asked", style="dim")
    return Text.assemble(SIGNS[found.level], f" {plain(found.text)}")
