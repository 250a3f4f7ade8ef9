"""Pure: the rules by which the providers refuse the schema of a structured answer. Each problem is in their words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from callboard.testing.loose import items, mapping
from callboard.testing.script import Wire

_Node: TypeAlias = Mapping[str, Any]
_Found: TypeAlias = tuple[tuple[str, ...], _Node]
_BOUNDS: Final = {
    "array": ("maxItems", "uniqueItems"),
    "integer": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "number": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "string": ("maxLength", "minLength"),
}
_OPTIONAL, _UNIONS = 24, 16
_NOT_STRICT: Final = ("allOf", "default", "maxLength", "minLength", "not", "oneOf", "patternProperties", "uniqueItems")


def wrong_schema(wire: Wire, body: _Node) -> Iterator[str]:
    """Why the provider of this wire answers 400 to the output that ``body`` asks for."""
    if wire == "anthropic" and (wanted := mapping(mapping(body.get("output_config")).get("format"))):
        yield from _anthropic(wanted)
    if wire == "openai" and (wanted := mapping(mapping(body.get("text")).get("format"))):
        yield from _openai(wanted, "text.format")
    if wire == "openai-chat" and (wanted := mapping(body.get("response_format"))):
        yield from _openai({**wanted, **mapping(wanted.get("json_schema"))}, "response_format")


def _anthropic(wanted: _Node) -> Iterator[str]:
    if wanted.get("type") != "json_schema":
        yield "output_config.format.type: Input should be 'json_schema'"
    schema = mapping(wanted.get("schema"))
    found = [node for _, node in _nodes(schema, ())]
    yield from (f"output_config.format.schema: {wrong}" for node in found for wrong in _not_of_claude(node))
    if _is_recursive(schema):
        yield "output_config.format.schema: Recursive schemas are not supported: circular reference in '$defs'"
    optional = sum(len(mapping(node.get("properties"))) - len(items(node.get("required"))) for node in found)
    unions = sum("anyOf" in node or isinstance(node.get("type"), list) for node in found)
    if optional > _OPTIONAL:
        yield (
            f"Schemas contains too many optional parameters ({optional}), which would make grammar compilation "
            f"inefficient. Reduce the number of optional parameters in your tool schemas (limit: {_OPTIONAL})."
        )
    if unions > _UNIONS:
        yield f"Schemas contains too many parameters with union types ({unions}; limit: {_UNIONS})."


def _not_of_claude(node: _Node) -> Iterator[str]:
    kind = node.get("type")
    if kind == "object" and node.get("additionalProperties") is not False:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
    if "oneOf" in node:
        yield "Schema type 'oneOf' is not supported"
    if not node.keys() & {"type", "anyOf", "allOf", "$ref", "enum", "const", "oneOf"}:
        yield "Schema type is missing"
    if kind == "array" and node.get("minItems", 0) not in (0, 1):
        yield "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if bounds := [word for word in _BOUNDS.get(str(kind), ()) if word in node]:
        verb = "properties {} are" if len(bounds) > 1 else "property '{}' is"
        yield f"For '{kind}' type, {verb.format(', '.join(bounds))} not supported"


def _openai(wanted: _Node, where: str) -> Iterator[str]:
    name, schema = str(wanted.get("name", "")), mapping(wanted.get("schema"))
    if wanted.get("type") != "json_schema":
        return
    if re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) is None:
        yield f"Invalid '{where}.name': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'."
    if not wanted.get("strict"):
        return
    invalid = f"Invalid schema for response_format '{name}': "
    if schema.get("type") != "object" or "anyOf" in schema:
        yield f"{invalid}schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
    for path, node in _nodes(schema, ()):
        yield from (f"{invalid}In context={path}, {wrong}" for wrong in _not_strict(node))


def _not_strict(node: _Node) -> Iterator[str]:
    properties = mapping(node.get("properties"))
    if node.get("type") == "object" and node.get("additionalProperties") is not False:
        yield "'additionalProperties' is required to be supplied and to be false."
    if missing := [name for name in properties if name not in items(node.get("required"))]:
        yield (
            "'required' is required to be supplied and to be an array including every key in properties. "
            f"Missing '{missing[0]}'."
        )
    if node.get("type") == "array" and "items" not in node:
        yield "array schema missing items."
    if "$ref" in node and (beside := sorted(node.keys() - {"$ref", "$defs"})):
        yield f"$ref cannot have keywords {{{', '.join(map(repr, beside))}}}."
    if not node.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
        yield "schema must have a 'type' key."
    yield from (f"'{word}' is not permitted." for word in _NOT_STRICT if word in node)


def _nodes(schema: _Node, path: tuple[str, ...]) -> Iterator[_Found]:
    yield path, schema
    for word in ("properties", "$defs"):
        for name, each in mapping(schema.get(word)).items():
            yield from _nodes(mapping(each), (*path, word, name))
    if "items" in schema:
        yield from _nodes(mapping(schema["items"]), (*path, "items"))
    for word in ("anyOf", "oneOf", "allOf"):
        for at, each in enumerate(items(schema.get(word))):
            yield from _nodes(mapping(each), (*path, word, str(at)))


def _is_recursive(schema: _Node) -> bool:
    """What is left after those definitions are taken away again and again that lead to none of the rest."""
    leads = {name: {*_references(mapping(each))} for name, each in mapping(schema.get("$defs")).items()}
    while leaves := [name for name, to in leads.items() if not to & leads.keys()]:
        for name in leaves:
            del leads[name]
    return bool(leads) or "#" in _references(schema)


def _references(schema: _Node) -> Iterator[str]:
    return (str(node["$ref"]).removeprefix("#/$defs/") for _, node in _nodes(schema, ()) if "$ref" in node)
