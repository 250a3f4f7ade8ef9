"""The validator refuses what the providers refuse, and nothing else."""

from typing import Any

import pytest

from callboard.testing.pairing import problem, signature

USE = {"type": "tool_use", "id": "t1", "name": "add", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "3"}
TEXT = {"type": "text", "text": "hi"}
ASK = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "3"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed_1"}
CHAT_CALL = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add"}}]}
CHAT_RESULT = {"role": "tool", "tool_call_id": "c1", "content": "3"}


def says(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [*content]}


def hears(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": [*content]}


def claude(*messages: Any, **more: Any) -> str | None:
    return problem("anthropic", {"model": "m", "max_tokens": 1, "messages": [*messages], **more})


def responses(*items: Any, **more: Any) -> str | None:
    return problem("openai", {"model": "m", "input": [*items], **more})


def chat(*messages: Any, **more: Any) -> str | None:
    return problem("openai-chat", {"model": "m", "messages": [*messages], **more})


@pytest.mark.parametrize(
    "messages",
    [
        [ASK],
        [ASK, says(TEXT)],
        [ASK, says()],
        [ASK, says(TEXT, USE), hears(RESULT)],
        [ASK, says(USE, USE | {"id": "t2"}), hears(RESULT | {"tool_use_id": "t2"}, RESULT, TEXT)],
        [ASK, says(USE), hears(RESULT), says(USE | {"id": "t2"}), hears(RESULT | {"tool_use_id": "t2"})],
        [ASK, says({"type": "thinking", "thinking": "so", "signature": signature("so")}, TEXT)],
        [ASK, ASK, {"role": "system", "content": "be brief"}],
    ],
)
def test_anthropic_accepts_what_is_paired(messages: list[Any]) -> None:
    assert claude(*messages) is None


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "at least one message"),
        ([ASK, says(USE)], "without `tool_result` blocks immediately after: t1"),
        ([ASK, says(USE), ASK], "without `tool_result` blocks immediately after: t1"),
        ([ASK, says(USE), hears(TEXT, RESULT)], "without `tool_result` blocks immediately after: t1"),
        ([ASK, says(USE), says(TEXT), hears(RESULT)], "without `tool_result`"),
        ([ASK, says(USE, USE | {"id": "t2"}), hears(RESULT)], "immediately after: t2"),
        ([ASK, says(USE, USE), hears(RESULT)], "ids must be unique"),
        ([hears(RESULT)], "unexpected `tool_use_id` found in `tool_result` blocks: t1"),
        ([ASK, says(USE), hears(RESULT), hears(RESULT)], "messages.3.content.0: unexpected `tool_use_id`"),
        ([ASK, says(USE), hears(RESULT, RESULT)], "each tool_use must have a single result"),
        ([ASK, says(USE | {"input": "{}"}), hears(RESULT)], "valid dictionary"),
        ([hears(USE)], "can only be in `assistant`"),
        ([ASK, says(RESULT)], "can only be in `user`"),
        ([hears({"type": "text", "text": ""})], "non-empty"),
        ([hears()], "non-empty content"),
        ([{"role": "user", "content": ""}], "non-empty content"),
        ([{"role": "tool", "content": "x"}], "role"),
        ([ASK, says({"type": "thinking", "thinking": "no", "signature": signature("so")})], "Invalid `signature`"),
        ([ASK, says({"type": "thinking", "thinking": "so"})], "Invalid `signature`"),
    ],
)
def test_anthropic_refuses_what_is_not(messages: list[Any], words: str) -> None:
    assert words in str(claude(*messages))


