"""Requests to the Messages API: whatever the history is, the API takes it, and its cache finds what it knows."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.config.settings import MESSAGES
from callboard.config.spec import ModelChoice, ToolSpec
from callboard.errors import ModelError
from callboard.models.anthropic.history import api_id, messages_of
from callboard.models.anthropic.wire import body_of
from callboard.models.port import AssistantTurn, ChatMessage, ChatRequest, SteerNote, ToolCall, ToolOutcome, UserText
from callboard.testing.pairing import problem, signature

ADD = ToolSpec(name="add", description="Adds.", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": signature("hm")}


def asked(
    *messages: ChatMessage, system: str = "Be brief.", tools: tuple[ToolSpec, ...] = (ADD,), **chosen: Any
) -> ChatRequest:
    model = ModelChoice(provider="anthropic", name="claude-test", max_output=1_000, settings=chosen)
    return ChatRequest(model, system, messages or (UserText("hi"),), tools, 1, "m1", "r1", "hi", 30.0)


def wrong(body: Any) -> str | None:
    """Why the API would refuse it; the last rules are those of this adapter."""
    messages = body["messages"]
    roles = [message["role"] for message in messages]
    if roles[0] != "user" or any(one == other for one, other in pairwise(roles)):
        return f"roles: {roles}"
    if any(block["type"] == "text" and not block["text"].strip() for each in messages for block in each["content"]):
        return "a blank text"
    if any(
        each["type"] == "tool_result" and not each["content"].strip() for one in messages for each in one["content"]
    ):
        return "a blank result"
    return problem("anthropic", body)


# -- histories --------------------------------------------------------------------------------------------------------

TEXTS = ["", " ", "\n", "hello", "two words"]
CONTENTS = [*TEXTS, None, 7, {"a": 1}, [], {}]
ARGUMENTS = [{}, {"a": 1}, {"a": 1, "b": 2}, '{"a": ', None]


def made(seed: int, *, outcomes: bool = True) -> tuple[ChatMessage, ...]:
    """Anything that a journal could be made into, and more: results that are late, double, or of nobody."""
    chance = Random(seed)
    messages: list[ChatMessage] = []
    known = ["nobody"]
    for turn in range(chance.randint(0, 6)):
        calls = tuple(
            ToolCall(f"t{turn}.{index}", "add", chance.choice(ARGUMENTS)) for index in range(chance.randint(0, 3))
        )
        if chance.random() < 0.9:
            messages.append(answered(chance, turn, calls))
            known += [call.id for call in calls]
        tail: list[ChatMessage] = [said(chance, known) for _ in range(chance.randint(0, 3))]
        tail += [
            ToolOutcome(call.id, "add", chance.choice(CONTENTS), chance.random() < 0.5)
            for call in calls
            if chance.random() < 0.8
        ]
        chance.shuffle(tail)
        messages += tail
    return tuple(each for each in messages if outcomes or not isinstance(each, ToolOutcome))


def answered(chance: Random, turn: int, calls: tuple[ToolCall, ...]) -> AssistantTurn:
    text, provider = chance.choice(TEXTS), chance.choice(["", "openai", "anthropic"])
    kept = calls[: len(calls) - chance.randint(0, 1)]
    uses = ({"type": "tool_use", "id": f"toolu_{turn}_{at}", "name": "add", "input": {}} for at in range(len(kept)))
    blocks = (THOUGHT, {"type": "text", "text": text}, *uses) if provider == "anthropic" else ()
    return AssistantTurn(text, calls, provider, blocks)


def said(chance: Random, known: list[str]) -> ChatMessage:
    text = chance.choice(TEXTS)
    late = ToolOutcome(chance.choice(known), "add", chance.choice(CONTENTS), chance.random() < 0.5)
    return chance.choice([UserText(text), SteerNote(text, chance.choice(["", "loop"])), late])


def accepted(seed: int) -> None:
    body = body_of(asked(*made(seed), tools=(ADD,) if seed % 2 else ()))
    assert wrong(body) is None, seed
    json.dumps(body, allow_nan=False)


def test_the_api_accepts_a_request_of_any_history() -> None:
    for seed in range(1_000):
        accepted(seed)


@pytest.mark.slow
def test_the_api_accepts_a_request_of_any_of_many_histories() -> None:
    for seed in range(1_000, 20_000):
        accepted(seed)


def test_nothing_that_was_said_is_lost() -> None:
    for seed in range(200):
        history = made(seed)
        told = json.dumps(messages_of(history))
        for message in history:
            if isinstance(message, SteerNote | UserText) and message.text.strip():
                assert message.text in told
            if isinstance(message, ToolOutcome) and isinstance(message.content, str) and message.content.strip():
                assert message.content in told


def test_results_come_first_in_the_order_of_their_calls_and_notes_after_them() -> None:
    calls = (ToolCall("m1.0", "add", {"a": 1}), ToolCall("m1.1", "add", {"a": 2}))
    history = (
        UserText("go"),
        AssistantTurn("", calls),
        ToolOutcome("m1.1", "add", {"sum": 2}),
        SteerNote("hurry", "loop"),
        ToolOutcome("m1.0", "add", "one"),
    )
    assert messages_of(history) == [
        {"role": "user", "content": [{"type": "text", "text": "go"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "m1_2e_0", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "m1_2e_1", "name": "add", "input": {"a": 2}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "m1_2e_0", "content": "one"},
                {"type": "tool_result", "tool_use_id": "m1_2e_1", "content": '{"sum": 2}'},
                {"type": "text", "text": "Note from loop: hurry"},
            ],
        },
    ]


def test_a_call_without_an_outcome_is_answered_as_an_error() -> None:
    history = (UserText("go"), AssistantTurn("", (ToolCall("m1.0", "add", {}),)))
    (result,) = messages_of(history)[-1]["content"]
    assert (result["type"], result["tool_use_id"], result["is_error"]) == ("tool_result", "m1_2e_0", True)


def test_arguments_that_are_no_object_come_inside_one() -> None:
    history = (UserText("go"), AssistantTurn("", (ToolCall("m1.0", "add", '{"a": '),)))
    assert messages_of(history)[1]["content"][0]["input"] == {"arguments": '{"a": '}


def test_what_the_provider_signed_comes_back_unchanged_with_the_results_under_its_own_ids() -> None:
    blocks = (THOUGHT, {"type": "tool_use", "id": "toolu_7", "name": "add", "input": {"a": 1}})
    turn = AssistantTurn("", (ToolCall("m1.0", "add", {"a": 1}),), "anthropic", blocks)
    messages = messages_of((UserText("go"), turn, ToolOutcome("m1.0", "add", 1)))
    assert messages[1]["content"] == list(blocks)
    assert messages[2]["content"] == [{"type": "tool_result", "tool_use_id": "toolu_7", "content": "1"}]


def test_blocks_of_another_provider_are_left_out_and_the_turn_is_rebuilt() -> None:
    turn = AssistantTurn("two", (), "openai", ({"type": "reasoning", "encrypted_content": "x"},))
    assert messages_of((UserText("go"), turn, UserText("and?")))[1]["content"] == [{"type": "text", "text": "two"}]


def test_a_pause_of_the_provider_is_sent_back_as_it_is_and_any_other_end_asks_to_go_on() -> None:
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    paused = messages_of((UserText("go"), AssistantTurn("", (), "anthropic", (search,))))
    assert [message["role"] for message in paused] == ["user", "assistant"]
    assert messages_of((UserText("go"), AssistantTurn("half")))[-1]["role"] == "user"


@given(st.lists(st.text(alphabet="ab.-_2e:", min_size=1, max_size=8), unique=True))
def test_different_ids_stay_different(names: list[str]) -> None:
    mapped = [api_id(name) for name in names]
    assert len(set(mapped)) == len(names)
    assert all(char.isascii() and (char.isalnum() or char in "_-") for name in mapped for char in name)


# -- the body ---------------------------------------------------------------------------------------------------------


def test_a_body_is_streamed_has_the_models_limit_and_no_temperature() -> None:
    body = body_of(asked())
    assert (body["model"], body["max_tokens"], body["stream"]) == ("claude-test", 1_000, True)
    assert set(body) == {"model", "max_tokens", "stream", "tools", "system", "messages"}
    assert body["tools"][0]["input_schema"] == ADD.parameters
    bare = body_of(asked(system=" ", tools=(ToolSpec(name="now"),)))
    assert "system" not in bare
    assert bare["tools"][0].keys() == {"name", "input_schema", "cache_control"}
    assert bare["tools"][0]["input_schema"] == {"type": "object"}


def marks(body: Any) -> list[str]:
    """Where breakpoints stand."""
    places = [f"tool {at}" for at, tool in enumerate(body.get("tools", ())) if "cache_control" in tool]
    places += ["system"] * sum("cache_control" in block for block in body.get("system", ()))
    return places + [
        f"message {at}, block {index} of {len(message['content'])}"
        for at, message in enumerate(body["messages"])
        for index, block in enumerate(message["content"])
        if "cache_control" in block
    ]


def test_breakpoints_stand_after_tools_system_the_last_message_and_where_the_last_request_ended() -> None:
    call = ToolCall("m1.0", "add", {})
    history = (UserText("go"), AssistantTurn("", (call,)), ToolOutcome("m1.0", "add", 1), SteerNote("hurry"))
    tools = (ToolSpec(name="now"), ADD)
    assert marks(body_of(asked(*history, tools=tools))) == [
        "tool 1",
        "system",
        "message 0, block 0 of 1",
        "message 2, block 1 of 2",
    ]
    assert marks(body_of(asked(*history[:1], tools=tools))) == ["tool 1", "system", "message 0, block 0 of 1"]


def test_a_request_begins_with_what_the_one_before_it_was() -> None:
    def plain(body: Any) -> list[Any]:
        return [
            (message["role"], {key: value for key, value in block.items() if key != "cache_control"})
            for message in body["messages"]
            for block in message["content"]
        ]

    for seed in range(200):
        first = (UserText("go"), *made(seed), UserText("on"))
        later = (*first, AssistantTurn("said"), *made(seed + 1, outcomes=False), UserText("x"))
        earlier = plain(body_of(asked(*first)))
        assert plain(body_of(asked(*later)))[: len(earlier)] == earlier


def test_settings_that_are_known_go_into_the_body_and_others_are_refused_with_what_is_allowed() -> None:
    chosen = {"thinking": {"type": "adaptive"}, "stop_sequences": ["END"], "tool_choice": {"type": "any"}}
    body = body_of(asked(**chosen))
    assert {name: body[name] for name in chosen} == chosen
    with pytest.raises(ModelError, match=r"no setting 'temperature' .*thinking") as refused:
        body_of(asked(temperature=1, top_p=1))
    assert (refused.value.kind, refused.value.retryable) == ("bad_request", False)
    assert all(name in str(refused.value) for name in MESSAGES)


def test_without_tools_there_is_nothing_to_choose_and_tools_that_were_used_stay_declared() -> None:
    assert "tool_choice" not in body_of(asked(tools=(), tool_choice={"type": "any"}))
    history = (UserText("go"), AssistantTurn("", (ToolCall("m1.0", "add", {}),)), ToolOutcome("m1.0", "add", 1))
    body = body_of(asked(*history, tools=(), tool_choice={"type": "any"}))
    assert [tool["name"] for tool in body["tools"]] == ["add"]
    assert body["tool_choice"] == {"type": "none"}


def test_tools_that_may_not_be_called_are_told_as_ever_for_the_prompt_cache() -> None:
    before, last = body_of(asked(tool_choice={"type": "any"})), body_of(replace(asked(), may_call=False))
    assert (before["tools"], before["system"]) == (last["tools"], last["system"])
    assert (before["tool_choice"], last["tool_choice"]) == ({"type": "any"}, {"type": "none"})


def test_thinking_is_left_out_where_the_api_would_miss_the_thought_before_a_call() -> None:
    budget = {"type": "enabled", "budget_tokens": 1_024}
    call = (ToolCall("m1.0", "add", {}),)
    use = {"type": "tool_use", "id": "toolu_7", "name": "add", "input": {}}
    rebuilt, signed = AssistantTurn("", call), AssistantTurn("", call, "anthropic", (THOUGHT, use))
    assert "thinking" not in body_of(asked(UserText("go"), rebuilt, thinking=budget))
    for turns in [(), (AssistantTurn("said"),), (signed,)]:
        assert body_of(asked(UserText("go"), *turns, thinking=budget))["thinking"] == budget
    assert "thinking" in body_of(asked(UserText("go"), rebuilt, thinking={"type": "adaptive"}))
