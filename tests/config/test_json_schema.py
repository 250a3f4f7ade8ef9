"""The JSON schemas that users write: what is wrong with them, and what does not fit them."""

from __future__ import annotations

from typing import Any

import pytest

from callboard.config.json_schema import complaints, fault

TEXT = {"type": "string"}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        obj(a=TEXT | {"pattern": "^[a-z]+$"}, pattern=TEXT),
        obj(a={"$ref": "#/$defs/A"}, b={"$ref": "#"}) | {"$defs": {"A": TEXT}},
        obj(a={"anyOf": [TEXT, {"type": "null"}]}),
        obj(**{"$ref": TEXT, "pattern": TEXT}),
    ],
)
def test_a_schema_of_objects_is_fine(schema: dict[str, Any]):
    assert fault(schema) is None


@pytest.mark.parametrize(
    ("schema", "path", "says"),
    [
        ({}, ("type",), "expected 'type: object'"),
        ({"type": "array", "items": TEXT}, ("type",), "expected 'type: object'"),
        (obj(a={"type": "text"}), ("properties", "a", "type"), "'text' is no type: use array, boolean"),
        (obj(a={"minLength": -1}), ("properties", "a", "minLength"), "-1 is less than"),
        (obj(a="text"), ("properties", "a"), "'text' is not of type"),
        (obj(a={"pattern": "(?=x)"}), ("properties", "a", "pattern"), "without look-around"),
        (obj(a={"pattern": "("}), ("properties", "a", "pattern"), "is no pattern"),
        (obj(a={"anyOf": [{"$ref": "#/$defs/A"}]}), ("properties", "a", "anyOf", 0, "$ref"), "leads nowhere"),
        (obj(a={"$ref": "https://example.com/x"}), ("properties", "a", "$ref"), "leads nowhere"),
        (obj() | {"patternProperties": {"^x": TEXT}}, ("patternProperties",), "not available"),
    ],
)
def test_what_is_wrong_with_a_schema_is_said_with_its_place(schema: dict[str, Any], path: tuple[str, ...], says: str):
    found = fault(schema)
    assert found is not None
    assert found[0] == path
    assert says in found[1]


def test_a_value_is_judged_by_all_of_a_schema():
    schema = obj(
        a=TEXT | {"pattern": "^x+$"},
        d=TEXT | {"format": "date"},
        e={"anyOf": [obj(n={"type": "integer"}), {"type": "null"}]},
    )
    assert complaints({"a": "xx", "d": "2026-11-21", "e": None, "more": 1}, schema) == ()
    assert complaints({"a": "y", "d": "today", "e": {"n": "1"}}, schema) == (
        "a: 'y' does not match '^x+$'",
        "d: 'today' is not a 'date'",
        "e.n: '1' is not of type 'integer'",
    )
    assert complaints({"a": 1}, schema) == ("a: 1 is not of type 'string'",)


def test_a_pattern_takes_no_time_that_the_text_can_blow_up():
    assert complaints({"a": "a" * 50_000 + "!"}, obj(a=TEXT | {"pattern": "^(a+)+$"})) != ()


def test_a_pattern_of_a_class_that_is_none_here_is_left_to_the_class():
    assert complaints({"a": "1"}, obj(a=TEXT | {"pattern": "(?=x)"})) == ()


def test_a_schema_may_hold_itself():
    schema = obj(below={"type": "array", "items": {"$ref": "#"}})
    assert complaints({"below": [{"below": []}]}, schema) == ()
    assert complaints({"below": [{"below": 1}]}, schema) == ("below.0.below: 1 is not of type 'array'",)
