"""Pure: what pydantic found, in words: where, what stands there, and what is expected. Never a resolved value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError

from callboard.config.base import ADDRESS, FAMILY, MODEL, NAME
from callboard.config.nodes import MappingNode, Node, Problem, SequenceNode, locate, shown

Schema = Mapping[str, Any]
_PLAIN: Final = {
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}

_WRITTEN_OTHERWISE: Final = {"fallbacks": ": put all of them into one list, 'models: [first, second]'"}
_BOUNDS: Final = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def problems_of(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Problem]:
    """Each of pydantic's complaints about ``plain(root)``, as ``model`` made them, with its place."""
    schema = _schema_of(model)
    return [
        _problem(each["type"], each["loc"], each.get("ctx", {}), root, schema)
        for each in error.errors(include_url=False, include_input=False)
        if not (each["type"] == "too_short" and _has_items(locate(root, each["loc"]).node))
    ]


def nearest(word: str, known: Iterable[str]) -> str:
    """``: did you mean 'x'?``, else what is known, to be put behind a complaint about ``word``."""
    names = sorted(known)
    close = difflib.get_close_matches(word[:100], names, n=1)
    if close:
        return f": did you mean {close[0]!r}?"
    return f": use {', '.join(names)}" if names else ""


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    return model.model_json_schema(mode="validation")


def _has_items(node: Node | None) -> bool:
    """A list whose items were all refused is reported as empty too."""
    return isinstance(node, SequenceNode) and bool(node.items)


def _problem(kind: str, path: tuple[str | int, ...], context: Mapping[str, Any], root: Node, schema: Schema) -> Problem:
    spot = locate(root, path)
    if kind == "extra_forbidden":
        known = [name for each in _follow(schema, path[:-1], schema) for name in each.get("properties", {})]
        word = str(path[-1])
        hint = _WRITTEN_OTHERWISE.get(word) or nearest(word, known)
        return Problem(spot.key, spot.path, f"unknown key {word[:60]!r}{hint}")
    expected = _expected(schema, path)
    if kind == "missing":
        return Problem(locate(root, path[:-1]).key, spot.path, f"missing: {expected}")
    if path and path[-1] == "[key]":
        return Problem(spot.key, spot.path, f"the name is {str(path[-2])[:60]!r}: expected {_key(schema, path[:-2])}")
    message = str(context["error"]) if kind == "value_error" else expected
    collection = kind == "value_error" and isinstance(spot.node, MappingNode | SequenceNode)
    got = "" if spot.node is None or collection else f"got {shown(spot.node)}: "
    return Problem(spot.value, spot.path, f"{got}{message}")


_NAME: Final = "1 to 64 letters, digits, '_' or '-'"
_PATTERNS: Final = {
    NAME: _NAME,
    MODEL: "'provider/model'",
    ADDRESS: "an address such as 'https://example.com/v1', without user and password",
}
_KEYS: Final = {
    frozenset({MODEL}): "'provider/model'",
    frozenset({FAMILY}): "'provider/model' or 'provider/model-*' ('*' only at the end)",
}


def _key(schema: Schema, path: Sequence[str | int]) -> str:
    patterns = {pattern for each in _follow(schema, path, schema) for pattern in each.get("patternProperties", {})}
    return _KEYS.get(frozenset(patterns), _NAME)


def _expected(schema: Schema, path: Sequence[str | int]) -> str:
    words = [_describe(branch) for branch in _follow(schema, path, schema)]
    return f"expected {' or '.join(dict.fromkeys(word for word in words if word))}"


def _follow(schema: Schema, path: Sequence[str | int], root: Schema) -> list[Schema]:
    """The schemas that may describe what ``path`` leads to, branches and references resolved."""
    here = _branches(schema, root)
    for part in path:
        if not str(part).startswith("<"):
            here = [branch for each in here for branch in _branches(_child(each, part), root)]
    return here


def _branches(schema: Schema, root: Schema) -> list[Schema]:
    if "$ref" in schema:
        return _branches(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    options = cast("list[Schema]", schema.get("anyOf") or schema.get("oneOf") or [])
    return [leaf for option in options for leaf in _branches(option, root)] if options else [schema]


def _child(schema: Schema, part: str | int) -> Schema:
    if isinstance(part, int):
        return cast("Schema", schema.get("items", {}))
    named = cast("Mapping[str, Schema]", schema.get("properties", {}))
    patterns = cast("Mapping[str, Schema]", schema.get("patternProperties", {}))
    return named.get(part) or next(iter(patterns.values()), cast("Schema", {}))


def _describe(schema: Schema) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(repr, schema['enum']))}"
    kind = schema.get("type", "")
    if kind in {"integer", "number"}:
        return _bounded("an integer" if kind == "integer" else "a number", schema)
    if kind == "string" and schema.get("pattern") in _PATTERNS:
        return _PATTERNS[schema["pattern"]]
    if kind == "array" and "maxItems" in schema:
        return f"a list of {schema.get('minItems', 0)} to {schema['maxItems']}"
    if kind in {"string", "array"} and (schema.get("minLength") or schema.get("minItems")):
        return f"{_PLAIN[kind]} that is not empty"
    return _PLAIN.get(kind, "")


def _bounded(noun: str, schema: Schema) -> str:
    bounds = [f"{sign} {schema[word]}" for word, sign in _BOUNDS.items() if word in schema]
    return f"{noun} {' and '.join(bounds)}" if bounds else noun
