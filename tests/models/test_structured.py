"""A JSON schema in the words of a provider: what it forbids is forbidden by the original too, and validated anyway."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from callboard.models.structured import Dialect, constrained, told
from tests.support.journals import few

KEYWORDS = frozenset({"minimum", "maximum", "minItems", "maxItems", "pattern"})
WIDE = Dialect(KEYWORDS, frozenset({"date"}), complete=False, recursive=True, optional=99, unions=99)
COMPLETE = replace(WIDE, complete=True)
NARROW = Dialect(frozenset(), frozenset(), complete=False, recursive=False, optional=2, unions=1)
TEXT = {"type": "string"}


def obj(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def closed(*required: str, **properties: Any) -> dict[str, Any]:
    return {**obj(*required, **properties), "additionalProperties": False}


class Place(BaseModel):
    city: str
    code: str = Field(default="", max_length=5)


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Order(BaseModel):
    """An order."""

    place: Place = Field(description="where it goes")
    other: Place | None = None
    total: Decimal
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []


class Node(BaseModel):
    below: list[Node]


def test_objects_are_closed_and_what_only_bounds_a_value_is_described():
    given = obj(
        "a",
        a={"type": "integer", "minimum": 1, "title": "A"},
        b={"type": "string", "description": "it", "minLength": 2},
    )
    made = closed("a", a={"type": "integer", "minimum": 1}, b={"type": "string", "description": "it (minLength: 2)"})
    assert constrained(given, WIDE) == made
    described = constrained(given, NARROW)
    assert described is not None
    assert described["properties"]["a"] == {"type": "integer", "description": "(minimum: 1)"}  # type: ignore[index, call-overload]


def test_a_class_is_said_in_any_dialect():
    made = constrained(Order.model_json_schema(), COMPLETE)
    assert made is not None
    assert made["required"] == ["place", "other", "total", "pets"]
    assert made["properties"]["place"]["description"] == "where it goes"  # type: ignore[index, call-overload]
    text = json.dumps(made)
    assert "oneOf" not in text
    assert "discriminator" not in text
    assert set(made["$defs"]) == {"Place", "Cat", "Dog"}  # type: ignore[arg-type]
    answer = {"place": {"city": "x", "code": ""}, "other": None, "total": 1, "pets": [{"kind": "cat"}]}
    jsonschema.validate(answer, made)
    Order.model_validate(answer)


@pytest.mark.parametrize(
    "schema",
    [
        obj(),
        {"type": "object"},
        {"type": "object", "additionalProperties": TEXT},
        obj(a=TEXT) | {"additionalProperties": True},
        obj(a={}),
        obj(a=True),
        obj(a={"type": "array"}),
        obj(a={"type": "array", "items": True}),
        obj(a={"type": ["object", "null"]}),
        obj(a={"type": []}),
        obj(a={"enum": [[1]]}),
        obj(a={"const": {}}),
        obj(a={"$ref": "#/$defs/gone"}),
        obj(a={"$ref": "#/properties/b"}, b=TEXT),
        obj(a={"$ref": "#/$defs/B", "minimum": 1}) | {"$defs": {"B": {"type": "integer"}}},
        obj(a={"allOf": [TEXT, TEXT]}),
        obj(a=TEXT) | {"patternProperties": {}},
        obj(a=TEXT) | {"if": {}},
        obj(a=TEXT) | {"anyOf": [obj(b=TEXT)]},
    ],
)
def test_what_would_be_forbidden_beyond_the_schema_is_not_said(schema: dict[str, Any]):
    assert constrained(schema, WIDE) is None


def test_every_property_is_there_if_it_must_or_has_a_default():
    assert constrained(obj("a", a=TEXT, b=TEXT), COMPLETE) is None
    made = constrained(obj("a", a=TEXT, b=TEXT | {"default": "x"}), COMPLETE)
    assert made == closed("a", "b", a=TEXT, b=TEXT | {"description": '(default: "x")'})


def test_what_refers_to_itself_is_said_where_it_may():
    schema = Node.model_json_schema()
    schema = {**schema["$defs"]["Node"], "$defs": schema["$defs"]}
    assert constrained(schema, NARROW) is None
    made = constrained(schema, WIDE)
    assert made is not None
    jsonschema.validate({"below": [{"below": []}]}, made)
    with_note = obj("a", a={"$ref": "#/$defs/A"}) | {
        "$defs": {"A": obj(b={"$ref": "#/$defs/A", "description": "again"})}
    }
    assert constrained(with_note, WIDE) is not None
    chain = obj(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": closed("b", b={"$ref": "#/$defs/B"}), "B": TEXT, "C": {}}}
    made = constrained(chain, NARROW)
    assert made is not None
    assert made["$defs"] == {"A": closed("b", b={"$ref": "#/$defs/B"}), "B": TEXT}


def test_a_reference_stands_alone():
    described = obj("a", a={"$ref": "#/$defs/A", "description": "mine"}) | {"$defs": {"A": TEXT | {"title": "A"}}}
    assert constrained(described, WIDE) == closed("a", a=TEXT | {"description": "mine"})
    lone = obj("a", a={"allOf": [{"$ref": "#/$defs/A"}]}) | {"$defs": {"A": TEXT}}
    assert constrained(lone, WIDE) == closed("a", a={"$ref": "#/$defs/A"}) | {"$defs": {"A": TEXT}}


def test_a_provider_takes_so_many_optional_properties_and_unions():
    assert constrained(obj(a=TEXT, b=TEXT), NARROW) is not None
    assert constrained(obj(a=TEXT, b=TEXT, c=TEXT), NARROW) is None
    either = {"anyOf": [TEXT, {"type": "null"}]}
    assert constrained(obj("a", a=either), NARROW) is not None
    assert constrained(obj("a", "b", a=either, b={"type": ["string", "null"]}), NARROW) is None


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (TEXT | {"format": "date"}, TEXT | {"format": "date"}),
        (TEXT | {"format": "uri"}, TEXT | {"description": '(format: "uri")'}),
        (TEXT | {"pattern": "^x"}, TEXT | {"pattern": "^x"}),
        (TEXT | {"pattern": "(?=x)"}, TEXT | {"description": '(pattern: "(?=x)")'}),
        ({"const": 1}, {"const": 1}),
        ({"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "array", "items": TEXT, "minItems": 3}, {"type": "array", "items": TEXT, "minItems": 3}),
        (closed(), closed()),
    ],
)
def test_what_a_provider_knows_is_said_as_it_is(given: dict[str, Any], made: dict[str, Any]):
    assert constrained(obj("a", a=given), WIDE) == closed("a", a=made)


@pytest.mark.parametrize(("least", "said"), [(0, True), (1, True), (2, False)])
def test_a_provider_that_knows_no_bounds_knows_whether_a_list_may_be_empty(least: int, *, said: bool):
    made = constrained(obj("a", a={"type": "array", "items": TEXT, "minItems": least}), NARROW)
    assert made is not None
    assert ("minItems" in made["properties"]["a"]) is said  # type: ignore[index, call-overload, operator]


def test_words_come_behind_the_system_prompt():
    assert told("Be kind.", {"type": "object"}).startswith("Be kind.\n\nWhen")
    assert told(" ", {"type": "object"}).endswith('{"type": "object"}')


leaves = st.sampled_from([
    TEXT, {"type": "integer", "minimum": 1}, {"type": "boolean"}, {"enum": ["a", 1]}, {"$ref": "#/$defs/D"},
    {"type": ["string", "null"]}, {"type": "string", "default": "d", "maxLength": 1},
])  # fmt: skip
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda a, b, must: obj(*must, a=a, b=b), inner, inner, st.sampled_from([(), ("a",), ("a", "b")])),
        st.builds(lambda each: {"type": "array", "items": each}, inner),
        st.builds(lambda left, right: {"anyOf": [left, right]}, inner, inner),
    ),
    max_leaves=5,
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["a", "d", "long"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@few
@given(schemas, values, st.sampled_from([WIDE, COMPLETE]))
def test_the_same_schema_is_made_each_time_and_made_again_it_stays_as_it_is(schema: Any, value: Any, dialect: Dialect):
    whole = obj("x", x=schema) | {"$defs": {"D": obj("a", a=TEXT)}}
    made = constrained(whole, dialect)
    assert made == constrained(whole, dialect)
    if made is None:
        return
    jsonschema.Draft202012Validator.check_schema(made)
    assert constrained(made, dialect) == made
    strict = jsonschema.Draft202012Validator(made).is_valid({"x": value})
    bounded = "maxLength" in json.dumps(whole)
    if strict and not bounded:
        assert jsonschema.Draft202012Validator(whole).is_valid({"x": value}), "what it lets pass is valid"
