"""What providers are told of an agent's ``output``: natively where they can be, in words where they cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from pydantic import BaseModel, Field

from callboard.config.spec import ModelChoice, ToolSpec
from callboard.errors import ModelError
from callboard.models.anthropic.wire import body_of
from callboard.models.openai import chat_wire, responses_wire
from callboard.models.openai.strictness import may_be_strict
from callboard.models.port import ChatRequest, UserText
from callboard.models.tokens import size_of
from callboard.testing.pairing import problem
from callboard.testing.script import Wire
from tests.models.test_structured import TEXT, Node, Order, closed, obj, schemas
from tests.support.journals import few

FREE = {"type": "object", "additionalProperties": TEXT}
TOOL = ToolSpec(name="look", parameters=closed("a", a=TEXT))


def asked(wire: Wire, output: dict[str, Any] | None, **settings: Any) -> dict[str, Any]:
    """The body that a provider of ``wire`` gets."""
    choice = ModelChoice(provider=wire, name="m", settings=settings)
    request = ChatRequest(choice, "Be kind.", (UserText("x"),), (TOOL,), 1, "m1", "r1", "x", 9.0, output)
    if wire == "anthropic":
        return body_of(request)
    if wire == "openai":
        return responses_wire.request_body(request)
    return chat_wire.request_body(request, at_openai=True)


def wanted(wire: Wire, body: dict[str, Any]) -> dict[str, Any] | None:
    """What of it says what the answer is to be."""
    if wire == "anthropic":
        return body.get("output_config", {}).get("format")
    if wire == "openai":
        return body.get("text", {}).get("format")
    found = body.get("response_format")
    return None if found is None else {"type": found["type"], **found["json_schema"]}


def system(wire: Wire, body: dict[str, Any]) -> str:
    if wire == "anthropic":
        return body["system"][0]["text"]
    return body["instructions"] if wire == "openai" else body["messages"][0]["content"]


WIRES: tuple[Wire, ...] = ("anthropic", "openai", "openai-chat")


@pytest.mark.parametrize("wire", WIRES)
def test_without_an_output_nothing_is_said(wire: Wire):
    body = asked(wire, None)
    assert wanted(wire, body) is None
    assert system(wire, body) == "Be kind."


@pytest.mark.parametrize("wire", WIRES)
def test_a_class_is_enforced_by_the_provider(wire: Wire):
    body = asked(wire, Order.model_json_schema())
    told = wanted(wire, body)
    assert told is not None
    assert told["type"] == "json_schema"
    assert told["schema"]["additionalProperties"] is False
    assert problem(wire, body) is None
    assert system(wire, body) == "Be kind."
    if wire != "anthropic":
        assert (told["name"], told["strict"]) == ("Order", True)


@pytest.mark.parametrize("wire", ["openai", "openai-chat"])
def test_what_openai_cannot_enforce_it_is_told_all_the_same(wire: Wire):
    for schema in (obj("a", a=TEXT, b=TEXT), FREE | {"title": "Übersicht & more" * 9}):
        body = asked(wire, schema)
        told = wanted(wire, body)
        assert told is not None
        assert (told["strict"], told["schema"]) == (False, schema)
        assert problem(wire, body) is None


@pytest.mark.parametrize(
    "schema", [FREE, Node.model_json_schema()["$defs"]["Node"] | {"$defs": Node.model_json_schema()["$defs"]}]
)
def test_what_claude_cannot_enforce_stands_in_the_prompt(schema: dict[str, Any]):
    body = asked("anthropic", schema)
    assert wanted("anthropic", body) is None
    assert "fits this JSON schema" in system("anthropic", body)
    assert problem("anthropic", body) is None


@pytest.mark.parametrize("wire", WIRES)
def test_a_model_that_cannot_do_it_is_told_in_the_prompt(wire: Wire):
    body = asked(wire, obj("a", a=TEXT), structured_output="prompt")
    assert wanted(wire, body) is None
    assert system(wire, body).startswith("Be kind.\n\nWhen you are done")
    assert "structured_output" not in str(body)
    assert system(wire, asked(wire, None, structured_output="prompt")) == "Be kind."
    native = asked(wire, obj("a", a=TEXT), structured_output="native")
    assert wanted(wire, native) == wanted(wire, asked(wire, obj("a", a=TEXT)))


@pytest.mark.parametrize("wire", WIRES)
def test_there_are_two_ways_to_tell_a_model(wire: Wire):
    with pytest.raises(ModelError, match="native, prompt"):
        asked(wire, None, structured_output="loud")


def test_a_setting_for_the_same_place_is_kept():
    body = asked("anthropic", obj("a", a=TEXT), output_config={"effort": "low", "format": {"type": "mine"}})
    assert body["output_config"]["effort"] == "low"
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert asked("anthropic", None, output_config={"format": {"type": "mine"}})["output_config"]["format"] == {
        "type": "mine"
    }
    body = asked("openai", obj("a", a=TEXT), verbosity="low")
    assert (body["text"]["verbosity"], body["text"]["format"]["name"]) == ("low", "output")


@few
@given(schemas)
def test_every_schema_is_said_so_that_the_provider_takes_it(schema: Any):
    whole = obj("x", x=schema) | {"$defs": {"D": obj("a", a=TEXT)}}
    for wire in WIRES:
        assert problem(wire, asked(wire, whole)) is None


def test_a_reference_with_words_beside_it_is_not_strict():
    tool = closed("a", a={"$ref": "#/$defs/A"}) | {"$defs": {"A": closed()}}
    assert may_be_strict(tool)
    tool["properties"]["a"]["description"] = "which the provider refuses"
    assert not may_be_strict(tool)


def test_the_schema_counts_as_what_the_model_reads():
    class Wide(BaseModel):
        text: str = Field(description="x" * 500)

    request = ChatRequest(ModelChoice(provider="openai"), "", (), (), 1, "m1", "r1", None, 9.0)
    assert size_of(replace(request, output=Wide.model_json_schema())) > size_of(request) + 500
