"""Shell: options that several commands have, and the input of a task."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from callboard.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import JsonValue

RunId = Annotated[str, typer.Argument(help="The run's id.", metavar="RUN")]
InputJson = Annotated[bool, typer.Option("--input-json", help="The input is JSON, not text.")]
LaneOption = Annotated[Literal["high", "normal", "low"], typer.Option("--lane", help="How urgent it is.")]


def given_input(text: str, *, as_json: bool) -> JsonValue:
    """The input of a task: ``text``, or what stdin has for ``-``. Raises ``ConfigError`` for what is not JSON."""
    if text == "-":
        text = sys.stdin.read()
    return parsed(text, "the input") if as_json else text


def parsed(text: str, what: str) -> JsonValue:
    """``text`` as JSON. Raises ``ConfigError``."""
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError) as error:
        shown = text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a width for people
        raise ConfigError(f"{what} is {shown!r}, which is not JSON ({error}): mind the shell's quotes") from error
    return value
