"""Why an answer ends, in each provider's word; what is counted where the script says nothing; prices."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.testing import Call, Line, Rate, Reply, Tokens, by_turn
from callboard.testing.limits import Limit
from callboard.testing.pairing import problem
from callboard.testing.plan import plan
from callboard.testing.script import Answer, OutOfReplies, Request, Stop, Wire

STOPS: dict[Stop, tuple[str, str, str]] = {
    "end": ("end_turn", "response.completed", "stop"),
    "tool_use": ("tool_use", "response.completed", "tool_calls"),
    "max_tokens": ("max_tokens", "response.incomplete", "length"),
    "refusal": ("refusal", "response.completed", "stop"),
    "pause": ("pause_turn", "response.completed", "stop"),
    "context": ("model_context_window_exceeded", "response.failed", "length"),
    "content_filter": ("refusal", "response.incomplete", "content_filter"),
}


def answered(wire: Wire, reply: Reply, **body: Any) -> list[dict[str, Any]]:
    request = Request(1, wire, {"model": "m", "stream": True, **body}, {}, 0.0)
    answer = Answer(f"id_{body.get('number', 1)}", "m", reply, Tokens(10, 5), 0)
    frames = plan(answer, request, None).frames
    return [json.loads(frame.data) for frame in frames if frame.data != "[DONE]"]


@pytest.mark.parametrize("stop", get_args(Stop))
def test_every_reason_to_stop_has_its_word(stop: Stop) -> None:
    reply = Reply("so", stop=stop)
    messages = answered("anthropic", reply)
    assert [each["delta"]["stop_reason"] for each in messages if each["type"] == "message_delta"] == [STOPS[stop][0]]
    assert answered("openai", reply)[-1]["type"] == STOPS[stop][1]
    chat = answered("openai-chat", reply)
    assert chat[-1]["choices"][0]["finish_reason"] == STOPS[stop][2]
    for wire in ("anthropic", "openai", "openai-chat"):
        (whole,) = answered(wire, reply, stream=False)
        assert "so" in json.dumps(whole)


def test_an_incomplete_and_a_failed_response_say_why() -> None:
    filtered = answered("openai", Reply("so", stop="content_filter"))[-1]["response"]
    assert filtered["incomplete_details"] == {"reason": "content_filter"}
    failed = answered("openai", Reply("", stop="context"))[-1]["response"]
    assert failed["error"]["code"] == "context_length_exceeded"


def test_a_refusal_is_a_part_of_its_own_in_openais_wires() -> None:
    events = answered("openai", Reply("I will not", stop="refusal"))
    assert "response.refusal.delta" in [each["type"] for each in events]
    assert events[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "I will not"}]
    (whole,) = answered("openai-chat", Reply("I will not", stop="refusal"), stream=False)
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": None, "refusal": "I will not"}


def test_numbers_of_the_events_of_a_response_count_up() -> None:
    events = answered("openai", Reply("some text of more than a piece", (Call("a"), Call("b")), "a thought"))
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    added = [each["output_index"] for each in events if each["type"] == "response.output_item.added"]
    assert added == [0, 1, 2, 3]


def test_chat_says_usage_only_if_it_is_asked() -> None:
    assert "usage" not in answered("openai-chat", Reply("a"))[-1]
    asked = answered("openai-chat", Reply("a", thinking="hm"), stream_options={"include_usage": True})
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["total_tokens"] == 15
    assert asked[0]["usage"] is None


def test_calls_have_an_id_of_their_own_unless_the_script_gives_one() -> None:
    (message,) = answered("anthropic", Reply("", (Call("a"), Call("b"), Call("c", id="mine"))), stream=False)
    ids = [block["id"] for block in message["content"]]
    assert len({*ids}) == 3
    assert ids[2] == "mine"


def test_broken_arguments_stay_visible_in_a_whole_message() -> None:
    (message,) = answered("anthropic", Reply("", (Call("a", '{"x": '),)), stream=False)
    assert message["content"][0]["input"] == {"broken": '{"x": '}


@pytest.mark.parametrize(
    ("wire", "said", "turn"),
    [
        ("anthropic", [], 0),
        ("anthropic", [{"role": "user"}, {"role": "assistant"}, {"role": "user"}, {"role": "assistant"}], 2),
        ("openai-chat", [{"role": "assistant"}, {"role": "tool"}], 1),
        ("openai", [{"type": "reasoning"}, {"role": "assistant"}, {"type": "function_call"}], 1),
        ("openai", [{"type": "function_call"}, {"type": "function_call_output"}, {"type": "function_call"}], 2),
        ("openai", "hi", 0),
    ],
)
def test_the_turn_is_how_often_the_model_has_answered(wire: Wire, said: Any, turn: int) -> None:
    request = Request(1, wire, {"input" if wire == "openai" else "messages": said}, {}, 0.0)
    assert request.turn == turn
    script = by_turn("a", "b")
    if turn < 2:
        assert script(request) == "ab"[turn]
    else:
        with pytest.raises(OutOfReplies, match="turn 3 was asked"):
            script(request)


def test_money_is_rounded_up_for_each_call() -> None:
    assert Rate(0.1, 0.2).micros(Tokens(1, 0)) == 1
    assert Rate(3, 15).micros(Tokens(1, 1, 1, 1)) == 3 + 15 + 3 + 3
    assert Rate(3, 15, 0.3, 3.75).micros(Tokens(100, 20, 30, 40)) == 300 + 300 + 9 + 150
    assert Line(1, 2, 3, 4, 5, 6).plus(Line(1, 2, 3, 4, 5, 6)) == Line(2, 4, 6, 8, 10, 12)


def test_a_limit_lets_in_as_many_as_it_says_and_again_after_the_window() -> None:
    wall = datetime(2026, 11, 21, 18, tzinfo=UTC)
    limit = Limit(requests=2, tokens=100)
    assert limit.headers("openai", now=0, wall=wall)["x-ratelimit-reset-requests"] == "0ms"
    assert limit.wait(60, 0.0) == 0
    assert limit.wait(60, 10.0) == 50.0
    assert limit.wait(40, 10.0) == 0
    assert limit.wait(0, 59.5) == 0.5
    assert limit.headers("openai", now=0, wall=wall)["x-ratelimit-reset-tokens"] == "1m0s"
    assert limit.headers("openai-chat", now=53.5, wall=wall)["x-ratelimit-reset-tokens"] == "6.5s"
    told = limit.headers("anthropic", now=50.0, wall=wall)
    assert told["anthropic-ratelimit-input-tokens-remaining"] == "0"
    assert told["anthropic-ratelimit-requests-reset"] == "2026-11-21T18:00:10Z"
    assert limit.wait(60, 60.0) == 0
    assert Limit(tokens=10).wait(11, 0.0) > 0


SAID = st.text(max_size=40).filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text))
REPLIES = st.builds(
    Reply,
    SAID,
    st.lists(st.builds(Call, st.sampled_from(["add", "find"]), st.dictionaries(SAID, SAID, max_size=2))).map(tuple),
    SAID,
    piece=st.integers(1, 9),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(REPLIES, min_size=1, max_size=3))
def test_what_the_fake_says_it_accepts_when_it_comes_back_answered(replies: list[Reply]) -> None:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    items: list[Any] = [{"role": "user", "content": "hi"}]
    chat: list[Any] = [{"role": "user", "content": "hi"}]
    for number, reply in enumerate(replies):
        (message,) = answered("anthropic", reply, number=number, stream=False)
        (response,) = answered("openai", reply, number=number, stream=False)
        (completion,) = answered("openai-chat", reply, number=number, stream=False)
        if not message["content"]:
            continue
        results = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": "3"}
            for block in message["content"]
            if block["type"] == "tool_use"
        ]
        go_on = {"type": "text", "text": "go on"}
        messages += [
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": [*results, go_on]},
        ]
        outputs = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": "3"}
            for item in response["output"]
            if item["type"] == "function_call"
        ]
        items += [*response["output"], *outputs]
        said = completion["choices"][0]["message"]
        chat += [said, *({"role": "tool", "tool_call_id": each["id"]} for each in said.get("tool_calls", ()))]
        alone = response["output"][-1]["type"] == "reasoning"
        assert problem("anthropic", {"model": "m", "max_tokens": 1, "messages": messages}) is None
        assert alone or problem("openai", {"model": "m", "input": items}) is None
        assert problem("openai-chat", {"model": "m", "messages": chat}) is None
        if alone:
            items.pop()
