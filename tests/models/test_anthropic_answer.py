"""Streams of the Messages API, event by event."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from callboard.errors import ModelError
from callboard.models.anthropic.answer import Answer
from callboard.models.port import ChatReply, Counted, Delta, TextDelta, ToolCall, Unseen, Usage

USE = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}


def start(index: int, block: Any) -> Any:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Any) -> Any:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def spoken(*pieces: str, index: int = 0) -> list[Any]:
    return [start(index, {"type": "text", "text": ""}), *(delta(index, "text_delta", text=each) for each in pieces)]


def called(*pieces: str, index: int = 0) -> list[Any]:
    return [start(index, USE), *(delta(index, "input_json_delta", partial_json=each) for each in pieces)]


def end(reason: str | None = "end_turn", **usage: Any) -> list[Any]:
    return [{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}, {"type": "message_stop"}]


BODY = {"model": "claude", "messages": []}


def heard(*events: Any) -> tuple[list[Delta | None], Answer]:
    answer = Answer(BODY)
    return [answer.hear(event) for event in events], answer


def reply(*events: Any) -> ChatReply:
    _, answer = heard(*events)
    assert answer.complete
    return answer.reply({})


def test_a_reply_is_its_text_calls_usage_and_stop() -> None:
    begun = {"input_tokens": 7, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3, "output_tokens": 1}
    said, answer = heard(
        {"type": "message_start", "message": {"usage": begun}},
        *spoken("Hel", "lo"),
        {"type": "content_block_stop", "index": 0},
        *called('{"a"', ": 1}", index=1),
        *end("tool_use", output_tokens=9, input_tokens=None),
    )
    assert said[0] == Counted(Usage(7, 1, 20, written_tokens=3))
    assert said[-2:] == [Counted(Usage(7, 9, 20, written_tokens=3)), None]
    assert [piece.text for piece in said if isinstance(piece, TextDelta)] == ["Hel", "lo"]
    limits = {"anthropic-ratelimit-requests-limit": "50"}
    assert answer.reply(limits) == ChatReply(
        "Hello",
        (ToolCall("toolu_1", "add", {"a": 1}),),
        Usage(input_tokens=7, output_tokens=9, cached_tokens=20, written_tokens=3),
        "tool_use",
        limits=limits,
    )


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 0, "output_tokens": 0}])
def test_an_answer_that_counts_nothing_begins_without_a_count(usage: Any) -> None:
    said, _ = heard({"type": "message_start", "message": {"usage": usage}}, *end())
    assert said == [Unseen(), None, None]


def test_an_answer_is_complete_with_its_terminal_event_only() -> None:
    events = [*spoken("Hello"), *end()]
    for known in range(len(events)):
        assert not heard(*events[:known])[1].complete
    assert heard(*events)[1].complete
    with pytest.raises(ModelError, match="malformed") as truncated:
        heard({"type": "message_stop"})
    assert (truncated.value.kind, truncated.value.retryable) == ("truncated", True)


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", "end"),
        ("stop_sequence", "end"),
        ("tool_use", "tool_use"),
        ("max_tokens", "max_tokens"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "context"),
        ("a_new_one", "end"),
    ],
)
def test_every_stop_reason_is_known(reason: str, stop: str) -> None:
    assert reply(*spoken("x"), *end(reason)).stop == stop


def test_a_new_stop_reason_with_calls_is_a_turn_for_tools() -> None:
    assert reply(*called("{}"), *end("a_new_one")).stop == "tool_use"


@pytest.mark.parametrize("text", ['{"a": ', "{'a': 1}", '{"a": NaN}', '{"a": 1e400}', "[" * 5_000])
def test_arguments_that_are_no_json_are_handed_on_as_text(text: str) -> None:
    assert reply(*called(text), *end("tool_use")).tool_calls[0].arguments == text


def test_no_arguments_are_an_empty_object_unless_the_answer_was_cut_off() -> None:
    assert reply(*called(""), *end("tool_use")).tool_calls[0].arguments == {}
    assert reply(*called(), *end("max_tokens")).tool_calls[0].arguments == ""
    assert reply(start(0, {**USE, "input": {"a": 1}}), *end("tool_use")).tool_calls[0].arguments == {"a": 1}


def test_an_answer_with_thoughts_is_kept_as_it_was_said() -> None:
    signed = [
        start(0, {"type": "thinking", "thinking": "", "signature": ""}),
        delta(0, "thinking_delta", thinking="h"),
        delta(0, "thinking_delta", thinking="m"),
        delta(0, "signature_delta", signature="s1"),
    ]
    sealed = start(1, {"type": "redacted_thinking", "data": "xyz"})
    cited = [*spoken("two", index=2), delta(2, "citations_delta", citation={"cited_text": "2"})]
    got = reply(*signed, sealed, *cited, *called('{"a": 1}', index=3), *end("tool_use"))
    assert got.text == "two"
    assert got.blocks == (
        {"type": "thinking", "thinking": "hm", "signature": "s1"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "two", "citations": [{"cited_text": "2"}]},
        {**USE, "input": {"a": 1}},
    )


def test_an_answer_of_text_and_calls_only_is_not_kept() -> None:
    assert reply(*spoken("x"), *called("{}", index=1), *end("tool_use")).blocks == ()


def test_wrong_arguments_in_a_kept_answer_go_back_as_an_object() -> None:
    sealed = start(0, {"type": "redacted_thinking", "data": "xyz"})
    assert reply(sealed, *called("{", index=1), *end("tool_use")).blocks[1] == {**USE, "input": {"arguments": "{"}}


def test_of_a_refused_answer_only_the_text_counts() -> None:
    sealed = start(0, {"type": "redacted_thinking", "data": "xyz"})
    got = reply(sealed, *spoken("I", index=1), *called("{}", index=2), *end("refusal"))
    assert (got.text, got.tool_calls, got.blocks, got.stop) == ("I", (), (), "refusal")


def test_what_is_said_beside_the_text_is_a_sign_of_life_and_has_its_size() -> None:
    block = {"type": "thinking", "thinking": ""}
    thought = delta(0, "thinking_delta", thinking="hé"), delta(0, "signature_delta", signature="abc")
    told = heard(start(0, block), *thought)[0]
    assert told == [Unseen(len(to_json(block))), Unseen(3), Unseen(3)]
    assert heard(*called('{"a"'))[0] == [Unseen(len(to_json(USE))), Unseen(4)]
    assert heard(start(0, {"type": "text", "text": "x"}), delta(0, "new_delta", new=1))[0] == [TextDelta("x"), None]


def test_what_is_not_known_yet_is_passed_over() -> None:
    got = reply(*spoken("x"), {"type": "new"}, delta(0, "new_delta", new=1), *end(output_tokens=3))
    assert (got.text, got.usage) == ("x", Usage(output_tokens=3))


@pytest.mark.parametrize("told", [{}, {"input_tokens": 0, "output_tokens": 0}])
def test_a_call_that_a_compatible_server_has_not_counted_is_charged_by_its_bytes(told: dict[str, int]) -> None:
    begun = {"type": "message_start", "message": {"usage": told}}
    got = reply(begun, *spoken("Hello"), *called('{"a": 1}', index=1), *end("tool_use", **told))
    assert got.usage == Usage(input_tokens=-(-len(to_json(BODY)) // 2), output_tokens=7)


@pytest.mark.parametrize(
    "event",
    [
        [],
        "text",
        {},
        {"type": "content_block_start", "index": 0},
        {"type": "message_start", "message": {"usage": {"input_tokens": "many"}}},
        {"type": "message_start", "message": {"usage": {"input_tokens": -1}}},
        {"type": "message_start", "message": {"usage": {"input_tokens": 10**10 + 1}}},
        {"type": "message_start", "message": None},
        {"type": "message_delta", "delta": {}, "usage": [1]},
        start(0, {"type": ["text"]}),
        start("first", {"type": "text"}),
        start(0, {"type": "tool_use", "id": "toolu_1"}),
        delta(7, "text_delta", text="of no block"),
        delta(0, "text_delta", text=None),
        delta(0, "text_delta"),
    ],
)
def test_what_is_no_event_is_a_broken_stream(event: Any) -> None:
    with pytest.raises(ModelError, match="malformed") as raised:
        heard(*spoken(), event)
    assert (raised.value.kind, raised.value.retryable) == ("truncated", True)


def test_a_stream_that_is_over_too_soon_was_truncated() -> None:
    with pytest.raises(ModelError, match="ended without its terminal event") as raised:
        heard(*spoken(), None)
    assert (raised.value.kind, raised.value.retryable) == ("truncated", True)


json_values = st.recursive(
    st.sampled_from([None, True, 0, 7, "", "text", "text_delta", "message_start", "content_block_delta"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "index", "delta", "content_block", "usage", "message"]), inner)
    ),
    max_leaves=6,
)


@given(st.lists(json_values, max_size=4))
def test_whatever_comes_is_heard_or_a_broken_stream(events: list[Any]) -> None:
    with suppress(ModelError):
        heard(*spoken("x"), *events)
