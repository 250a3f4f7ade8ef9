"""What a model need not read any more, over the runs that chance makes up."""

from __future__ import annotations

from collections import Counter

import pytest

from callboard.actors.conversation import conversation
from callboard.actors.load import load_of
from callboard.actors.relief import NONE
from callboard.actors.relieving import room
from callboard.actors.state import RunState
from callboard.bus.messages import ContextRelieved, RunSteered
from callboard.models.anthropic.wire import body_of
from callboard.models.openai import chat_wire, responses_wire
from callboard.models.port import AssistantTurn, ChatRequest, SteerNote, ToolOutcome, UserText
from callboard.models.tokens import size_of
from callboard.testing import pairing
from tests.support.outgrowing import KEY, TASK, Play


def accepted(request: ChatRequest) -> None:
    """The strict validators of all three wires take it."""
    wires = {
        "anthropic": body_of,
        "openai": responses_wire.request_body,
        "openai-chat": lambda asked: chat_wire.request_body(asked, at_openai=False),
    }
    for wire, build in wires.items():
        assert pairing.problem(wire, build(request)) is None


def within(request: ChatRequest, ratio: float) -> None:
    """The provider has room for it, and for the answer."""
    window = request.model.context
    assert window is None or ratio * size_of(request) + request.model.max_output <= window


def pinned(state: RunState, request: ChatRequest) -> None:
    """The task, each person's notes word for word, and the last turn with an outcome for each of its calls."""
    assert request.messages[0] == UserText(TASK)
    notes = [turn.text for turn in state.turns if isinstance(turn, RunSteered) and not turn.guard]
    told = [message.text for message in request.messages if isinstance(message, SteerNote) and message.by == "ada"]
    assert told == notes
    turns = [
        message for message in conversation(state, TASK, run=KEY.run, relief=NONE) if isinstance(message, AssistantTurn)
    ]
    kept = [message for message in request.messages if isinstance(message, AssistantTurn)]
    assert kept[-1:] == turns[-1:]
    assert request.summed_up + len(kept) == len(turns)
    calls = [call.id for turn in kept for call in turn.tool_calls]
    assert [message.call for message in request.messages if isinstance(message, ToolOutcome)] == calls


def played(seed: int) -> Counter[str]:
    """A run; what it went through."""
    seen = Counter[str]()

    def sent(state: RunState, request: ChatRequest) -> None:
        accepted(request)
        if not play.spec.fallbacks:
            within(request, play.ratio)
        if request.purpose == "turn":
            pinned(state, request)
        seen[request.purpose] += 1

    play = Play(seed, sent)
    play.run()
    reliefs = [event for record in play.entries for event in record.events if isinstance(event, ContextRelieved)]
    for event in reliefs:
        assert event.after < event.before
        seen["relieved"] += 1
        seen["cleared"] += bool(event.cleared)
        seen["repeated"] += bool(event.repeated)
        seen["summed up"] += bool(event.through)
    if play.ran_full:
        seen["full"] += 1
        nothing_left(play)
    whole = conversation(play.state, TASK, run=KEY.run, relief=NONE)
    assert whole == conversation(play.unrelieved(), TASK, run=KEY.run)
    seen[play.state.outcome or "under way"] += 1
    return seen


def nothing_left(play: Play) -> None:
    """It ends as full only if it would not fit without any result."""
    for choice in play.spec.models:
        load, most = load_of(play.state, play.spec, choice, run=KEY.run), room(choice)
        assert most is not None
        stubs = sum((piece.size - piece.stub) * piece.rate for piece in load.pieces if piece.call)
        if load.tokens - stubs > most * 0.99:
            return
    raise AssertionError("there was room")


def over(seeds: range) -> Counter[str]:
    seen = Counter[str]()
    for seed in seeds:
        seen += played(seed)
    return seen


def test_any_history_that_outgrew_its_window_is_accepted_has_room_and_what_is_pinned_and_can_be_undone() -> None:
    seen = over(range(150))
    assert seen["turn"] > 1_000
    assert min(seen[each] for each in ("summary", "cleared", "repeated", "summed up", "completed", "killed")) >= 5
    assert seen["full"] < seen["completed"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_histories_more() -> None:
    assert over(range(150, 2_000))["turn"] >= 10_000
