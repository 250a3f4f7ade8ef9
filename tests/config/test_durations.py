"""Durations as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.config.durations import LONGEST, parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("15m", 900.0),
        ("1h30m", 5_400.0),
        ("250ms", 0.25),
        ("1d2h3m4s5ms", 93_784.005),
        ("1.5s", 1.5),
        ("90", 90.0),
        (90, 90.0),
        (0.5, 0.5),
        ("366d", LONGEST),
    ],
)
def test_a_duration_is_its_seconds(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    ["", "m", "x", "1m1h", "1h 30m", "-1s", "0", "0s", 0, -1, True, None, [], float("inf"), float("nan"),
     10**400, "367d", "1e3", "inf", "1_000", "\u0661m", " 1s", "1s\n"],
)  # fmt: skip
def test_anything_else_is_refused_and_not_repeated_in_the_message(written: object) -> None:
    with pytest.raises(ValueError, match=r"^expected seconds above 0, or a duration such as '15m'"):
        parse_duration(written)


@given(st.integers(0, 300), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(1, 999))
def test_the_parts_add_up(days: int, hours: int, minutes: int, seconds: int, millis: int) -> None:
    expected = days * 86_400 + hours * 3_600 + minutes * 60 + seconds + millis / 1_000
    assert parse_duration(f"{days}d{hours}h{minutes}m{seconds}s{millis}ms") == pytest.approx(expected)


@given(st.text())
def test_any_text_is_a_duration_within_bounds_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 < parse_duration(text) <= LONGEST
