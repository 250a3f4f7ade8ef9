"""The end of what a model is saying, as a terminal shows it."""

from __future__ import annotations

from callboard.bus.deltas import ModelDelta, TextReplaced
from callboard.cli.growing import LINES, Growing


def delta(n: int, text: str, *, call: str = "m1", attempt: int = 1) -> ModelDelta:
    return ModelDelta(call=call, attempt=attempt, n=n, text=text)


def growing(*events: ModelDelta | TextReplaced) -> Growing:
    made = Growing()
    for event in events:
        made.hear(event)
    return made


def test_pieces_join_and_lines_are_as_wide_as_there_is_room():
    made = growing(delta(0, "one two"), delta(7, " three\n\nfour"))
    assert list(made.lines("m1", width=9)) == ["one two", "three", "", "four"]


def test_the_last_lines_are_shown():
    made = growing(delta(0, "\n".join(map(str, range(100)))))
    assert list(made.lines("m1", width=80)) == [str(number) for number in range(100 - LINES, 100)]


def test_another_call_begins_anew_and_the_text_of_one_is_not_shown_for_another():
    made = growing(delta(0, "old"), delta(0, "new", call="m2"))
    assert list(made.lines("m2", width=80)) == ["new"]
    assert list(made.lines("m1", width=80)) == []


def test_what_is_replaced_is_marked_and_gone():
    made = growing(delta(0, "half an ans"))
    line = made.hear(TextReplaced(call="m1", attempt=1))
    assert line is not None
    assert "attempt 1" in line.text
    assert "replaced" in line.text
    assert list(made.lines("m1", width=80)) == []
    assert made.hear(delta(0, "whole", attempt=2)) is None
    assert list(made.lines("m1", width=80)) == ["whole"]


def test_no_escape_of_a_model_reaches_the_terminal():
    assert list(growing(delta(0, "a\x1b[31mb")).lines("m1", width=80)) == ["a�[31mb"]
