"""Quoting the input and earlier results."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.errors import ModelError
from callboard.models.quoting import as_text, quote

SOURCES = {
    "input": {"path": "a.log", "list": [1, {"x": None}], "0": "zero"},
    "results": {"search_text": {"matches": [{"line": 3}]}, "t1-1": "ok"},
    "last": "bye",
}
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{{ input }}", SOURCES["input"]),
        ("{{input.path}}", "a.log"),
        ("{{ input.list.0 }}", 1),
        ("{{ input.list.1.x }}", None),
        ("{{ input.0 }}", "zero"),
        ("{{ results.search_text.matches.0.line }}", 3),
        ("line {{ results.search_text.matches.0.line }} of {{ input.path }}", "line 3 of a.log"),
        ("{{ input.list }}!", '[1, {"x": null}]!'),
        ("{{ results.t1-1 }}", "ok"),
        ("{{ last }}", "bye"),
        ({"a": ["{{ last }}", 1], "{{ last }}": True}, {"a": ["bye", 1], "{{ last }}": True}),
        ("{ last } {{ }} {{", "{ last } {{ }} {{"),
    ],
)
def test_a_placeholder_is_its_value_alone_and_its_text_inside_a_string(written: object, value: object) -> None:
    assert quote(written, SOURCES) == value


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{{ inptu }}", "the script quotes {{ inptu }}: there is input, results, last"),
        ("{{ input.pth }}", "the script quotes {{ input.pth }}: there is input.path, input.list, input.0"),
        ("{{ input.list.2 }}", "the script quotes {{ input.list.2 }}: there is input.list.0, input.list.1"),
        ("{{ input.list.-1 }}", "the script quotes {{ input.list.-1 }}: there is input.list.0, input.list.1"),
        ("x {{ last.0 }}", "the script quotes {{ last.0 }}: there is last"),
        ("{{ results.read_file }}", "the script quotes {{ results.read_file }}: there is results.search_text"),
    ],
)
def test_an_unknown_reference_says_what_there_is(written: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        quote(written, SOURCES)
    assert str(caught.value).startswith(message)
    assert (caught.value.kind, caught.value.retryable) == ("bad_request", False)


def test_a_reference_into_nothing_says_that_it_is_empty() -> None:
    with pytest.raises(ModelError, match="results is empty"):
        quote("{{ results.x }}", {**SOURCES, "results": {}})


@given(json)
def test_what_is_quoted_comes_through_unchanged_and_is_not_looked_at_again(value: object) -> None:
    sources = {"input": [value, "{{ last }}"], "results": {}, "last": "no"}
    assert quote("{{ input }}", sources) == [value, "{{ last }}"]
    assert quote("<{{ input.0 }}>", sources) == f"<{as_text(value)}>"
