"""What the model reads: every call of a turn has its outcome, in order, whatever became of it."""

from __future__ import annotations

from datetime import UTC, datetime

from callboard.actors.conversation import conversation
from callboard.actors.fold import replay
from callboard.actors.identity import child_id
from callboard.bus.messages import (
    Blob,
    ChildFinished,
    ChildSpawned,
    Content,
    ModelRequested,
    ModelResponded,
    Problem,
    Record,
    RunClaimed,
    RunCreated,
    RunSteered,
    ToolCall,
    ToolInDoubt,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.ports import Stored
from callboard.models.port import AssistantTurn, SteerNote, ToolOutcome, UserText

T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def told(*events, given="hello", text="working"):
    """The conversation of a run whose first turn asked for the calls ``a`` to ``e``, and then ``events``."""
    asked = tuple(ToolCall(id=name, name=f"tool_{name}") for name in "abcde")
    turn = ModelResponded(call="m1", text=Content(value=text), tool_calls=asked)
    opening = (RunCreated(agent="x", at=T0), RunClaimed(task=1), ModelRequested(call="m1"), turn)
    return conversation(replay([Stored(1, Record(id="i", owner="o", events=(*opening, *events)))]), given, run="r1")


def test_the_input_comes_first_as_text_or_as_json():
    assert told()[0] == UserText("hello")
    assert told(given={"ü": [1]})[0] == UserText('{"ü": [1]}')


def test_every_call_of_a_turn_has_its_outcome_right_behind_it():
    messages = told()
    assert isinstance(messages[1], AssistantTurn)
    assert [message.call for message in messages[2:]] == list("abcde")


def test_a_text_that_is_no_text_is_shown_as_json():
    assert told(text=None)[1].text == "null"


def test_results_problems_and_doubts_are_told_apart():
    child = child_id("r1", "d")
    other = child_id("r1", "e")
    messages = told(
        *(ToolRequested(call=name, tool=f"tool_{name}") for name in "abc"),
        ToolReturned(call="a", result=Content(value=[1])),
        ToolReturned(call="b", problem=Problem(kind="timeout", message="too slow", hint="ask for less")),
        ToolInDoubt(call="c", policy="continue"),
        *(ChildSpawned(child=run, call=call, agent="y") for run, call in ((child, "d"), (other, "e"))),
        ChildFinished(child=child, outcome="completed", result=Content(value="found")),
        ChildFinished(child=other, outcome="killed"),
        RunSteered(text="hurry", by="ada"),
    )
    outcomes = {message.call: message for message in messages if isinstance(message, ToolOutcome)}
    assert (outcomes["a"].content, outcomes["a"].is_error) == ([1], False)
    assert outcomes["b"].content == {"error": "timeout", "message": "too slow", "hint": "ask for less"}
    assert outcomes["c"].content["error"] == "in_doubt"
    assert (outcomes["d"].content, outcomes["d"].is_error) == ("found", False)
    assert outcomes["e"].content == {"error": "killed", "message": "the delegate's run killed"}
    assert all(outcomes[name].is_error for name in "bce")
    assert messages[-1] == SteerNote("hurry", "ada")


def test_an_answer_goes_back_to_its_provider_as_it_was_said_unless_it_was_too_large_to_keep():
    def turn_of(blocks: Content) -> AssistantTurn:
        asked = ModelRequested(call="m1", model="anthropic:batch/claude")
        facts = (RunCreated(agent="x", at=T0), RunClaimed(task=1), asked, ModelResponded(call="m1", blocks=blocks))
        messages = conversation(replay([Stored(1, Record(id="i", owner="o", events=facts))]), "hello", run="r1")
        assert isinstance(messages[1], AssistantTurn)
        return messages[1]

    said = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    kept = turn_of(Content(value=said))
    assert (kept.provider, kept.blocks) == ("anthropic", tuple(said))
    assert turn_of(Content()).blocks == ()
    cut = turn_of(Content(value=said, blob=Blob(size=10**6, sha256="0" * 64)))
    assert (cut.provider, cut.blocks) == ("", ())
