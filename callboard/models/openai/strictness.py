"""Pure: what may be strict: tools, and answers, whose schema stays within what structured output can do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from callboard.config.spec import ToolSpec
from callboard.models.openai.reading import mapping, sequence
from callboard.models.port import ChatRequest
from callboard.models.structured import Dialect, constrained, prompted, told

_KEYWORDS: Final = frozenset(
    """
    $defs $ref additionalProperties anyOf const description enum exclusiveMaximum exclusiveMinimum format items
    maxItems maximum minItems minimum multipleOf pattern properties required title type
    """.split()  # noqa: SIM905 - a list would take a line for each
)
_FORMATS: Final = frozenset({"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"})
_DEEPEST: Final = 10
_MOST: Final = 5_000
_BOUNDS: Final = _KEYWORDS & frozenset(
    """
    exclusiveMaximum exclusiveMinimum maxItems maximum minItems minimum multipleOf pattern
    """.split()  # noqa: SIM905 - as above
)
_OPENAI: Final = Dialect(_BOUNDS, _FORMATS, complete=True, recursive=True, optional=0, unions=_MOST)
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME: Final = 64
_NOTHING: Final[Mapping[str, JsonValue]] = {
    "type": "object",
    "properties": {},
    "required": [],
    "additionalProperties": False,
}


def answer_format(request: ChatRequest) -> dict[str, JsonValue] | None:
    """What an answer is to be, by name; None: it may be any text, or the prompt says it."""
    if request.output is None or prompted(request):
        return None
    name = _NO_NAME.sub("_", str(request.output.get("title", "")))[:_LONGEST_NAME] or "output"
    schema = constrained(request.output, _OPENAI)
    if schema is None or not may_be_strict(schema):
        return {"name": name, "schema": dict(request.output), "strict": False}
    return {"name": name, "schema": schema, "strict": True}


def instructions(request: ChatRequest) -> str:
    """The system prompt."""
    return request.system if request.output is None or not prompted(request) else told(request.system, request.output)


def parameters(tool: ToolSpec) -> dict[str, JsonValue]:
    """The schema of the arguments; of a tool that states none, that there are none."""
    return dict(tool.parameters or _NOTHING)


def may_be_strict(schema: Mapping[str, object]) -> bool:
    """Whether every object of ``schema`` is closed and requires all it names, in keywords that are supported."""
    return schema.get("type") == "object" and "anyOf" not in schema and _fits(schema, 0)


def _fits(node: object, depth: int) -> bool:
    schema = mapping(node)
    if not schema or depth > _DEEPEST or not _KEYWORDS.issuperset(schema) or not _says_what(schema):
        return False
    inner = [*mapping(schema.get("properties")).values(), *mapping(schema.get("$defs")).values()]
    inner += [*sequence(schema.get("anyOf")), *([schema["items"]] if "items" in schema else ())]
    return _is_closed(schema) and all(_fits(each, depth + 1) for each in inner)


def _says_what(schema: Mapping[str, object]) -> bool:
    if "$ref" in schema and not {"$ref", "$defs"}.issuperset(schema):  # refused beside a reference
        return False
    if "format" in schema and schema["format"] not in _FORMATS:
        return False
    if schema.get("type") == "array" and "items" not in schema:
        return False
    return any(word in schema for word in ("type", "anyOf", "$ref", "enum", "const"))


def _is_closed(schema: Mapping[str, object]) -> bool:
    if schema.get("type") != "object" and "properties" not in schema:
        return True
    named = set(mapping(schema.get("properties")))
    return schema.get("additionalProperties") is False and named == {*sequence(schema.get("required", []))}