def test_anthropic_refuses_wrong_fields_names_and_marks() -> None:
    assert problem("anthropic", {}) == "model: Field required"
    assert "temperature" in str(claude(ASK, temperature=1))
    assert "must be unique" in str(claude(ASK, tools=[{"name": "a"}, {"name": "a"}]))
    assert "'a.b'" in str(claude(ASK, tools=[{"name": "a.b"}]))
    assert claude(ASK, tools=[{"name": "a_b-" + "x" * 100}, {"type": "odd"}]) is None
    marked = TEXT | {"cache_control": {"type": "ephemeral"}}
    assert claude(hears(*[marked] * 3), system=[marked]) is None
    assert "Found 5" in str(claude(hears(*[marked] * 4), system=[marked]))


@pytest.mark.parametrize("wire", ["anthropic", "openai", "openai-chat"])
def test_a_choice_among_tools_needs_tools(wire: Any) -> None:
    said = {"model": "m", "max_tokens": 1, "messages": [ASK], "input": [ASK]}
    tools = [{"name": "a", "type": "function", "function": {"name": "a"}}]
    assert problem(wire, {**said, "tools": tools, "tool_choice": "none"}) is None
    assert "tool_choice" in str(problem(wire, {**said, "tool_choice": "none"}))


@pytest.mark.parametrize(
    "items",
    [
        [ASK],
        [ASK, CALL, OUTPUT],
        [ASK, REASONING, CALL, CALL | {"call_id": "c2"}, OUTPUT | {"call_id": "c2"}, OUTPUT, ASK],
        [ASK, REASONING, REASONING, {"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}],
    ],
)
def test_responses_accepts_what_is_paired(items: list[Any]) -> None:
    assert responses(*items) is None
    assert problem("openai", {"model": "m", "input": "hi"}) is None


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "'input'"),
        ([ASK, CALL], "No tool output found for function call c1"),
        ([ASK, CALL, ASK], "No tool output found for function call c1"),
        ([OUTPUT, CALL], "No tool call found for function call output with call_id c1"),
        ([CALL, OUTPUT, OUTPUT], "No tool call found for function call output with call_id c1"),
        ([CALL, CALL, OUTPUT], "Duplicate"),
        ([REASONING], "without its required following item"),
        ([REASONING, ASK], "without its required following item"),
        ([REASONING | {"encrypted_content": None}, CALL, OUTPUT], "could not be verified"),
        ([{"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}], "'input_text'"),
    ],
)
def test_responses_refuses_what_is_not(items: list[Any], words: str) -> None:
    assert words in str(responses(*items))


def test_openai_refuses_requests_without_a_model_and_odd_tool_names() -> None:
    assert "'model'" in str(problem("openai", {"input": "hi"}))
    assert "model" in str(problem("openai-chat", {"messages": [ASK]}))
    assert "too short" in str(chat())
    assert "'a.b'" in str(responses(ASK, tools=[{"name": "a.b"}]))
    assert "should match" in str(responses(ASK, tools=[{"name": "x" * 65}]))
    assert "'a.b'" in str(chat(ASK, tools=[{"type": "function", "function": {"name": "a.b"}}]))


def test_chat_wants_the_results_right_after_the_calls() -> None:
    assert chat(ASK, CHAT_CALL, CHAT_RESULT, ASK) is None
    assert "must be a response to a preceeding message" in str(chat(ASK, CHAT_RESULT))
    assert "must be a response to a preceeding message" in str(chat(ASK, CHAT_CALL, CHAT_RESULT, CHAT_RESULT))
    assert "did not have response messages: c1" in str(chat(ASK, CHAT_CALL))
    assert "did not have response messages: c1" in str(chat(ASK, CHAT_CALL, ASK, CHAT_RESULT))


def test_json_of_another_shape_is_refused_and_never_an_accident() -> None:
    for odd in (None, 1, "x", [1], {"role": 1}, [None], [[]]):
        claude(odd)
        responses(odd)
        chat(odd)
        assert problem("anthropic", {"model": "m", "max_tokens": 1, "messages": odd})
        problem("openai", {"model": "m", "input": odd, "tools": odd})
        problem("openai-chat", {"model": "m", "messages": odd, "tools": odd})
