"""The scripted model plays its script."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.config.spec import ModelChoice
from callboard.errors import ConfigError, ModelError
from callboard.models.port import (
    AssistantTurn,
    ChatReply,
    ChatRequest,
    SteerNote,
    TextDelta,
    ToolCall,
    ToolOutcome,
    Usage,
    UserText,
)
from callboard.models.registry import open_model
from callboard.models.script_play import pieces


def choice(*turns: Any, **rest: Any) -> ModelChoice:
    return ModelChoice(provider="scripted", settings={"turns": list(turns), **rest})


def request(
    model: ModelChoice, *messages: Any, attempt: int = 1, given: Any = "go", timeout: float = 60
) -> ChatRequest:
    return ChatRequest(
        model=model,
        system="be brief",
        messages=(UserText("go"), *messages),
        tools=(),
        attempt=attempt,
        call="m1",
        run="r1",
        input=given,
        timeout=timeout,
    )


async def play(asked: ChatRequest) -> list[TextDelta | ChatReply]:
    with anyio.fail_after(10):
        return [piece async for piece in open_model(asked.model).stream(asked)]


async def reply(asked: ChatRequest) -> ChatReply:
    last = (await play(asked))[-1]
    assert isinstance(last, ChatReply)
    return last


async def refusal(asked: ChatRequest) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await play(asked)
    return caught.value


async def test_deltas_come_first_and_then_exactly_one_reply() -> None:
    pieces_of = await play(request(choice({"text": "hello", "chunks": 2})))
    assert pieces_of[:-1] == [TextDelta("he"), TextDelta("llo")]
    assert isinstance(pieces_of[-1], ChatReply)
    assert (pieces_of[-1].text, pieces_of[-1].stop) == ("hello", "end")


async def test_the_turn_is_the_number_of_answers_so_far() -> None:
    model = choice({"tools": [{"name": "a"}, {"name": "b", "args": {"x": 1}}]}, {"text": "done"})
    first = await reply(request(model))
    assert first.tool_calls == (ToolCall("t1-1", "a", {}), ToolCall("t1-2", "b", {"x": 1}))
    assert first.stop == "tool_use"
    answers = (AssistantTurn("", first.tool_calls), ToolOutcome("t1-1", "a", 1), ToolOutcome("t1-2", "b", 2))
    assert (await reply(request(model, *answers, SteerNote("hurry")))).text == "done"


async def test_results_are_quoted_by_tool_and_by_turn_whatever_ids_the_caller_gave() -> None:
    turns = [{"tools": [{"name": "a"}, {"name": "a"}]}]
    turns += [{"text": "{{ results.t1-1 }} {{ results.t1-2.n }} {{ results.a.n }} {{ input }} {{ last }}"}]
    calls = (ToolCall("m1.0", "a", {}), ToolCall("m1.1", "a", {}))
    outcomes = (ToolOutcome("m1.0", "a", "one"), ToolOutcome("m1.1", "a", {"n": 2}))
    answer = await reply(request(choice(*turns), AssistantTurn("", calls), *outcomes, given={"k": 1}))
    assert answer.text == 'one 2 2 {"k": 1} {"n": 2}'


async def test_a_script_that_has_ended_says_how_to_end_it() -> None:
    error = await refusal(request(choice({"text": "hi"}), AssistantTurn("hi")))
    assert str(error) == (
        "the script has 1 turn, turn 2 was asked: end the script with a turn without tools, or set 'loop: true'"
    )
    assert (error.kind, error.retryable) == ("bad_request", False)


async def test_a_loop_plays_for_ever_with_fresh_call_ids() -> None:
    model = choice({"tools": [{"name": "a"}]}, {"tools": [{"name": "b"}]}, loop=True)
    answers = [AssistantTurn("")] * 4
    calls = [(await reply(request(model, *answers[:count]))).tool_calls[0] for count in range(5)]
    assert [(call.id, call.name) for call in calls] == [
        ("t1-1", "a"),
        ("t2-1", "b"),
        ("t3-1", "a"),
        ("t4-1", "b"),
        ("t5-1", "a"),
    ]


async def test_the_first_alternative_whose_when_matches_the_last_message_is_played() -> None:
    model = choice([{"when": "^ERR", "text": "bad"}, {"when": "g.", "text": "good"}, {"text": "other"}])
    asked = request(model)
    assert (await reply(asked)).text == "good"
    assert (await reply(replace(asked, messages=(UserText("ERR go"),)))).text == "bad"
    assert (await reply(replace(asked, messages=(ToolOutcome("x", "a", {"k": "ERR"}),)))).text == "other"
    assert (await reply(replace(asked, messages=()))).text == "other"


async def test_no_matching_alternative_is_an_error_that_shows_the_message() -> None:
    error = await refusal(request(choice({"when": "x", "text": "a"})))
    assert str(error) == "no 'when' of turn 1 matches the last message 'go': add one without 'when'"


@pytest.mark.parametrize(
    ("kind", "retryable"),
    [
        ("rate", True),
        ("overload", True),
        ("network", True),
        ("truncated", True),
        ("quota", False),
        ("auth", False),
        ("bad_request", False),
        ("context", False),
        ("refusal", False),
    ],
)
async def test_a_failure_lasts_for_its_number_of_attempts(kind: str, *, retryable: bool) -> None:
    fail = {"kind": kind, "message": "busy", "times": 2, "retry_after": 3}
    model = choice({"text": "hi", "fail": fail})
    for attempt in (1, 2, 1):
        error = await refusal(request(model, attempt=attempt))
        assert (str(error), error.kind, error.retryable, error.retry_after) == ("busy", kind, retryable, 3.0)
    assert (await reply(request(model, attempt=3))).text == "hi"


async def test_usage_is_what_the_script_says_or_follows_from_the_sizes() -> None:
    said = choice({"text": "hi", "usage": {"input": 5, "output": 6, "cached": 7}, "cost_usd": 0.0015})
    assert (await reply(request(said))).usage == Usage(5, 6, 7, 1_500)
    derived = choice({"text": "12345", "tools": [{"name": "a", "args": "ä"}]})
    assert (await reply(request(derived))).usage == Usage(input_tokens=3, output_tokens=2)


async def test_a_delay_can_be_cancelled() -> None:
    asked = request(choice({"text": "hi", "delay": 3_600}), timeout=4_000)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(play_for_ever, asked)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    assert group.cancel_scope.cancelled_caught


async def play_for_ever(asked: ChatRequest) -> None:
    async for _ in open_model(asked.model).stream(asked):
        pass


async def test_a_delay_passes_before_the_reply() -> None:
    before = anyio.current_time()
    await reply(request(choice({"text": "hello", "delay": 0.05, "chunks": 5})))
    await reply(request(choice({"tools": [{"name": "a"}], "delay": 0.05})))
    assert anyio.current_time() - before >= 0.1


async def test_a_reply_that_comes_after_the_timeout_is_a_network_error() -> None:
    error = await refusal(request(choice({"text": "hi", "delay": "1h"}), timeout=0.01))
    assert (error.kind, error.retryable, str(error)) == ("network", True, "no reply within 10 ms")


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(json, st.text(max_size=9), st.integers(0, 5), st.integers(1, 4))
async def test_the_same_request_has_the_same_reply_in_any_instance(
    given: Any, text: str, count: int, chunks: int
) -> None:
    tools = [{"name": "a", "args": ["{{ input }}"]}]
    model = choice({"text": "{{ input }} {{ last }}", "chunks": chunks, "tools": tools}, loop=True)
    asked = request(model, *[AssistantTurn(text)] * count, UserText(text), given=given)
    first, second = await play(asked), await play(asked)
    assert first == second
    assert "".join(delta.text for delta in first[:-1]) == first[-1].text
    assert first[-1].tool_calls[0].arguments == [given]


@given(st.text(max_size=50), st.integers(1, 60))
def test_pieces_join_to_the_text_and_none_is_empty(text: str, count: int) -> None:
    parts = pieces(text, count)
    assert "".join(parts) == text
    assert len(parts) == min(count, len(text))
    assert all(parts)


def test_a_provider_that_this_version_does_not_have_is_refused_with_what_to_use() -> None:
    known = "'anthropic' or 'openai' or 'openai-chat' or 'scripted'"
    with pytest.raises(ConfigError, match=f"provider 'x' is not available in this version, use {known}"):
        open_model(ModelChoice(provider="x"))


def test_settings_that_are_no_script_are_refused_with_their_path() -> None:
    with pytest.raises(ConfigError, match=r"no script: turns\.0\.txt: Extra inputs are not permitted"):
        open_model(choice({"txt": "hi"}))
    with pytest.raises(ConfigError, match="turns: Field required"):
        open_model(ModelChoice(provider="scripted"))


def test_the_registry_imports_no_adapter_and_no_sdk() -> None:
    program = """
import sys
import callboard.models.registry
print([name for name in sys.modules if name in {"anthropic", "openai", "ruamel.yaml", "callboard.models.scripted"}])
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
