import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from callboard.tools import cap

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(value=json_values, limit=st.integers(60, 400))
def test_a_preview_is_never_larger_than_the_limit_and_valid_utf8(value, limit):
    capped = cap(value, limit)
    assert len(to_json(capped.preview)) <= limit
    assert capped.size == len(to_json(value))
    assert capped.truncated == (capped.size > limit)
    assert capped.truncated or capped.preview == value


@given(text=st.text(min_size=100), limit=st.integers(60, 90))
def test_a_cut_text_keeps_as_much_of_its_beginning_as_fits(text, limit):
    capped = cap(text, limit)
    kept, note = capped.preview.rsplit("… ", maxsplit=1)
    assert text.startswith(kept)
    assert note == f"{capped.size:,} bytes in all, cut"
    longer = text[: len(kept) + 1] + capped.preview[len(kept) :]
    assert len(to_json(longer)) > limit


def test_a_value_at_the_limit_is_whole_and_one_byte_above_is_cut():
    assert cap("x" * 98, 100).preview == "x" * 98
    assert cap("x" * 99, 100).truncated


def test_the_note_says_the_size_of_the_whole():
    assert cap("x" * 1_234_565, 1_000).preview.endswith("x… 1,234,567 bytes in all, cut")
    assert cap({"a": ["b"] * 1_000}, 100).preview.startswith('{"a":["b","b"')


@pytest.mark.parametrize("limit", [0, 1, 10])
def test_a_limit_below_the_note_leaves_the_note(limit):
    assert cap("x" * 100, limit).preview == "… 102 bytes in all, cut"
