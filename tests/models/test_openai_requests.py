"""Any conversation becomes a request that the APIs of OpenAI accept."""

from __future__ import annotations

import json
import re
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.config.settings import CHAT, RESPONSES, problem
from callboard.config.spec import ToolSpec
from callboard.errors import ModelError
from callboard.models.openai import chat_wire, responses_wire
from callboard.models.openai.history import wire_id
from callboard.models.openai.strictness import may_be_strict
from callboard.models.port import AssistantTurn, SteerNote, ToolCall, ToolOutcome, UserText
from callboard.testing import pairing
from tests.models.openai_requests import asked

CALL = ToolCall("m1.0", "search", {"query": "é"})
FOUND = ToolOutcome("m1.0", "search", {"hits": 2})
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed_1"}
SAID = {"type": "function_call", "id": "fc_1", "call_id": "call_A", "name": "search", "arguments": '{"query": "é"}'}


def items(*messages: Any) -> Any:
    return responses_wire.request_body(asked(*messages))["input"]


def chat_messages(*messages: Any, **rest: Any) -> Any:
    return chat_wire.request_body(asked(*messages, **rest), at_openai=False)["messages"]


def test_tools_that_may_not_be_called_are_told_as_ever_for_the_prompt_cache() -> None:
    for body_of in (responses_wire.request_body, partial(chat_wire.request_body, at_openai=True)):
        before, last = body_of(asked()), body_of(asked(may_call=False))
        assert last == {**before, "tool_choice": "none"}
        assert "tool_choice" not in body_of(asked(tools=(), may_call=False))


# what may stand in a conversation: turns of any provider, outcomes that are missing, late, double or of nobody


ARGUMENTS: list[Any] = [None, {}, {"query": "é"}, '{"query', "", 7, ["x"]]
BLANK = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ""}]}


def some_turn(dice: Random, at: int) -> AssistantTurn:
    count = dice.randint(0, 3)
    names = ["search", "read_file"]
    calls = tuple(ToolCall(f"m{at}.{each}", dice.choice(names), dice.choice(ARGUMENTS)) for each in range(count))
    provider = dice.choice(["", "openai", "anthropic"])
    blocks: list[Any] = []
    if provider == "openai" and dice.random() < 0.7:
        said, tag = dice.choice([count, count, dice.randint(0, 3)]), dice.choice([at, at, 0])
        blocks = [REASONING, BLANK, *(SAID | {"call_id": f"call_{tag}_{each}"} for each in range(said))]
    elif provider == "anthropic":
        blocks = [{"type": "thinking", "signature": "x"}]
    return AssistantTurn(dice.choice(["", "so", " "]), calls, provider, tuple(blocks))


def some_history(dice: Random) -> list[Any]:
    messages: list[Any] = [UserText(dice.choice(["go", ""]))]
    for at in range(1, dice.randint(1, 7)):
        turn = some_turn(dice, at)
        answers: list[Any] = [
            ToolOutcome(call.id, call.name, {"ok": True}, dice.random() < 0.3) for call in turn.tool_calls
        ]
        stray = ToolOutcome(f"m{dice.randint(0, at)}.{dice.randint(0, 4)}", "search", "late")
        extra = dice.sample([SteerNote("hurry", "ops"), UserText("and?"), stray], dice.randint(0, 2))
        following = [*(each for each in answers if dice.random() < 0.8), *extra]
        messages += [turn, *dice.sample(following, len(following))]
    return messages


@settings(max_examples=1_000, deadline=None)
@given(st.integers(0, 2**32))
def test_any_conversation_is_one_that_both_apis_accept(seed: int) -> None:
    messages = some_history(Random(seed))
    responses = responses_wire.request_body(asked(*messages))
    chat = chat_wire.request_body(asked(*messages), at_openai=False)
    json.dumps([responses, chat])
    assert pairing.problem("openai", responses) is None
    assert pairing.problem("openai-chat", chat) is None
    calls = [item for item in responses["input"] if item["type"] == "function_call"]  # type: ignore[union-attr, index, call-overload]
    asked_for = sum(len(message.tool_calls) for message in messages if isinstance(message, AssistantTurn))
    assert len(calls) == asked_for
    sent = [call["function"] for message in chat["messages"] for call in message.get("tool_calls", ())]  # type: ignore[union-attr]
    assert len(sent) == asked_for
    assert all(isinstance(json.loads(each["arguments"]), dict) for each in (*calls, *sent))  # type: ignore[index, call-overload]


