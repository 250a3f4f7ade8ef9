"""How many tokens a request may have: the most, and what calls showed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.config.spec import ModelChoice, ToolSpec
from callboard.models.port import AssistantTurn, ChatRequest, SteerNote, ToolCall, ToolOutcome, UserText
from callboard.models.tokens import BYTES, Calibration, most_input, new_size, size_of

CALL = ToolCall("c", "look", {"q": "x" * 20})


def request_of(*messages) -> ChatRequest:
    tools = (ToolSpec(name="look", description="g" * 100),)
    return ChatRequest(
        ModelChoice(provider="p"), "s" * 100, messages, tools, attempt=1, call="m1", run="r", input="", timeout=1.0
    )


def test_an_estimate_counts_all_that_the_model_reads():
    messages = (UserText("a" * 100), AssistantTurn("b" * 100, (CALL,)), ToolOutcome("c", "look", "d" * 100))
    more = (ToolOutcome("c", "look", {"e": "f" * 100}), SteerNote("ü" * 50))
    assert 700 <= size_of(request_of(*messages, *more)) <= 800
    assert 350 <= most_input(request_of(*messages, *more), None) <= 400


def test_what_no_answer_has_read_yet_is_all_of_it_if_there_is_none():
    messages = (UserText("a" * 100), SteerNote("b" * 50))
    assert new_size(request_of(*messages), BYTES) == 150
    assert new_size(request_of(*messages, AssistantTurn("c"), *messages, messages[1]), BYTES) == 200


def test_what_a_provider_wants_back_counts_where_it_is_more():
    plain, signed = AssistantTurn("b" * 100), AssistantTurn("b" * 100, provider="p", blocks=({"text": "b" * 300},))
    assert size_of(request_of(signed)) - size_of(request_of()) == 300 + len('[{"text":""}]')
    short = AssistantTurn("b" * 100, provider="p", blocks=("b",))
    assert size_of(request_of(short)) == size_of(request_of(plain))


def test_a_model_that_nobody_knows_yet_is_taken_for_the_most():
    known = Calibration()
    for _ in range(7):
        known.observe("m", size=100, tokens=25)
    assert known.estimate("m", 101) == 51
    known.observe("m", size=100, tokens=25)
    assert known.estimate("m", 101) == 26
    assert known.estimate("other", 101) == 51


def test_what_says_nothing_is_not_learned_from():
    known = Calibration()
    for _ in range(20):
        known.observe("m", size=0, tokens=5)
        known.observe("m", size=5, tokens=0)
    assert known.estimate("m", 100) == 50


def test_old_calls_are_forgotten():
    known = Calibration()
    for tokens in (*[50] * 100, *[25] * 64):
        known.observe("m", size=100, tokens=tokens)
    assert known.estimate("m", 100) == 25


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=8, max_size=80), st.integers(0, 10**7)
)
def test_an_estimate_is_between_an_eighth_of_the_bytes_and_all_of_them(calls, size):
    known = Calibration()
    for each, tokens in calls:
        known.observe("m", size=each, tokens=tokens)
    assert size / 8 <= known.estimate("m", size) <= size


@given(st.lists(st.integers(13, 100), min_size=8, max_size=64), st.integers(1, 10))
def test_nine_of_ten_calls_had_at_most_what_is_estimated(calls, times):
    known = Calibration()
    for tokens in calls:
        known.observe("m", size=100, tokens=tokens)
    enough = sum(tokens * times <= known.estimate("m", 100 * times) for tokens in calls)
    assert enough >= 0.9 * len(calls)


@given(st.integers(0, 500), st.integers(0, 500))
def test_what_was_counted_is_not_estimated_again(last, added):
    request = request_of(UserText("x" * 1_000), AssistantTurn("y"), ToolOutcome("c", "look", "z" * added))
    most = most_input(request, last)
    assert most == (last + (added + 2 + 1) // 2 if last else (size_of(request) + 1) // 2)
