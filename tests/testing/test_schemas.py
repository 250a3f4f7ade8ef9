"""The fake provider refuses the schemas of answers that the real ones refuse, in words like theirs."""

from __future__ import annotations

from typing import Any

import pytest

from callboard.testing.schemas import wrong_schema
from callboard.testing.script import Wire

TEXT = {"type": "string"}


def closed(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def asks(wire: Wire, schema: Any, *, kind: str = "json_schema", name: str = "x", strict: bool = True) -> dict[str, Any]:
    if wire == "anthropic":
        return {"output_config": {"format": {"type": kind, "schema": schema}}}
    named = {"name": name, "schema": schema, "strict": strict}
    if wire == "openai":
        return {"text": {"format": {"type": kind, **named}}}
    return {"response_format": {"type": kind, "json_schema": named}}


LOOP = closed("a", a={"$ref": "#/$defs/A"}) | {"$defs": {"A": closed("b", b={"$ref": "#/$defs/A"})}}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "object"}, "For 'object' type, 'additionalProperties' must be explicitly set to false"),
        (
            closed("a", a={"type": "integer", "minimum": 1, "maximum": 2}),
            "properties maximum, minimum are not supported",
        ),
        (closed("a", a=TEXT | {"minLength": 1}), "For 'string' type, property 'minLength' is not supported"),
        (closed("a", a={"type": "array", "items": TEXT, "minItems": 2}), "other than 0 or 1"),
        (closed("a", a={"oneOf": [TEXT]}), "'oneOf' is not supported"),
        (closed("a", a={}), "Schema type is missing"),
        (LOOP, "circular reference"),
        (closed(**{f"a{n}": TEXT for n in range(25)}), "too many optional parameters (25)"),
        (closed(*"abcdefghijklmnopq", **{key: {"anyOf": [TEXT]} for key in "abcdefghijklmnopq"}), "union types (17"),
    ],
)
def test_claude_refuses(schema: dict[str, Any], says: str):
    assert says in next(wrong_schema("anthropic", asks("anthropic", schema)))


@pytest.mark.parametrize("wire", ["openai", "openai-chat"])
@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "array", "items": TEXT}, "schema must be a JSON Schema of 'type: \"object\"'"),
        ({"type": "object", "properties": {}}, "In context=(), 'additionalProperties' is required to be supplied"),
        (closed(a=TEXT), "an array including every key in properties. Missing 'a'."),
        (closed("a", a=closed(b=TEXT)), "In context=('properties', 'a'), 'required' is required"),
        (closed("a", a={"type": "array"}), "array schema missing items."),
        (closed("a", a={"$ref": "#", "description": "x"}), "$ref cannot have keywords {'description'}."),
        (closed("a", a={"type": "array", "items": {}}), "In context=('properties', 'a', 'items'), schema must have"),
        (closed("a", a=TEXT | {"default": ""}), "'default' is not permitted."),
    ],
)
def test_gpt_refuses_what_is_not_strict(wire: Wire, schema: dict[str, Any], says: str):
    assert says in next(wrong_schema(wire, asks(wire, schema)))
    assert not list(wrong_schema(wire, asks(wire, schema, strict=False)))


def test_formats_have_a_type_and_a_name():
    assert "Input should be 'json_schema'" in next(wrong_schema("anthropic", asks("anthropic", closed(), kind="json")))
    assert "string does not match pattern" in next(wrong_schema("openai", asks("openai", closed(), name="a b")))
    assert not list(wrong_schema("openai", asks("openai", {}, kind="json_object")))


@pytest.mark.parametrize("wire", ["anthropic", "openai", "openai-chat"])
def test_what_all_take_is_taken(wire: Wire):
    schema = closed("a", "b", a=TEXT, b={"anyOf": [{"$ref": "#/$defs/B"}, {"type": "null"}]}) | {
        "$defs": {"B": closed()}
    }
    assert not list(wrong_schema(wire, asks(wire, schema)))
    assert not list(wrong_schema(wire, {}))


def test_gpt_takes_a_schema_that_holds_itself():
    assert not list(wrong_schema("openai", asks("openai", LOOP)))
