"""Shell: the commands that look after things: ``check``, ``schema``, ``doctor``, ``dead``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from pydantic import JsonValue

from callboard.cli.client import board
from callboard.cli.shared import DONE, FAILED, Shared, command, say

_PRIVATE: Final[Any] = {"system": True, "model": {"settings"}, "fallbacks": {"__all__": {"settings"}}}
"""What may hold secrets, or is long."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "check")(check)
    command(app, "schema")(schema)
    command(app, "doctor")(doctor)
    dead = typer.Typer(no_args_is_help=True, help="Look at messages that could not be run.")
    command(dead, "list")(list_dead)
    app.add_typer(dead, name="dead")


async def check(
    shared: Shared, file: Annotated[Path, typer.Argument(help="The configuration.", metavar="FILE")]
) -> int:
    """Read a configuration as a worker would, tools and guards included, and show what it comes to.

    Exit code 2: it is wrong.
    """
    from callboard.app.agents import load_agents
    from callboard.cli.guard_tables import guards_json, print_guards, print_sources
    from callboard.cli.model_tables import providers_json
    from callboard.config.loader import load

    config = load(file)
    agents = load_agents(config)
    if shared.json:
        specs: dict[str, JsonValue] = {
            name: code.spec.model_dump(mode="json", by_alias=True, exclude=_PRIVATE) for name, code in agents.items()
        }
        shown = {"agents": specs, "providers": providers_json(config), **guards_json(config, agents)}
        shared.show({"file": str(file), **shown})
    else:
        from callboard.cli.tables import print_agents

        print_agents(agents, config.providers)
        say("")
        print_guards(config, agents)
        print_sources(config)
    return DONE


async def schema(shared: Shared) -> int:
    """Print the JSON schema of the configuration, for editors."""
    from callboard.config.file_format import json_schema

    say(json.dumps(json_schema(), indent=None if shared.json else 2, ensure_ascii=False))
    return DONE


async def doctor(
    shared: Shared,
    *,
    models: Annotated[
        Path | None,
        typer.Option("--models", metavar="FILE", help="Look at the models of this configuration; needs no bus."),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="With --models: ask each a short question. It costs a few tokens.")
    ] = False,
) -> int:
    """Look whether the deployment is well, and say what to do if not. Exit code 1: something is wrong."""
    if models is not None:
        return await _doctor_models(shared, models, probe=probe)
    from callboard.app.doctor import examine, server_durability
    from callboard.cli.tables import print_findings

    async with board(shared) as opened:
        findings = await examine(opened.bus, durability=server_durability(shared.bus().urls))
    healthy = all(each.level != "wrong" for each in findings)
    if shared.json:
        shared.show({"healthy": healthy, "findings": [each.as_json() for each in findings]})
    else:
        print_findings(findings)
    return DONE if healthy else FAILED


async def _doctor_models(shared: Shared, file: Path, *, probe: bool) -> int:
    """Whether the keys can be had, and whether the models exist, have a price, and (``probe``) answer."""
    from callboard.app.model_health import examine_models
    from callboard.cli.model_tables import print_models
    from callboard.clock import SystemClock
    from callboard.config.loader import load

    config = load(file)
    shared.logs(config.secrets)
    found = await examine_models(config, clock=SystemClock(), probe=probe)
    usable = all(each.usable for each in found)
    if shared.json:
        shared.show({"healthy": usable, "models": [each.as_json() for each in found]})
    else:
        print_models(found)
    return DONE if usable else FAILED


async def list_dead(
    shared: Shared, *, limit: Annotated[int, typer.Option("--limit", help="At most so many.", min=1)] = 50
) -> int:
    """The messages that could not be run, and why, newest last."""
    from callboard.cli.tables import print_letters

    async with board(shared) as opened:
        letters = await opened.bus.graveyard.letters(limit)
    if shared.json:
        shared.show([letter.model_dump(mode="json") for letter in letters])
    else:
        print_letters(letters)
    return DONE
