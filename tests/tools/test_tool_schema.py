import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from callboard.errors import ConfigError, ToolError
from callboard.tools import Resolution, ToolContext, tool

CONTEXT = ToolContext(run="r", tenant="t", call="c", key="k", deadline=1.0)


class Colour(enum.Enum):
    RED = "red"


class Point(BaseModel):
    x: int
    y: int = 0


@dataclass
class Pair:
    left: str


@tool(effect="pure", timeout=10)
async def everything(  # noqa: PLR0917  # one of each
    count: Annotated[int, Field(ge=1)],
    schema: str,
    where: Point,
    when: datetime,
    context: ToolContext,
    _pair: Pair | None = None,
    colours: tuple[Colour, ...] = (),
    mode: Literal["a", "b"] = "a",
    *,
    ratio: float = 0.5,
):
    """Do everything
    at once.

    More that the model does not need.

    Args:
        count: How often,
            at least once.
        schema (str): A name that pydantic keeps for itself.
        context: Not for the model.

    Returns:
        schema: not a parameter line.
    """
    return count


GOOD = {"count": 1, "schema": "s", "where": {"x": 1}, "when": "2026-11-21T10:00:00Z"}


def validate(**arguments):
    return everything.body.parameters.validate(arguments, CONTEXT)


def refused(arguments):
    with pytest.raises(ToolError) as caught:
        everything.body.parameters.validate(arguments, CONTEXT)
    assert caught.value.kind == "bad_arguments"
    return str(caught.value)


def test_the_spec_says_what_the_signature_and_the_docstring_say():
    schema = everything.spec.parameters
    assert everything.spec.description == "Do everything at once."
    assert everything.spec.timeout == 10
    assert schema["required"] == ["count", "schema", "where", "when"]
    assert "context" not in schema["properties"]
    assert schema["properties"]["count"] == {
        "description": "How often, at least once.",
        "minimum": 1,
        "type": "integer",
    }
    assert schema["properties"]["schema"]["description"] == "A name that pydantic keeps for itself."
    assert schema["properties"]["ratio"]["default"] == 0.5


def test_every_object_in_the_schema_is_closed():
    schema = everything.spec.parameters
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Point"]["additionalProperties"] is False
    assert schema["$defs"]["Pair"]["additionalProperties"] is False


def test_json_becomes_the_declared_types_and_what_is_left_out_stays_out():
    given = validate(**GOOD, colours=["red"], _pair={"left": "l"}, ratio=1)
    assert given.pop("context") is CONTEXT
    assert given.pop("when").year == 2026
    assert given == {
        "count": 1, "schema": "s", "where": Point(x=1), "colours": (Colour.RED,), "_pair": Pair("l"), "ratio": 1.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": "5"}, "count: Input should be a valid integer, not '5'"),
        ({"count": True}, "count: Input should be a valid integer, not True"),
        ({"count": 0}, "count: Input should be greater than or equal to 1, not 0"),
        ({"cuont": 5}, "cuont: there is no such parameter; there are count, schema, "),
        ({"where": {"x": 1, "z": 2}}, "where.z: there is no such parameter"),
        ({"where": {}}, "where.x: missing, it is required"),
        ({"mode": "c"}, "mode: Input should be 'a' or 'b', not 'c'"),
        ({"ratio": float("nan")}, "ratio: Input should be a finite number, not nan"),
        ({"schema": "\ud800"}, "the arguments are not JSON"),
        ({"context": {}}, "context: there is no such parameter"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_expected(change, message):
    assert message in refused({**GOOD, **change})


def test_all_wrong_arguments_are_named_at_once():
    message = refused({**GOOD, "count": "x", "schema": 1, **{f"extra{n}": n for n in range(20)}})
    assert "count: " in message
    assert "schema: " in message
    assert message.endswith("; and 12 more")


@pytest.mark.parametrize("arguments", [[], "{}", 5, True])
def test_arguments_that_are_no_object_are_refused(arguments):
    assert refused(arguments).startswith("arguments: Input should be an object")


def test_no_arguments_are_an_empty_object():
    @tool
    def ping() -> str:
        return "pong"

    assert ping.body.parameters.validate(None, CONTEXT) == {}
    assert ping.spec.parameters == {"type": "object", "properties": {}, "additionalProperties": False}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(
    arguments=json_values | st.fixed_dictionaries({}, optional=dict.fromkeys([*GOOD, "_pair", "ratio"], json_values))
)
def test_any_json_is_accepted_or_refused_in_words(arguments):
    problem = None
    try:
        everything.body.parameters.validate(arguments, CONTEXT)
    except ToolError as error:
        problem = error
    assert problem is None or (problem.kind == "bad_arguments" and str(problem))


def test_a_tool_is_called_like_its_function():
    @tool
    def double(number: int) -> int:
        return 2 * number

    assert double(4) == 8
    assert double(number=4) == 8


def test_effects_decide_the_policy_for_calls_in_doubt():
    def hook(number: int) -> Resolution:
        return Resolution("retry")

    def function(number: int) -> int:
        return number

    assert tool(function).spec.effect == "at_most_once"
    assert tool(function).spec.in_doubt == "continue"
    assert tool(effect="critical")(function).spec.in_doubt == "ask"
    assert tool(effect="critical", verify=hook)(function).spec.in_doubt == "ask"
    assert tool(verify=hook)(function).spec.in_doubt == "verify"
    assert tool(verify=hook, in_doubt="fail")(function).spec.in_doubt == "fail"


def no_type(path) -> None: ...
def collects(*paths: str) -> None: ...
def collects_names(**options: str) -> None: ...
def positional(path: str, /) -> None: ...
def no_json(path: type(test_a_tool_is_called_like_its_function)) -> None: ...
def unresolved(path: "Missing") -> None: ...  # noqa: F821 - that is the point
def optional_context(path: ToolContext | None) -> None: ...
def two_contexts(a: ToolContext, path: ToolContext) -> None: ...


@pytest.mark.parametrize(
    ("function", "parameter", "message"),
    [
        (no_type, "path", "has no type: annotate it"),
        (collects, "paths", "collects any arguments"),
        (collects_names, "options", "collects any arguments"),
        (positional, "path", "is positional-only"),
        (no_json, "path", "has a type that no JSON value can be"),
        (unresolved, "path", "define the type at module level"),
        (optional_context, "path", "has a type that no JSON value can be"),
        (two_contexts, "path", "is a second ToolContext"),
    ],
)
def test_a_signature_that_no_model_can_call_is_a_config_error(function, parameter, message):
    with pytest.raises(ConfigError) as caught:
        tool(function)
    assert f"tool {function.__name__!r}: parameter {parameter!r} " in str(caught.value)
    assert message in str(caught.value)


def generator():
    yield 1


@pytest.mark.parametrize(
    ("decorate", "message"),
    [
        (lambda: tool(Point), "@tool is for functions"),
        (lambda: tool(generator), "is a generator"),
        (lambda: tool(name="no good")(positional_free), "name is 'no good'"),
        (lambda: tool(timeout=0)(positional_free), "timeout is 0"),
        (lambda: tool(timeout=float("inf"))(positional_free), "timeout is inf"),
        (lambda: tool(result_limit=0)(positional_free), "result_limit is 0"),
        (lambda: tool(in_doubt="verify")(positional_free), "add verify="),
        (lambda: tool(verify=other_names)(positional_free), "'other' is not a parameter of the tool"),
    ],
)
def test_a_wrong_declaration_is_a_config_error(decorate, message):
    with pytest.raises(ConfigError, match=message):
        decorate()


def positional_free(path: str) -> None: ...
def other_names(other: str) -> None: ...
