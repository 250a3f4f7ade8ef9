"""How deep a value in a journal may nest: told apart at the border, and at the border every entry holds it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from callboard.bus.codec import decode_record, encode
from callboard.bus.messages import Content, ModelResponded, Record, RunCompleted, ToolCall, ToolReturned
from callboard.config.nesting import DEEPEST, nests_deeper

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text())
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)


def nested(levels: int, *, objects: bool = False) -> JsonValue:
    value: JsonValue = {} if objects else []
    for _ in range(levels - 1):
        value = {"x": value} if objects else [value]
    return value


def depth(value: JsonValue) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0)


@given(values)
def test_a_value_has_the_levels_that_it_has(value: JsonValue) -> None:
    assert not nests_deeper(value, depth(value))
    assert nests_deeper(value, depth(value) - 1)


@pytest.mark.parametrize("objects", [True, False])
def test_the_deepest_value_fits_into_every_entry(objects: bool) -> None:  # noqa: FBT001 - a parameter of the test
    value = nested(DEEPEST, objects=objects)
    blocks = Content(value=nested(DEEPEST))
    record = Record(
        id="i1",
        owner="o1",
        events=(
            ModelResponded(call="m1", tool_calls=(ToolCall(id="m1.0", name="a", arguments=value),), blocks=blocks),
            ToolReturned(call="m1.0", result=Content(value=value)),
            RunCompleted(result=Content(value=value)),
        ),
    )
    assert decode_record(encode(record)) == record
    assert not nests_deeper(value, DEEPEST)
    assert nests_deeper([value], DEEPEST)
