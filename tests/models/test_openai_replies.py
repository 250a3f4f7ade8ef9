"""What the APIs of OpenAI stream becomes pieces of text and one reply, or an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.errors import ModelError
from callboard.models.openai.chat_reply import ChatReading
from callboard.models.openai.reading import END, arguments, text
from callboard.models.openai.responses_reply import ResponseReading
from callboard.models.port import ChatReply, Counted, TextDelta, ToolCall, Unseen, Usage

LIMITS = {"x-ratelimit-remaining-requests": "9"}
BODY: dict[str, Any] = {"input": "x" * 88}
COUNTED = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 7,
}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def message(said: str, kind: str = "output_text") -> dict[str, Any]:
    key = "refusal" if kind == "refusal" else "text"
    return {"type": "message", "role": "assistant", "content": [{"type": kind, key: said}]}


def call(given: Any, status: str = "completed") -> dict[str, Any]:
    return {"type": "function_call", "call_id": "call_1", "name": "search", "arguments": given, "status": status}


def delta(said: Any, kind: str = "output_text") -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "delta": said}


def ended(*output: Any, how: str = "completed", usage: Any = COUNTED, **rest: Any) -> dict[str, Any]:
    return {"type": f"response.{how}", "response": {"output": list(output), "usage": usage, **rest}}


def responses(*events: Any) -> tuple[list[str], ChatReply]:
    return pieces_of(ResponseReading(BODY, LIMITS), *events)


def chat(*events: Any) -> tuple[list[str], ChatReply]:
    return pieces_of(ChatReading(BODY, LIMITS), *events, END)


def pieces_of(reading: Any, *events: Any) -> tuple[list[str], ChatReply]:
    found: list[Any] = []
    for event in events:
        assert not reading.over
        found += reading.read(event)
    assert reading.over
    *deltas, reply = found
    assert isinstance(reply, ChatReply)
    said = [piece.text for piece in deltas if isinstance(piece, TextDelta)]
    assert "".join(said) == reply.text
    return said, reply


def chunk(finish: str | None = None, usage: Any = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}], "usage": usage}


def failure(reading: Any, *events: Any) -> ModelError:
    with pytest.raises(ModelError) as raised:
        pieces_of(reading, *events)
    return raised.value


def test_a_reply_has_the_text_and_the_usage_without_the_cache() -> None:
    said, reply = responses({"type": "response.created"}, delta("Hel"), delta(""), delta("lo"), ended(message("Hello")))
    assert said == ["Hel", "lo"]
    assert reply == ChatReply("Hello", (), Usage(30, 7, 60, written_tokens=10), "end", limits=LIMITS)


def test_text_that_was_not_streamed_still_comes_as_a_piece() -> None:
    assert responses(ended(REASONING, message("Hello"), message(" you")))[0] == ["Hello you"]


def test_items_that_the_end_leaves_out_are_those_that_came_before() -> None:
    done = {"type": "response.output_item.done", "item": call('{"query": "x"}')}
    assert responses(done, ended())[1].tool_calls == (ToolCall("call_1", "search", {"query": "x"}),)


@pytest.mark.parametrize(
    ("event", "stop"),
    [
        (ended(message("no", "refusal")), "refusal"),
        (ended(message("well"), call("{}")), "tool_use"),
        (ended(how="incomplete", incomplete_details={"reason": "max_output_tokens"}), "max_tokens"),
        (ended(how="incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (ended(how="incomplete"), "max_tokens"),
        (ended(), "end"),
    ],
)
def test_the_end_of_a_response_says_why(event: Any, stop: str) -> None:
    assert responses(event)[1].stop == stop


def test_a_refusal_is_the_text() -> None:
    said, reply = responses(delta("I ", "refusal"), delta("cannot", "refusal"), ended(message("I cannot", "refusal")))
    assert (said, reply.text) == (["I ", "cannot"], "I cannot")


def test_reasoning_comes_back_as_it_was_said() -> None:
    output = (REASONING, message("hm"), call("{}"))
    assert responses(ended(*output))[1].blocks == output
    assert responses(ended(message("hm")))[1].blocks == ()


@pytest.mark.parametrize(
    "event",
    [
        ended(REASONING, {**REASONING, "encrypted_content": None}, message("hm")),  # it was not stored anywhere
        ended(REASONING, message("hm"), how="incomplete"),
        ended(REASONING, message("\ud83d")),
    ],
)
def test_reasoning_that_cannot_be_sent_back_is_not_kept(event: Any) -> None:
    assert responses(event)[1].blocks == ()


@pytest.mark.parametrize("error", [{"code": "server_error", "message": "oh"}, None, "x"])
def test_a_response_that_failed_is_an_error(error: Any) -> None:
    found = failure(ResponseReading(BODY, LIMITS), {"type": "response.failed", "response": {"error": error}})
    assert (found.kind, found.retryable, found.limits) == ("overload", True, LIMITS)


def test_what_a_response_that_failed_has_used_is_passed_on_before_its_error() -> None:
    read = iter(ResponseReading(BODY, LIMITS).read(ended(how="failed", error={"code": "server_error"})))
    assert next(read) == Counted(Usage(30, 7, 60, written_tokens=10))
    with pytest.raises(ModelError, match="server_error"):
        next(read)


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": 0, "output_tokens": 0}, "x"])
def test_a_response_that_failed_and_counts_nothing_is_its_error_alone(usage: Any) -> None:
    read = iter(ResponseReading(BODY, LIMITS).read(ended(how="failed", usage=usage, error={"code": "server_error"})))
    with pytest.raises(ModelError, match="server_error"):
        next(read)


def test_an_error_event_is_an_error() -> None:
    event = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}
    assert failure(ResponseReading(BODY, LIMITS), delta("Hel"), event).kind == "rate"


@pytest.mark.parametrize("reading", [ResponseReading, ChatReading])
def test_a_stream_without_its_end_is_truncated(reading: Any) -> None:
    for events in ((), (delta("Hel"), chunk(content="Hel"))):
        found = failure(reading(BODY, LIMITS), *events, END)
        assert (found.kind, found.retryable, found.limits) == ("truncated", True, LIMITS)


def test_a_chat_that_is_done_without_a_finish_reason_says_what_is_missing() -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 2}
    found = failure(ChatReading(BODY, LIMITS), chunk(content="Hel"), {"choices": [], "usage": usage}, END)
    assert (found.kind, "finish_reason" in str(found)) == ("truncated", True)


@given(st.lists(JSON, max_size=4), st.sampled_from([ResponseReading, ChatReading]))
def test_no_event_stops_the_reading(events: list[Any], reading: Any) -> None:
    assert [reading(BODY, LIMITS).read(event) for event in events] == [[] if reading is ChatReading else ()] * len(
        events
    )


@given(JSON, JSON, JSON, JSON)
def test_no_end_stops_the_reading(one: Any, two: Any, three: Any, four: Any) -> None:
    item = {"type": "function_call", "name": one, "call_id": two, "arguments": three}
    responses(ended(item, one, {"type": "message", "content": four}, usage=two))
    odd = {"index": one, "id": two, "function": {"name": three, "arguments": four}}
    chat({"choices": one, "usage": two}, chunk(content=three, tool_calls=[odd, four]), chunk("stop", usage=one))


def test_a_server_that_does_not_count_is_estimated_from_bytes() -> None:
    assert responses(delta("Hello"), ended(message("Hello"), usage=None))[1].usage == Usage(50, 3)
    assert chat(chunk(content="Hello"), chunk("stop"))[1].usage == Usage(50, 3)


def test_usage_is_never_below_nothing() -> None:
    odd = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9}, "output_tokens": -1}
    assert responses(ended(usage=odd))[1].usage == Usage(0, 0, 9)


@pytest.mark.parametrize(
    ("raw", "cut", "read"),
    [
        ('{"a": 1}', False, {"a": 1}),
        ({"a": 1}, False, {"a": 1}),
        ("", False, {}),
        (None, False, {}),
        ("", True, ""),
        ('{"a": ', False, '{"a": '),
        ('{"a": NaN}', False, '{"a": NaN}'),
        ('{"a": 1e400}', False, '{"a": 1e400}'),
        ('{"a": "\\ud83d"}', False, '{"a": "\\ud83d"}'),
        ("[" * 9_999, False, "[" * 9_999),
        ("7", False, 7),
    ],
)
def test_arguments_that_are_no_json_stay_as_they_came(raw: Any, cut: Any, read: Any) -> None:
    assert arguments(raw, cut=cut) == read


def test_a_call_that_was_cut_off_has_no_arguments_rather_than_empty_ones() -> None:
    assert responses(ended(call("", "incomplete"), how="incomplete"))[1].tool_calls[0].arguments == ""
    piece = {"index": 0, "id": "c", "function": {"name": "search", "arguments": ""}}
    assert chat(chunk(tool_calls=[piece]), chunk("length"))[1].tool_calls[0].arguments == ""
    assert chat(chunk(tool_calls=[piece]), chunk("tool_calls"))[1].tool_calls[0].arguments == {}


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert text("a\ud83d") == "a\ufffd"
    assert text("a\ud83d\ude00") == "a\U0001f600"
    assert text(7) == ""


def test_what_is_said_beside_the_text_of_a_response_is_a_sign_of_life_and_has_its_size() -> None:
    reading = ResponseReading(BODY, LIMITS)
    thought = {"type": "reasoning", "encrypted_content": "abcdef"}
    assert reading.read(delta("hé", "reasoning_summary_text")) == (Unseen(3),)
    assert reading.read(delta('{"a"', "function_call_arguments")) == (Unseen(4),)
    assert reading.read({"type": "response.output_item.added", "item": {"id": 1}}) == (Unseen(8),)
    assert reading.read({"type": "response.output_item.done", "item": thought}) == (Unseen(6),)
    assert reading.read({"type": "response.output_item.done", "item": {"type": "message"}}) == ()


def test_a_completed_response_that_says_it_is_incomplete_was_cut_off() -> None:
    part = {"type": "message", "content": [{"type": "output_text", "text": "half an"}]}
    why = {"incomplete_details": {"reason": "max_output_tokens"}}
    assert responses(ended(part, status="incomplete", **why))[1].stop == "max_tokens"
    assert responses(ended(part, status="completed"))[1].stop == "end"


def test_what_is_said_beside_the_text_of_a_chat_is_a_sign_of_life_and_has_its_size() -> None:
    reading = ChatReading(BODY, LIMITS)
    function = {"name": "add", "arguments": '{"a"'}
    assert reading.read(chunk(reasoning_content="hé")) == [Unseen(3)]
    assert reading.read(chunk(reasoning="hm", content="x")) == [Unseen(2), TextDelta("x")]
    assert reading.read(chunk(tool_calls=[{"index": 0, "function": function}])) == [Unseen(3), Unseen(4)]
    assert reading.read(chunk(tool_calls=[{"index": 0, "function": {"arguments": {"a": 1}}}])) == [Unseen(7)]


def test_what_a_server_counts_in_a_chunk_is_passed_on_behind_what_the_chunk_says() -> None:
    reading = ChatReading(BODY, LIMITS)
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 12}}
    assert reading.read(chunk(content="x", usage=usage)) == [TextDelta("x"), Counted(Usage(8, 2, 12))]
    for nothing in (None, {}, {"prompt_tokens": 0, "completion_tokens": 0}):
        assert reading.read(chunk(content="x", usage=nothing)) == [TextDelta("x")]


def test_a_chat_is_read_from_its_chunks() -> None:
    said, reply = chat(
        chunk(role="assistant", content=""),
        chunk(content="Hel"),
        chunk(content="lo"),
        chunk("stop"),
        {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 2}},
    )
    assert said == ["Hel", "lo"]
    assert reply == ChatReply("Hello", (), Usage(20, 2), "end", limits=LIMITS)


def test_the_usage_of_a_chat_is_the_last_one_without_the_cache() -> None:
    details = {"cached_tokens": 12, "cache_write_tokens": 3}
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "prompt_tokens_details": details}
    assert chat(chunk("stop", usage={"prompt_tokens": 1}), {"usage": usage})[1].usage == Usage(
        5, 2, 12, written_tokens=3
    )


def test_tool_calls_of_a_chat_are_put_together() -> None:
    begun = [
        {"index": 0, "id": "a", "function": {"name": "search", "arguments": ""}},
        {"index": 1, "id": "b", "function": {"name": "search"}},
    ]
    more = [{"index": 0, "function": {"arguments": '{"query"'}}, {"index": 1, "function": {"arguments": "{"}}]
    rest = [{"index": 0, "function": {"arguments": ': "x"}'}}]
    calls = chat(chunk(tool_calls=begun), chunk(tool_calls=more), chunk(tool_calls=rest), chunk("tool_calls"))[1]
    assert calls.tool_calls == (ToolCall("a", "search", {"query": "x"}), ToolCall("b", "search", "{"))
    assert calls.stop == "tool_use"


@pytest.mark.parametrize("index", [{}, {"index": 0}])
def test_whole_calls_without_their_number_are_told_apart_by_their_ids(index: Any) -> None:
    whole = [{**index, "id": name, "function": {"name": "search", "arguments": {"query": name}}} for name in "ab"]
    calls = chat(chunk(tool_calls=whole), chunk("stop"))[1]
    assert [each.arguments for each in calls.tool_calls] == [{"query": "a"}, {"query": "b"}]
    assert calls.stop == "tool_use"


@pytest.mark.parametrize(
    ("finish", "stop"),
    [("stop", "end"), ("eos", "end"), ("length", "max_tokens"), ("content_filter", "content_filter")],
)
def test_the_end_of_a_chat_says_why(finish: str, stop: str) -> None:
    assert chat(chunk(finish))[1].stop == stop


def test_a_chat_may_refuse() -> None:
    said, reply = chat(chunk(refusal="I cannot"), chunk("stop"))
    assert (said, reply.stop) == (["I cannot"], "refusal")


def test_a_chat_that_its_server_gave_up_on_is_an_error() -> None:
    found = failure(ChatReading(BODY, LIMITS), chunk("error"), END)
    assert (found.kind, found.retryable) == ("overload", True)
    told = failure(ChatReading(BODY, LIMITS), {"error": {"code": 429, "message": "slow down"}})
    assert (told.kind, told.retryable) == ("rate", True)


def piece(given: str, name: str = "search", **where: Any) -> dict[str, Any]:
    return {**where, "function": {"arguments": given, **({"name": name} if name else {})}}


A, B = '{"query": "a"}', '{"query": "b"}'


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(A), piece(B)],
        [piece(A, index=0), piece(B, index=0)],
        [piece(A, index=0, id=""), piece(B, index=0, id="")],
        [piece(A[:9], id="x"), piece(A[9:], "", id=None), piece(B[:9], id="y"), piece(B[9:], "", id=None)],
        [piece(A[:9], index=0, id="x"), piece(A[9:], ""), piece(B, index=1, id="y")],
        [piece(A[:9], id="x"), piece(B, id="y"), piece(A[9:], id="x")],
        [piece(A[:9], index=0, id="x"), piece(A[9:], index=0, id="x"), piece("", index=0, id="x"), piece(B, id="y")],
        [piece(A, index=0, id="x"), piece(B, index=1, id="x")],
    ],
)
def test_calls_are_told_apart_without_their_index_or_their_id(pieces: list[Any]) -> None:
    each = chat(*(chunk(tool_calls=[one]) for one in pieces), chunk("tool_calls"))[1].tool_calls
    at_once = chat(chunk(tool_calls=pieces), chunk("tool_calls"))[1].tool_calls
    assert [(call.name, call.arguments) for call in each] == [("search", {"query": "a"}), ("search", {"query": "b"})]
    assert at_once == each


def test_a_call_without_arguments_is_followed_by_one_of_another_name() -> None:
    calls = chat(chunk(tool_calls=[piece("", "now"), piece(A), piece("", "now")]), chunk("tool_calls"))[1].tool_calls
    assert [(call.name, call.arguments) for call in calls] == [("now", {}), ("search", {"query": "a"}), ("now", {})]


def test_a_name_in_each_piece_is_no_other_call() -> None:
    pieces = [piece(A[at : at + 3], index=0) for at in range(0, len(A), 3)]
    calls = chat(*(chunk(tool_calls=[one]) for one in [*pieces, piece("", index=0)]), chunk("stop"))[1].tool_calls
    assert [call.arguments for call in calls] == [{"query": "a"}]


def test_a_whole_message_in_one_chunk_an_older_call_and_text_in_parts_are_understood() -> None:
    whole = {"message": {"content": "Hello", "tool_calls": [piece(A)]}, "finish_reason": "tool_calls"}
    reply = chat({"choices": [whole]})[1]
    assert (reply.text, reply.tool_calls[0].arguments, reply.stop) == ("Hello", {"query": "a"}, "tool_use")
    begun, more = {"name": "search", "arguments": A[:5]}, {"arguments": A[5:]}
    older = chat(chunk(function_call=begun), chunk(function_call=more), chunk("function_call"))[1]
    assert (older.tool_calls[0].arguments, older.stop) == ({"query": "a"}, "tool_use")
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    parts = [thought, {"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    assert chat(chunk(content=parts), chunk("stop"))[1].text == "Hello"


def test_only_the_first_choice_counts_in_whatever_order_they_come() -> None:
    def of(index: int, **rest: Any) -> dict[str, Any]:
        return {"choices": [{"index": index, **rest}]}

    events = [of(0, delta={"content": "a"}), of(1, delta={"content": "b"}, finish_reason="length")]
    assert chat(*events, of(0, finish_reason="stop"))[1] == chat(chunk(content="a"), chunk("stop"))[1]


@pytest.mark.parametrize("tokens", [0, -5, 10**10 + 1, "7", True, float("nan"), float("inf")])
def test_a_server_that_says_what_is_no_count_does_not_count(tokens: Any) -> None:
    nothing = {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 9}
    assert chat(chunk(content="Hello"), chunk("stop", usage=nothing))[1].usage == Usage(50, 3)
    none = {"input_tokens": tokens, "output_tokens": tokens, "total_tokens": 9}
    assert responses(delta("Hello"), ended(message("Hello"), usage=none))[1].usage == Usage(50, 3)


def test_a_count_may_come_as_a_number_with_a_point() -> None:
    counted = {"prompt_tokens": 20.0, "completion_tokens": 2.0}
    assert chat(chunk("stop", usage=counted))[1].usage == Usage(20, 2)