@given(st.lists(st.text(), unique=True, max_size=8))
def test_ids_of_ours_become_different_ids_that_the_apis_take(ids: list[str]) -> None:
    sent = [wire_id(each) for each in ids]
    assert len(set(sent)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", each) for each in sent)
    assert wire_id("m1.0") == "m1_2e_0"


def test_a_turn_of_this_provider_goes_back_unchanged_with_its_own_ids() -> None:
    turn = AssistantTurn("", (CALL,), "openai", (REASONING, SAID))
    assert items(UserText("go"), turn, FOUND)[1:] == [
        REASONING,
        SAID,
        {"type": "function_call_output", "call_id": "call_A", "output": '{"hits": 2}'},
    ]


def test_a_turn_of_another_provider_is_rebuilt_from_its_text_and_calls() -> None:
    turn = AssistantTurn("let me see", (CALL,), "anthropic", ({"type": "thinking", "signature": "s"},))
    assert items(UserText("go"), turn, FOUND)[1:] == [
        {"type": "message", "role": "assistant", "content": "let me see"},
        {"type": "function_call", "call_id": "m1_2e_0", "name": "search", "arguments": '{"query": "é"}'},
        {"type": "function_call_output", "call_id": "m1_2e_0", "output": '{"hits": 2}'},
    ]


@pytest.mark.parametrize(
    "blocks",
    [
        (REASONING,),  # the call is missing
        (REASONING, SAID, SAID),
        (REASONING, SAID | {"call_id": None}),
        (REASONING, SAID | {"call_id": 7}, SAID),
    ],
)
def test_blocks_that_do_not_hold_the_calls_are_not_sent_back(blocks: tuple[Any, ...]) -> None:
    turn = AssistantTurn("", (CALL,), "openai", blocks)
    assert [item["type"] for item in items(UserText("go"), turn, FOUND)] == [
        "message",
        "function_call",
        "function_call_output",
    ]


def test_an_id_that_the_provider_used_before_is_not_sent_twice() -> None:
    first = AssistantTurn("", (CALL,), "openai", (REASONING, SAID))
    again = AssistantTurn("", (ToolCall("m2.0", "search", {}),), "openai", (REASONING, SAID))
    calls = [
        item["call_id"]
        for item in items(UserText("go"), first, FOUND, again, ToolOutcome("m2.0", "search", "x"))
        if item["type"] == "function_call"
    ]
    assert calls == ["call_A", "m2_2e_0"]


def test_a_call_without_its_outcome_is_answered_as_lost() -> None:
    answer = items(UserText("go"), AssistantTurn("", (CALL,)))[-1]
    assert (answer["call_id"], json.loads(answer["output"])["error"]) == ("m1_2e_0", "in_doubt")


def test_an_outcome_of_no_call_is_told_as_text() -> None:
    assert items(UserText("go"), FOUND)[-1]["content"] == 'Result of search: {"hits": 2}'


def test_an_error_is_told_in_the_text_of_the_result() -> None:
    def said(content: Any, *, is_error: bool = True) -> str:
        outcome = ToolOutcome("m1.0", "search", content, is_error)
        told: str = items(UserText("go"), AssistantTurn("", (CALL,)), outcome)[-1]["output"]
        return told

    assert said("boom") == '{"error": "boom"}'
    assert said({"error": "timeout", "message": "late"}) == '{"error": "timeout", "message": "late"}'
    assert said("fine", is_error=False) == "fine"


def test_notes_come_with_their_author() -> None:
    assert items(UserText("go"), SteerNote("stop soon", "ops"), SteerNote("now"))[1:] == [
        {"type": "message", "role": "developer", "content": "[note from ops] stop soon"},
        {"type": "message", "role": "developer", "content": "now"},
    ]


def test_a_responses_request_stores_nothing_and_asks_for_sealed_reasoning() -> None:
    body = responses_wire.request_body(
        asked(settings={"reasoning_effort": "low", "verbosity": "high", "parallel_tool_calls": False})
    )
    assert (
        body.items()
        >= {
            "model": "gpt-6-astra",
            "instructions": "Be brief.",
            "max_output_tokens": 512,
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "low"},
            "text": {"verbosity": "high"},
            "parallel_tool_calls": False,
        }.items()
    )
    assert body["tools"][0]["strict"] is True  # type: ignore[index, call-overload]
    assert not {"reasoning_effort", "verbosity"} & set(body)


def test_what_does_not_apply_is_left_out() -> None:
    body = responses_wire.request_body(
        asked(name="gpt-4.1", system="", tools=(), settings={"parallel_tool_calls": True, "top_p": 0.5})
    )
    assert not {"include", "instructions", "tools", "parallel_tool_calls", "reasoning", "text"} & set(body)
    assert body["top_p"] == 0.5
    chat = chat_wire.request_body(asked(system="", tools=(), settings={"parallel_tool_calls": True}), at_openai=True)
    assert not {"tools", "parallel_tool_calls"} & set(chat)
    assert chat["max_completion_tokens"] == 512
    assert chat["messages"] == [{"role": "user", "content": "hello"}]


def test_requests_that_begin_alike_share_a_cache_key() -> None:
    first = responses_wire.request_body(asked(UserText("a")))["prompt_cache_key"]
    assert first == responses_wire.request_body(asked(UserText("b")))["prompt_cache_key"]
    assert first != responses_wire.request_body(asked(system="Be long."))["prompt_cache_key"]
    assert first != responses_wire.request_body(asked(tools=()))["prompt_cache_key"]


