"""Pure: an answer checked against the agent's ``output``, and what becomes of the run then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import from_json, to_json

from callboard.actors.commands import CheckOutput
from callboard.actors.ending import REPAIRS, joined
from callboard.actors.said_json import said_json
from callboard.bus.messages import OutputRejected, Problem, RunFailed
from callboard.config.json_schema import complaints, line, listed
from callboard.errors import InvalidMessage

_SHOWN: Final = 80
_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Fit:
    """The answer is what it should be: this data."""

    data: JsonValue


@dataclass(frozen=True, slots=True)
class Unfit:
    """It is not, for these reasons; at least one."""

    problems: tuple[str, ...]


Checked: TypeAlias = Fit | Unfit


def checked(text: str, schema: Mapping[str, JsonValue], model: type[BaseModel] | None) -> Checked:
    """The data in ``text``, by ``model`` if there is one, else by ``schema``.

    Raises what validators of ``model`` raise beside what pydantic makes a ``ValidationError`` of.
    """
    try:
        data = said_json(text)
    except InvalidMessage as error:
        return Unfit((f"the answer is no JSON: {error}",))
    if model is None:
        problems = complaints(data, schema)
        return Unfit(problems) if problems else Fit(data)
    try:
        made = model.model_validate_json(to_json(data))
    except ValidationError as error:
        return Unfit(listed(_line(each) for each in error.errors(include_url=False)))
    return Fit(from_json(to_json(made.model_dump(mode="json", by_alias=True)), allow_inf_nan=False))


def rejected(command: CheckOutput, found: Unfit) -> OutputRejected | RunFailed:
    """What an answer that does not fit leads to: another round, or the end of the run."""
    problems = "\n".join(found.problems)
    if command.round <= REPAIRS:
        return OutputRejected(call=command.call, round=command.round, problems=problems)
    return failure(
        command,
        "bad_output",
        f"its answer is not what 'output' says, and {REPAIRS} rounds of repair did not help: {problems[:_REASON]}",
        hint="describe the fields in the schema, say in 'system' what they hold, or take another model",
    )


def failure(command: CheckOutput, kind: str, message: str, *, hint: str) -> RunFailed:
    """The end of a run without data; what the model said last is kept."""
    problem = Problem(kind=kind, message=message, hint=hint)
    return RunFailed(problem=problem, partial=joined(command.parts))


def _line(error: Any) -> str:
    given = error["input"]
    scalar = given is None or isinstance(given, str | int | float)
    shown = f", not {str(to_json(given), 'utf-8')[:_SHOWN]}" if scalar and error["type"] != "missing" else ""
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return line(error["loc"], f"{message}{shown}")
