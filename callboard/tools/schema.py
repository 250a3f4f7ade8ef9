"""Shell: a function's signature as a strict schema, and a model's arguments checked against it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import to_json

from callboard.errors import ConfigError, ToolError
from callboard.tools.context import ToolContext

_LISTED = 10
"""So many wrong arguments are spelled out; a model that sent more of them has to start over anyway."""
_SHOWN = 80
"""Characters of a wrong value that are quoted back."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a function: ``json_schema`` for the model, ``validate`` for what the model sends back."""

    names: tuple[str, ...]
    json_schema: Mapping[str, JsonValue]
    model: type[BaseModel]
    context: str | None
    """Name of the parameter that gets the ``ToolContext``."""

    def validate(self, arguments: JsonValue, context: ToolContext) -> dict[str, Any]:
        """Keyword arguments for the function. Raises ``ToolError("bad_arguments")`` that a model can read.

        Strict as JSON has it: "5" is no integer, but an ISO string is a datetime and a list is a tuple. What the
        model left out is left out here too, so that the function's own default holds.
        """
        try:
            payload = to_json({} if arguments is None else arguments)
            checked = self.model.model_validate_json(payload, strict=True, extra="forbid")
        except ValidationError as error:
            raise ToolError("bad_arguments", self._explain(error)) from error
        except (ValueError, RecursionError) as error:
            raise ToolError("bad_arguments", f"the arguments are not JSON: {error}") from error
        given = {_position(field): getattr(checked, field) for field in checked.model_fields_set}
        keywords = {self.names[position]: value for position, value in given.items()}
        return keywords if self.context is None else {**keywords, self.context: context}

    def _explain(self, error: ValidationError) -> str:
        found = error.errors(include_url=False)
        lines = [self._line(item["loc"], item["type"], item["msg"], item["input"]) for item in found[:_LISTED]]
        if len(found) > _LISTED:
            lines.append(f"and {len(found) - _LISTED} more")
        return "; ".join(lines)

    def _line(self, location: tuple[int | str, ...], kind: str, message: str, value: object) -> str:
        where = ".".join(str(part) for part in location) or "arguments"
        if kind == "missing":
            return f"{where}: missing, it is required"
        if kind == "extra_forbidden":
            known = f"; there are {', '.join(self.names) or 'none'}" if len(location) == 1 else ""
            return f"{where}: there is no such parameter{known}"
        return f"{where}: {message}, not {_shown(value)}"


def parameters_of(function: Callable[..., object]) -> Parameters:
    """The schema of ``function``. Raises ``ConfigError`` that names the function and the parameter."""
    described = _described_arguments(inspect.getdoc(function) or "")
    names: list[str] = []
    fields: dict[str, Any] = {}
    context = None
    for parameter in inspect.signature(function).parameters.values():
        annotation = _annotation(function, parameter)
        if annotation is ToolContext:
            if context is not None:
                raise _fault(function, parameter.name, "is a second ToolContext: take it once")
            context = parameter.name
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        # Aliases, because names such as `schema` or `_x` are legal parameters but no legal field names.
        field = Field(default, alias=parameter.name, description=described.get(parameter.name))
        fields[f"p{len(names)}"] = (annotation, field)
        names.append(parameter.name)
    model = create_model("Arguments", __config__=ConfigDict(allow_inf_nan=False), **fields)
    schema = model.model_json_schema(schema_generator=_Schema)
    schema.pop("title", None)
    return Parameters(tuple(names), _closed(schema), model, context)


def description_of(function: Callable[..., object]) -> str:
    """The first paragraph of the docstring, on one line."""
    paragraph = (inspect.getdoc(function) or "").split("\n\n", maxsplit=1)[0]
    return " ".join(paragraph.split())


class _Schema(GenerateJsonSchema):
    """Without titles, which only repeat the names, and silent about defaults that JSON cannot show."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # the base declares it so

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # the base passes it
        return False


def _annotation(function: Callable[..., object], parameter: inspect.Parameter) -> Any:
    name = parameter.name
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
        raise _fault(function, name, "collects any arguments: name each parameter, a model needs to see them")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise _fault(function, name, "is positional-only: a model passes arguments by name, remove the `/`")
    if parameter.annotation is parameter.empty:
        raise _fault(function, name, f"has no type: annotate it, e.g. `{name}: str`")
    try:
        holder = SimpleNamespace(__annotations__={name: parameter.annotation})
        namespace = getattr(function, "__globals__", {})
        annotation: Any = get_type_hints(holder, globalns=namespace, include_extras=True)[name]
    except Exception as error:
        reason = f"has the annotation {parameter.annotation!r} that cannot be resolved: {error}"
        raise _fault(function, name, f"{reason}; define the type at module level") from error
    if annotation is not ToolContext:
        _require_json(function, name, annotation)
    return annotation


def _require_json(function: Callable[..., object], name: str, annotation: Any) -> None:
    try:
        TypeAdapter(annotation).json_schema(schema_generator=_Schema)
    except (PydanticUserError, TypeError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        fix = "use str, int, float, bool, list, dict, a Literal or a pydantic model"
        raise _fault(function, name, f"has a type that no JSON value can be ({reason}): {fix}") from error


def _described_arguments(docstring: str) -> dict[str, str]:
    """The lines of a Google style ``Args:`` section, by parameter."""
    _, _, section = f"\n{docstring}".partition("\nArgs:\n")
    found: dict[str, str] = {}
    current, depth = "", 0
    for line in section.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent == 0:
            break
        start = re.match(r"\s+(\w+)(?: \([^)]*\))?:\s*(.*)$", line)
        if start and (not current or indent <= depth):
            current, depth = start[1], indent
            found[current] = start[2].strip()
        elif current:
            found[current] = f"{found[current]} {line.strip()}".strip()
    return found


def _closed(schema: dict[str, Any]) -> dict[str, JsonValue]:
    """The schema with every object of named properties closed, as ``validate`` treats them."""
    nodes: list[object] = [schema]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes.extend(cast("Sequence[object]", node))
        elif isinstance(node, dict):
            members = cast("dict[str, object]", node)
            if members.get("type") == "object" and "properties" in members:
                members["additionalProperties"] = False
            nodes.extend(members.values())
    schema.setdefault("properties", {})
    return cast("dict[str, JsonValue]", schema)


def _fault(function: Callable[..., object], parameter: str, problem: str) -> ConfigError:
    return ConfigError(f"tool {getattr(function, '__qualname__', function)!r}: parameter {parameter!r} {problem}")


def _position(field: str) -> int:
    return int(field[1:])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