def test_a_chat_request_is_one_that_compatible_servers_know() -> None:
    loose = ToolSpec(name="read_file", parameters={"type": "object", "properties": {"path": {"type": "string"}}})
    body = chat_wire.request_body(asked(tools=(loose, ToolSpec(name="now")), settings={"seed": 7}), at_openai=False)
    assert body == {
        "model": "gpt-6-astra",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        "max_tokens": 512,
        "seed": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [
            {
                "type": "function",
                "function": {"name": "read_file", "description": "", "parameters": loose.parameters},
            },
            {
                "type": "function",
                "function": {
                    "name": "now",
                    "description": "",
                    "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
                    "strict": True,
                },
            },
        ],
    }


def test_roles_alternate_in_a_chat() -> None:
    told = chat_messages(UserText("go"), AssistantTurn(""), SteerNote("hurry"), AssistantTurn("hm", (CALL,)), FOUND)
    assert [message["role"] for message in told] == ["system", "user", "assistant", "tool"]
    assert told[1]["content"] == "go\n\nhurry"
    assert told[2]["tool_calls"][0] == {
        "type": "function",
        "id": "m1_2e_0",
        "function": {"name": "search", "arguments": '{"query": "é"}'},
    }
    assert told[3] == {"role": "tool", "tool_call_id": "m1_2e_0", "content": '{"hits": 2}'}


@pytest.mark.parametrize(
    ("given", "allowed", "wrong"),
    [
        ({"temprature": 1}, RESPONSES, "there is no setting 'temprature' for this provider: allowed are parallel_tool"),
        ({"temperature": 3}, RESPONSES, "the setting 'temperature' is 3: expected a number from 0 to 2"),
        ({"temperature": True}, CHAT, "the setting 'temperature' is True"),
        ({"reasoning_effort": "huge"}, RESPONSES, "expected one of none, minimal, low, medium, high, xhigh, max"),
        ({"parallel_tool_calls": "no"}, CHAT, "expected true or false"),
        ({"seed": 1.5}, CHAT, "expected a whole number"),
        ({"stop": []}, CHAT, "expected a text, or a list of at most 4"),
        ({"stop": ["a", ""]}, CHAT, "expected a text, or a list of at most 4"),
    ],
)
def test_a_wrong_setting_is_refused_with_those_that_are_allowed(given: Any, allowed: Any, wrong: str) -> None:
    assert wrong in str(problem(given, allowed))
    body = partial(chat_wire.request_body, at_openai=False) if allowed is CHAT else responses_wire.request_body
    with pytest.raises(ModelError, match=re.escape(wrong)) as raised:
        body(asked(settings=given))
    assert (raised.value.kind, raised.value.retryable) == ("bad_request", False)


@pytest.mark.parametrize("given", [{}, {"continuous_usage_stats": False}, {"continuous_usage_stats": True}])
def test_a_server_is_asked_to_count_at_the_end_or_with_every_chunk(given: dict[str, Any]) -> None:
    body = chat_wire.request_body(asked(settings=given), at_openai=False)
    assert body["stream_options"] == {"include_usage": True} | {name: on for name, on in given.items() if on}
    assert "continuous_usage_stats" not in body


def test_right_settings_have_no_problem() -> None:
    assert problem({"stop": "END", "temperature": 0, "seed": 1, "frequency_penalty": -2}, CHAT) is None
    assert problem({"stop": ["a", "b"]}, CHAT) is None
    assert problem({"service_tier": "flex", "top_p": 1}, RESPONSES) is None


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (closed(), True),
        (closed(a={"type": "string", "format": "date"}), True),
        (closed(a={"type": ["string", "null"], "description": "x"}), True),
        (closed(a={"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}), True),
        (closed(a={"type": "array", "items": closed(b={"enum": [1, 2]})}), True),
        (closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": closed(b={"const": 1})}}, True),
        (closed(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": {"type": "object", "properties": {}}}}, False),
        (closed(a={"type": "string"}) | {"required": []}, False),
        (closed(a={"type": "string"}) | {"additionalProperties": True}, False),
        (closed(a={"type": "string", "default": "x"}), False),
        (closed(a={"type": "string", "format": "uri"}), False),
        (closed(a={"type": "array"}), False),
        (closed(a={"oneOf": [{"type": "string"}]}), False),
        (closed(a={}), False),
        (closed(a=True), False),
        (closed(a={"description": "anything"}), False),
        (closed(a={"type": "object", "additionalProperties": {"type": "string"}}), False),
        ({"anyOf": [closed()], "type": "object"}, False),
        ({"type": "string"}, False),
        ({}, False),
    ],
)
def test_a_tool_is_strict_where_its_schema_allows_it(schema: dict[str, Any], *, strict: bool) -> None:
    assert may_be_strict(schema) is strict


def test_a_schema_that_nests_too_deep_is_not_strict() -> None:
    schema = closed(a={"type": "string"})
    for _ in range(9):
        schema = closed(a=schema)
    assert may_be_strict(schema)
    assert not may_be_strict(closed(a=schema))
