"""A cassette: what models were asked and what they answered, as lines, and what is asked otherwise now."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.bus.messages import (
    Content,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
    RunSteered,
    ToolCall,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.ports import Stored
from callboard.config.spec import AgentSpec, ModelChoice, ToolSpec
from callboard.errors import ConfigError
from callboard.log import REDACTED as IN_LOGS
from callboard.models.port import AssistantTurn, ChatRequest, SteerNote, ToolOutcome, Usage, UserText
from callboard.models.port import ToolCall as Call
from callboard.testing.cassette import Asked, Cassette, Played, asked_of, from_lines, stop_of, to_lines
from callboard.testing.difference import REDACTED, difference, likeness
from callboard.testing.recording import answers
from tests.support.journals import claimed, journal

LOOK = ToolSpec(name="look", description="Looks.", parameters={"type": "object"})
SPEC = AgentSpec(name="desk", model=ModelChoice(provider="scripted"), system="Be brief.", tools=(LOOK,))


def request(*messages: Any, system: str = "Be brief.", tools: Any = (LOOK,), **more: Any) -> ChatRequest:
    return ChatRequest(ModelChoice(provider="x"), system, messages, tools, 1, "m1", "r", None, 9.0, **more)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda some: st.lists(some, max_size=2)
)
asked = st.builds(
    Asked,
    st.text(),
    st.dictionaries(st.text(), json_values, max_size=2),
    st.none() | st.lists(json_values, max_size=4).map(tuple),
    json_values,
)
played = st.builds(
    Played,
    st.sampled_from("ab"),
    st.sampled_from(["m1", "m2"]),
    asked,
    st.text(),
    st.lists(st.tuples(st.text(), json_values), max_size=2).map(tuple),
    st.builds(Usage, *[st.integers(0, 9)] * 5),
    st.sampled_from(["end", "tool_use", "refusal"]),
)


@given(st.builds(Cassette, st.text(), json_values, st.lists(played, min_size=1, max_size=5).map(tuple)))
def test_a_cassette_comes_back_from_its_lines(cassette: Cassette) -> None:
    assert from_lines("\n".join(to_lines(cassette))) == cassette


def test_a_history_that_grows_is_written_once() -> None:
    history = tuple({"user": "x" * 100, "n": n} for n in range(50))
    calls = tuple(Played("r", f"m{n}", Asked("s", {}, history[: n + 1]), "ok") for n in range(50))
    text = "\n".join(to_lines(Cassette("a", None, calls)))
    assert text.count("x" * 100) == 50
    assert from_lines(text).calls == calls


@pytest.mark.parametrize("text", ["", "{}", '{"agent": "a"}', '{"agent": "a"}\n{"run": "r", "system": "x"}', "no"])
def test_what_is_no_cassette_is_refused_with_how_to_make_one(text: str) -> None:
    with pytest.raises(ConfigError, match="callboard runs record RUN FILE --to CASSETTE"):
        from_lines(text)


def test_a_reason_to_stop_of_a_later_version_is_what_fits() -> None:
    assert (stop_of("refusal"), stop_of("odd")) == ("refusal", "end")


def recorded(*events: Any) -> list[Any]:
    first = claimed(agent="desk", spec=SPEC.model_dump(mode="json"))
    return list(answers(journal(first, *events), run="r", given="go"))


def test_a_journal_tells_what_was_asked_before_each_answer() -> None:
    calls = (ToolCall(id="m1.0", name="look", arguments={"at": 1}),)
    first, second = recorded(
        ModelRequested(call="m1"),
        ModelFailed(call="m1", problem=Problem(kind="x", message="x")),
        ModelRequested(call="m1", attempt=2),
        ModelResponded(call="m1", text=Content(value="hm"), tool_calls=calls),
        ToolRequested(call="m1.0", tool="look", effect="pure", key="k"),
        RunSteered(text="hurry", by="ada"),
        (ToolReturned(call="m1.0", result=Content(value="seen")), ModelRequested(call="m2")),
        ModelResponded(call="m2", text=Content(value="done")),
        ModelResponded(call="m9"),
    )
    told = {"user": "go"}
    assert first.asked == Asked("Be brief.", {"look": ["Looks.", {"type": "object"}]}, (told,))
    assert second.asked.messages == (
        told,
        {"assistant": "hm", "calls": [{"name": "look", "arguments": {"at": 1}}]},
        {"tool": "look", "call": "m1.0", "content": "seen", "error": False},
        {"note": "hurry", "by": "ada"},
    )
    assert [each.event.call for each in (first, second)] == ["m1", "m2"]
    shaped = SPEC.model_copy(update={"output": {"type": "object"}}).model_dump(mode="json")
    events = (ModelRequested(call="m1"), ModelResponded(call="m1"))
    (only,) = answers(journal(claimed(agent="desk", spec=shaped), *events), run="r", given="go")
    assert only.asked.output == {"type": "object"}
    assert first.sequence < second.sequence


def test_the_live_request_is_the_recorded_one() -> None:
    turn = AssistantTurn("hm", (Call("m1.0", "look", {"at": 1}),), "anthropic", ("signed",))
    outcome, note = ToolOutcome("m1.0", "look", "seen"), SteerNote("hurry", "ada")
    live = asked_of(request(UserText("go"), turn, outcome, note))
    assert live.messages is not None
    assert [next(iter(each)) for each in live.messages] == ["user", "assistant", "tool", "note"]  # type: ignore[call-overload]
    assert "signed" not in json.dumps(live.messages)
    assert live.tools == {"look": ["Looks.", {"type": "object"}]}
    assert asked_of(request(UserText("go"), output={"type": "object"})).output == {"type": "object"}


def test_summaries_and_last_turns_are_not_compared() -> None:
    (summary,) = recorded(ModelRequested(call="s1", purpose="summary"), ModelResponded(call="s1", purpose="summary"))
    (last,) = recorded(ModelRequested(call="m1", wrap_up=True), ModelResponded(call="m1"))
    assert summary.asked.messages is None
    assert last.asked == Asked("Be brief.", {}, None)
    assert not difference(last.asked, asked_of(request(UserText("whatever"), tools=())))
    assert asked_of(request(UserText("x"), purpose="summary")).messages is None


def test_an_entry_that_does_not_validate_is_passed_over() -> None:
    entries = (*journal(claimed()), Stored(90, None, "broken"))
    assert list(answers(entries, run="r", given=None)) == []


NOW = Asked("one\ntwo", {"look": ["Looks.", {}]}, ({"user": "go"}, {"note": "x", "by": ""}))


@pytest.mark.parametrize(
    ("was", "words"),
    [
        (NOW, ""),
        (Asked("one\n2", NOW.tools, NOW.messages), "the system prompt:\n  @@"),
        (Asked(NOW.system, {}, NOW.messages), "the tool 'look' is new"),
        (Asked(NOW.system, {**NOW.tools, "see": []}, NOW.messages), "the tool 'see' is gone"),
        (Asked(NOW.system, {"look": ["Sees.", {}]}, NOW.messages), "the tool 'look':\n  - [\"Sees.\""),
        (Asked(NOW.system, NOW.tools, ({"user": "stop"},)), 'message 1:\n  - {"user": "stop"}\n  + {"user": "go"}'),
        (Asked(NOW.system, NOW.tools, ({"user": "go"},)), "message 2:\n  - nothing\n  + {"),
        (Asked(NOW.system, NOW.tools, ({"user": "go" * 500},)), "go…\n  +"),
        (Asked(NOW.system, NOW.tools, None), ""),
        (Asked(NOW.system, NOW.tools, None, {"type": "object"}), 'the output:\n  - {"type": "object"}\n  + nothing'),
    ],
)
def test_a_difference_says_what_was_and_what_is(was: Asked, words: str) -> None:
    told = difference(was, NOW)
    assert words in told
    assert bool(words) == bool(told)


def test_all_that_differs_is_told_at_once() -> None:
    told = difference(Asked("1", {}, ({"user": "a"},)), NOW)
    assert all(part in told for part in ("-1", "+two", "'look' is new", "message 1"))


def test_the_order_of_keys_is_no_difference_and_what_was_redacted_may_be_anything() -> None:
    was = Asked("", {}, ({"tool": "t", "content": {"a": 1, "b": f"key {REDACTED}."}},))
    assert not difference(was, Asked("", {}, ({"content": {"b": "key s3cret.", "a": 1}, "tool": "t"},)))
    assert difference(was, Asked("", {}, ({"content": {"b": "lock s3cret.", "a": 1}, "tool": "t"},)))
    assert REDACTED == IN_LOGS


def test_the_recorded_call_with_most_in_common_is_the_likest() -> None:
    near = Asked("other", {}, ({"user": "go"}, {"user": "y"}))
    far = Asked(NOW.system, NOW.tools, ({"user": "no"},))
    assert max((far, near), key=lambda each: likeness(each, NOW)) is near
    assert likeness(Asked("", {}, None), NOW) == (0, False, False)
