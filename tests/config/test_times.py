"""Instants and durations as people read them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.config.durations import LONGEST, parse_duration
from callboard.config.times import duration, instant, time_of_day

AT = datetime(2026, 11, 21, 17, 20, 3, 123456, tzinfo=timezone(timedelta(hours=1)))


def test_an_instant_has_no_microseconds_and_says_that_it_is_utc() -> None:
    assert instant(AT) == "2026-11-21 16:20:03Z"
    assert time_of_day(AT) == "16:20:03Z"
    assert instant(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02 00:00:00Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 ms"),
        (0.0, "0 ms"),
        (0.25, "250 ms"),
        (0.9996, "1.0 s"),
        (6.99303, "7.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (123.4, "2 min 3 s"),
        (900.0, "15 min"),
        (3605.0, "1 h"),
        (5400.0, "1 h 30 min"),
        (90_000.0, "1 d 1 h"),
        (math.inf, "for ever"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(min_value=0.001, max_value=LONGEST - 60))
def test_a_duration_that_is_read_again_is_about_as_long(seconds: float) -> None:
    told = duration(seconds)
    again = parse_duration(told.replace(" min", "m").replace(" ", ""))
    assert abs(again - seconds) <= max(0.05 * seconds, 0.0006)
    assert re.fullmatch(r"[0-9.]+ [a-z]+( [0-9]+ [a-z]+)?", told)
