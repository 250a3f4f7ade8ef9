"""What is taken out of a model's context, in what order, and what it reads instead: small runs, by their values."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.actors.charges import most
from callboard.actors.choosing import candidates, others
from callboard.actors.commands import Backoff, CallModel, Compaction, End, Write
from callboard.actors.conversation import conversation
from callboard.actors.decide import decide
from callboard.actors.fold import replay
from callboard.actors.gate import Refusal
from callboard.actors.load import load_of, most_tokens_of, tokens_of
from callboard.actors.relief import NONE
from callboard.actors.relieving import Full, compacted, fits, recoverable, relief_for, room, summary_bytes, summary_room
from callboard.actors.requests import has_room, made_smaller, read, request_of
from callboard.actors.state import RunState
from callboard.actors.summaries import SYSTEM, shortened, summary_of, transcript
from callboard.bus.messages import (
    Blob,
    Content,
    ContextRelieved,
    GuardDenied,
    Message,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
    RunFailed,
    RunSteered,
    ToolCall,
    ToolRequested,
    ToolReturned,
    Usage,
)
from callboard.config.spec import AgentSpec, ModelChoice, ToolSpec
from callboard.models.port import ChatReply, ToolOutcome, UserText
from callboard.models.port import Usage as Counted
from callboard.models.tokens import size_of
from tests.support.interpreter import KEY
from tests.support.journals import T0, claimed, journal

MODEL = ModelChoice(provider="openai", name="m", context=1_220, max_output=200)
"""Room for 1,000 tokens; a relief makes a request as small as 600."""
READ, SEND, RECALL = ToolSpec(name="read", effect="pure"), ToolSpec(name="send"), ToolSpec(name="recall", effect="pure")
SPEC = AgentSpec(name="a", model=MODEL, tools=(READ, SEND))
TASK = claimed(input=Content(value="go"))


def turn(
    number: int, size: int = 0, *, tool: str = "read", about: str = "", used: int = 0, **more: Any
) -> list[Message]:
    """A turn that calls a tool once, with a result of so many bytes; ``used``: tokens, as its provider counted."""
    call = f"m{number}"
    asked = ToolCall(id=f"{call}.0", name=tool, arguments={"path": about or f"f{number}"})
    usage = Usage(input_tokens=used)
    said: list[Message] = [
        ModelRequested(call=call, model=MODEL.label),
        ModelResponded(call=call, tool_calls=(asked,), usage=usage, stop="tool_use", **more),
    ]
    effect = {"read": "pure", "recall": "pure"}.get(tool, "at_most_once")
    done = ToolReturned(call=asked.id, result=Content(value="x" * max(0, size - 2)))
    return [*said, ToolRequested(call=asked.id, tool=tool, effect=effect, key="k"), done]


def after(*turns: list[Message] | Message) -> RunState:
    return replay(journal(TASK, *turns))


def relieved(state: RunState, spec: AgentSpec = SPEC, *, summarise: bool = False) -> Any:
    return relief_for(state, spec, spec.models[0], call="m9", run=KEY.run, summarise=summarise)


def outcomes(state: RunState, **more: Any) -> dict[str, Any]:
    told = conversation(state, "go", run=KEY.run, **more)
    return {message.call: message.content for message in told if isinstance(message, ToolOutcome)}


# -- what fits ---------------------------------------------------------------------------------------------------------
def test_a_request_has_room_beside_the_answer_and_two_percent() -> None:
    assert room(MODEL) == 1_000
    assert room(MODEL.model_copy(update={"context": None})) is None


def test_without_a_count_two_bytes_are_a_token_and_behind_one_only_what_is_new() -> None:
    uncounted, counted = after(turn(1, 1_000)), after(turn(1, 1_000, used=300))
    fixed = tokens_of(after(), SPEC, MODEL, run=KEY.run)
    assert fixed + 500 <= tokens_of(uncounted, SPEC, MODEL, run=KEY.run) <= fixed + 515
    assert tokens_of(counted, SPEC, MODEL, run=KEY.run) == 300 + 500
    assert load_of(counted, SPEC, MODEL, run=KEY.run).tokens == 300 + 500


def test_another_models_count_is_taken_for_a_quarter_more_and_never_for_more_than_two_bytes_a_token() -> None:
    state = after(turn(1, 1_000, used=300), turn(2, 0, used=400))
    other = MODEL.model_copy(update={"name": "other"})
    mine, theirs = (tokens_of(state, SPEC, choice, run=KEY.run) for choice in (MODEL, other))
    assert 1.2 * mine < theirs <= 1.25 * mine
    dense = after(turn(1, 1_000, used=300), turn(2, 0, used=600))
    assert tokens_of(dense, SPEC, other, run=KEY.run) <= tokens_of(dense, SPEC, MODEL, run=KEY.run) + 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 2_000)), min_size=1, max_size=6), st.booleans())
def test_what_surely_fits_is_known_without_a_look_at_the_history(turns, same) -> None:
    state = after(*(turn(at, size, used=used) for at, (size, used) in enumerate(turns, 1)))
    choice = MODEL if same else MODEL.model_copy(update={"name": "other"})
    exact = tokens_of(state, SPEC, choice, run=KEY.run)
    assert exact <= most_tokens_of(state, SPEC, choice, run=KEY.run) + 1, "two ways of adding up the same"
    assert fits(state, SPEC, choice, run=KEY.run) == (exact <= 1_000) or exact == 1_001


def test_what_does_not_fit_by_one_token_is_relieved_and_what_just_fits_is_not() -> None:
    assert relieved(after(turn(1, 1_400, used=300))) is None
    assert tokens_of(after(turn(1, 1_400, used=300)), SPEC, MODEL, run=KEY.run) == 1_000
    assert isinstance(relieved(after(turn(1, 1_402, used=300))), ContextRelieved)


def test_a_model_whose_window_nobody_knows_is_asked_as_it_is() -> None:
    spec = SPEC.model_copy(update={"model": MODEL.model_copy(update={"context": None})})
    huge = after(turn(1, 90_000, used=300))
    assert relieved(huge, spec) is None
    assert isinstance(decide(huge, spec, T0, run=KEY), CallModel)


# -- in this order -----------------------------------------------------------------------------------------------------
def test_the_oldest_results_are_cleared_first_until_the_window_is_well_below_full() -> None:
    state = after(turn(1, 1_200, used=10), turn(2, 1_200, used=500), turn(3, 1_200, used=950), turn(4, 200, used=990))
    event = relieved(state)
    assert (event.call, event.window, event.before, event.after) == ("m9", 1_220, 1_090, 495)
    assert (event.cleared, event.repeated, event.through) == (("m1.0", "m2.0"), (), "")


def test_a_result_that_is_shorter_than_what_would_stand_for_it_and_an_error_stay() -> None:
    failed = [*turn(2, used=400)[:3], ToolReturned(call="m2.0", problem=Problem(kind="broken", message="x" * 400))]
    assert relieved(after(turn(1, 30, used=100), failed, turn(3, 1_600, used=700))).cleared == ("m3.0",)


def test_a_read_that_was_made_again_is_dropped_before_what_is_newer_is_cleared() -> None:
    spec = SPEC.model_copy(update={"system": "s" * 2_000})
    old = [turn(at, 300, about=f"old{at}", used=at * 100) for at in range(1, 4)]
    event = relieved(after(*old, turn(4, 300, about="same", used=900), turn(5, 300, about="same", used=950)), spec)
    assert (event.cleared, event.repeated) == (("m1.0", "m2.0", "m3.0"), ("m4.0",))
    sent = [turn(at, 300, about="same", tool="send", used=850 + at * 20) for at in (4, 5)]
    assert relieved(after(*old, *sent), spec).repeated == ()


def test_of_equal_reads_the_last_one_stays() -> None:
    turns = [turn(at, 290, about="same", used=at * 230) for at in range(1, 5)]
    event = relieved(after(*turns))
    assert "m4.0" not in {*event.cleared, *event.repeated}


def test_turns_of_talk_are_summed_up_when_clearing_is_not_enough() -> None:
    talk = [turn(at, 4, used=at * 100, text=Content(value="talk " * 60)) for at in range(1, 11)]
    state = after(*talk)
    found = relieved(state, summarise=True)
    assert found == Compaction("m9", "m8", MODEL)
    assert isinstance(relieved(state), Full)


def test_a_turn_is_not_torn_from_the_one_that_goes_on_with_it() -> None:
    said = Content(value="talk " * 120)
    paused = ModelResponded(call="m8", stop="pause", text=said, usage=Usage(input_tokens=800))
    talk = [turn(at, 4, used=at * 100, text=Content(value="talk " * 60)) for at in range(1, 11)]
    talk[7] = [ModelRequested(call="m8", model=MODEL.label), paused]
    assert relieved(after(*talk), summarise=True) == Compaction("m9", "m9", MODEL)


def test_results_of_the_last_turn_are_cleared_at_the_very_last() -> None:
    state = after(turn(1, 4, used=400), turn(2, 4_000, used=500))
    assert relieved(state).cleared == ("m2.0",)
    assert isinstance(relieved(after(turn(1, 4, used=1_000))), Full)


def test_newer_results_are_cleared_from_the_older_to_the_newer() -> None:
    spec = SPEC.model_copy(update={"system": "s" * 3_000})
    counted = ((1, 500), (2, 700), (3, 850), (4, 960))
    event = relieved(after(*(turn(at, 240, about=f"f{at}", used=used) for at, used in counted)), spec)
    assert event.cleared == ("m1.0", "m2.0", "m3.0")  # the last two are the newest, which stay if they can


def test_a_run_that_is_full_ends_with_what_to_do() -> None:
    command = decide(after(turn(1, 4, used=1_000)), SPEC, T0, run=KEY)
    assert isinstance(command, End)
    problem = command.event.problem
    assert problem.kind == "context"
    assert problem.message.startswith("the next request has 1,002 tokens: it does not fit into the window of 1,220")
    assert "larger window" in problem.hint


# -- what the model reads instead --------------------------------------------------------------------------------------
def relief(**fields: Any) -> ContextRelieved:
    return ContextRelieved(**{"call": "m3", "before": 900, "after": 300, **fields})


def test_what_stands_for_a_result_has_its_size_and_the_way_back() -> None:
    turns = [turn(1, 5_000), turn(2, 700, tool="send")]
    state = after(*turns, relief(cleared=("m1.0", "m2.0")))
    assert outcomes(state) == {
        "m1.0": {"cleared": "5,000 bytes, to make room", "call": "m1.0", "hint": "make the call again if you need it"},
        "m2.0": {
            "cleared": "700 bytes, to make room",
            "call": "m2.0",
            "hint": "the call is done: do not make it again for its result alone",
        },
    }
    assert outcomes(state, tools=(READ, RECALL))["m2.0"]["hint"] == "recall(call='m2.0') gives it back"
    again = outcomes(after(*turns, relief(repeated=("m1.0",))))
    assert again["m1.0"]["hint"] == "the same call was made again later: its result is there"
    assert outcomes(state, relief=NONE) == outcomes(after(*turns))


def test_a_large_result_is_named_by_its_whole_size() -> None:
    whole = Content(value="xx", blob=Blob(sha256="0" * 64, size=99_000))
    state = after([*turn(1)[:3], ToolReturned(call="m1.0", result=whole)], relief(cleared=("m1.0",)))
    assert outcomes(state)["m1.0"]["cleared"] == "99,000 bytes, to make room"


def test_a_summary_stands_before_what_is_kept_and_peoples_notes_stay_word_for_word() -> None:
    person, guard = RunSteered(text="be polite", by="ada"), RunSteered(text="you repeat yourself", guard="loop")
    summary = {"goal": "go", "facts": ["it is 7"]}
    state = after(turn(1), person, guard, turn(2), turn(3), relief(through="m2", summary=Content(value=summary)))
    told = conversation(state, "go", run=KEY.run)
    assert [type(message).__name__ for message in told] == [
        "UserText", "UserText", "SteerNote", "AssistantTurn", "ToolOutcome",
    ]  # fmt: skip
    assert told[0] == UserText("go")
    assert '"facts": ["it is 7"]' in told[1].text
    assert told[2].text == "be polite"
    assert told[4].call == "m3.0"


def test_a_summary_of_turns_that_are_not_there_stands_for_nothing() -> None:
    state = after(turn(1), relief(through="m7", summary=Content(value="x")))
    assert conversation(state, "go", run=KEY.run) == conversation(after(turn(1)), "go", run=KEY.run)


# -- summaries ---------------------------------------------------------------------------------------------------------
def talked(*more: Message) -> RunState:
    return after(*[turn(at, 4, used=at * 100, text=Content(value="talk " * 60)) for at in range(1, 11)], *more)


def asked(call: str = "s1", **fields: Any) -> ModelRequested:
    return ModelRequested(**{"call": call, "model": "x/y", "purpose": "summary", **fields})


def test_a_summary_is_a_call_of_its_own_that_is_tried_again_after_its_pause() -> None:
    command = decide(talked(), SPEC, T0, run=KEY)
    assert command == CallModel("s1", 1, purpose="summary", compaction=Compaction("m11", "m8", MODEL))
    assert command.turn == "m11"
    later = T0 + timedelta(seconds=1)
    failed = ModelFailed(call="s1", problem=Problem(kind="model_overload", message="no"), retry_at=later)
    assert decide(talked(asked(), failed), SPEC, T0, run=KEY) == Backoff(later)
    again = decide(talked(asked(), failed), SPEC, later, run=KEY)
    assert (again.call, again.attempt) == ("s1", 2)


def test_without_a_summary_the_run_goes_on_with_less_or_ends() -> None:
    failed = ModelFailed(call="s1", problem=Problem(kind="model_auth", message="no"))
    useless = ModelResponded(call="s1", purpose="summary", text=Content(value=" "))
    for event in (failed, useless):
        command = decide(talked(asked(), event), SPEC, T0, run=KEY)
        assert isinstance(command, End)
        assert command.event.problem.kind == "context"
    assert talked(asked(), useless).relief.summaries == 1


def test_a_run_that_wraps_up_asks_for_no_summary() -> None:
    denied = GuardDenied(guard="budget", call="m11", problem=Problem(kind="budget", message="used up"), wrap_up=True)
    ended = decide(talked(denied), SPEC, T0, run=KEY)
    assert isinstance(ended, End)
    assert isinstance(ended.event, RunFailed)
    assert (ended.event.problem, ended.event.guard) == (denied.problem, "budget")
    assert ended.event.partial == Content(value="talk " * 60)
    roomy = SPEC.model_copy(update={"model": MODEL.model_copy(update={"context": 9_000})})
    last = CallModel("m11", 1, wrap_up=True)
    assert decide(talked(denied), roomy, T0, run=KEY) == last
    request = request_of(talked(denied), last, MODEL, spec=SPEC, given="go", run=KEY.run, timeout=9)
    assert (request.tools, request.may_call, request.output) == (SPEC.tools, False, None)
    assert "no tool can be called any more" in request.messages[-1].text


def test_the_request_for_a_summary_is_a_record_that_fits_the_model_that_makes_it() -> None:
    compaction = Compaction("m11", "m8", MODEL)
    command = CallModel("s1", 1, purpose="summary", compaction=compaction)
    small = MODEL.model_copy(update={"context": 700})
    for choice in (MODEL, small):
        request = request_of(talked(), command, choice, spec=SPEC, given="go", run=KEY.run, timeout=9)
        assert (request.system, request.tools, request.purpose) == (SYSTEM, (), "summary")
        (record,) = request.messages
        assert "[agent] talk" in record.text
        assert "[result of read, m8.0]" in record.text or choice is small
        assert len(record.text.encode()) <= summary_room(talked(), SPEC, choice, compaction, run=KEY.run)
        assert fits_alone(choice, len(record.text) + len(SYSTEM))


def fits_alone(choice: ModelChoice, size: int) -> bool:
    most = room(choice)
    return most is not None and size / 2 <= most


def test_a_summariser_whose_window_nobody_knows_gets_half_of_what_was_too_much() -> None:
    unknown = MODEL.model_copy(update={"context": None})
    tokens = tokens_of(talked(), SPEC, MODEL, run=KEY.run)
    size = summary_room(talked(), SPEC, unknown, Compaction("m11", "m8", MODEL), run=KEY.run)
    assert size == max(400, tokens // 2 * 2 - len(SYSTEM))
    assert summary_bytes(unknown) == 16_000


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ('{"goal": "g", "facts": ["f"], "open_items": [], "mood": "good"}', {"goal": "g", "facts": ["f"]}),
        ('```json\n{"goal": "g"}\n```', {"goal": "g"}),
        (" We are done. ", "We are done."),
        ("[1]", "[1]"),
        ("{}", "{}"),
        (" ", ""),
        ("[" * 100_000, shortened("[" * 100_000, 900)),
        ('{"goal": "\\ud83d"}', '{"goal": "\\ud83d"}'),
        ('{"goal": NaN}', '{"goal": NaN}'),
        ('{"goal": 1e400}', '{"goal": 1e400}'),
    ],
)
def test_a_summary_has_its_four_parts_or_is_the_text_as_it_came(text: str, summary: Any) -> None:
    assert summary_of(text, 900) == summary


def test_a_summary_that_is_too_long_is_cut_in_the_middle() -> None:
    long = summary_of('{"goal": "' + "é" * 2_000 + '"}', 500)
    assert isinstance(long, str)
    assert len(long.encode()) <= 500
    assert long.startswith('{"goal": "é')
    assert long.endswith('é"}')


def test_a_refused_summary_changes_nothing() -> None:
    command = CallModel("s1", 1, purpose="summary", compaction=Compaction("m11", "m8", MODEL))
    for stop, count in (("refusal", 0), ("content_filter", 0), ("max_tokens", 1), ("end", 1)):
        reply = ChatReply("So far so good.", (), Counted(), stop)
        assert len(read(talked(), command, reply, spec=SPEC, run=KEY.run)) == count
    assert read(talked(), CallModel("m11", 1), ChatReply("x", (), Counted(), "end"), spec=SPEC, run=KEY.run) == ()


def test_a_long_part_of_a_record_is_cut_before_short_ones_are() -> None:
    state = after(turn(1, 9_000), turn(2, 40, text=Content(value="the answer is 7")), turn(3, 9_000))
    record = transcript(state, "go", Compaction("m4", "m3", MODEL), run=KEY.run, size=1_500)
    assert len(record.encode()) <= 1_500
    assert "the answer is 7" in record
    assert all(f"[calls read, m{at}.0]" in record for at in (1, 2, 3))


def test_a_summary_counts_as_what_it_is_and_the_turns_that_it_stands_for_do_not() -> None:
    compaction = Compaction("m11", "m8", MODEL)
    event = compacted(talked(), SPEC, compaction, {"goal": "g" * 100}, run=KEY.run)
    assert (event.call, event.through, event.summary.value) == ("m11", "m8", {"goal": "g" * 100})
    assert abs(event.before - tokens_of(talked(), SPEC, MODEL, run=KEY.run)) <= 1
    assert event.after < event.before / 2
    longer = compacted(talked(), SPEC, compaction, {"goal": "g" * 300}, run=KEY.run)
    assert longer.after - event.after == 100
    assert tokens_of(talked(event), SPEC, MODEL, run=KEY.run) == event.after


def test_what_is_reserved_is_half_of_the_bytes_when_the_last_count_is_of_more_than_is_sent() -> None:
    state = after(turn(1, 2_000, used=900))
    request = request_of(state, CallModel("m2", 1), MODEL, spec=SPEC, given="go", run=KEY.run, timeout=9)
    assert most(request, state).input_tokens == 900 + 1_000
    less = after(turn(1, 2_000, used=900), relief(cleared=("m1.0",)))
    request = request_of(less, CallModel("m2", 1), MODEL, spec=SPEC, given="go", run=KEY.run, timeout=9)
    assert most(request, less).input_tokens == -(-size_of(request) // 2)
    summary = replace(request, purpose="summary")
    assert most(summary, state).input_tokens == -(-size_of(summary) // 2)


# -- a provider that knows better --------------------------------------------------------------------------------------
TOO_LARGE = ModelFailed(call="m3", problem=Problem(kind="model_context", message="too long"), retry_at=T0)


def refused(*more: Message) -> RunState:
    turns = [turn(1, 1_600, used=10), turn(2, 200, used=300)]
    return after(*turns, ModelRequested(call="m3", model=MODEL.label), TOO_LARGE, *more)


def test_a_call_that_was_refused_as_too_large_is_made_half_as_large_and_asked_again() -> None:
    command = decide(refused(), SPEC, T0, run=KEY)
    assert isinstance(command, Write)
    (event,) = command.events
    assert isinstance(event, ContextRelieved)
    assert event.after <= event.before / 2
    assert decide(refused(event), SPEC, T0, run=KEY) == CallModel("m3", 2)


def test_a_refused_call_is_made_smaller_twice_at_most_and_only_if_there_is_something_to_leave_out() -> None:
    def may(state: RunState) -> bool:
        return recoverable(state, SPEC, MODEL, call="m3", run=KEY.run, wrap_up=False)

    asked_again = ModelRequested(call="m3", attempt=2, model=MODEL.label)
    assert may(refused())
    assert not may(refused(asked_again, TOO_LARGE))
    assert not may(after(turn(1, 4, used=10)))


def test_a_refused_call_that_goes_to_another_model_stays_as_it_is() -> None:
    left = TOO_LARGE.model_copy(update={"left": "for_good"})
    turns = [turn(1, 1_600, used=10), turn(2, 200, used=300)]
    state = after(*turns, ModelRequested(call="m3", model=MODEL.label), left)
    assert not state.relief.overflowed


def test_one_that_refuses_what_cannot_be_less_is_asked_once_more_and_then_left() -> None:
    state = after(turn(1, 4, used=10), ModelRequested(call="m2", model=MODEL.label),
        TOO_LARGE.model_copy(update={"call": "m2"}))  # fmt: skip
    assert decide(state, SPEC, T0, run=KEY) == CallModel("m2", 2)


# -- a chain of models -------------------------------------------------------------------------------------------------
def test_a_model_with_a_smaller_window_has_no_room_until_results_are_cleared() -> None:
    turns, command = (turn(1, 1_000, used=10), turn(2, 40, used=400)), CallModel("m3", 1)
    state = after(*turns)
    small = MODEL.model_copy(update={"name": "small", "context": 620})
    assert has_room(state, command, MODEL, spec=SPEC, run=KEY.run)
    assert not has_room(state, command, small, spec=SPEC, run=KEY.run)
    event = made_smaller(state, command, small, spec=SPEC, run=KEY.run)
    assert isinstance(event, ContextRelieved)
    assert event.cleared == ("m1.0",)
    assert has_room(after(*turns, event), command, small, spec=SPEC, run=KEY.run)
    tiny = MODEL.model_copy(update={"name": "tiny", "context": 210})
    refusal = made_smaller(state, command, tiny, spec=SPEC, run=KEY.run)
    assert isinstance(refusal, Refusal)
    assert (refusal.guard, refusal.problem.kind, refusal.retry_at) == ("context", "context", None)
    assert has_room(state, CallModel("s1", 1, purpose="summary"), tiny, spec=SPEC, run=KEY.run)


def test_when_the_first_model_is_full_one_with_a_larger_window_is_asked() -> None:
    large = MODEL.model_copy(update={"name": "large", "context": 9_000})
    spec, state = SPEC.model_copy(update={"fallbacks": (large,)}), after(turn(1, 4, used=1_000))
    assert decide(state, spec, T0, run=KEY) == CallModel("m2", 1)
    assert fits(state, spec, large, run=KEY.run)


def test_a_summary_is_asked_of_its_own_model_first_then_of_the_agents_in_their_order() -> None:
    cheap, second = MODEL.model_copy(update={"name": "cheap"}), MODEL.model_copy(update={"provider": "anthropic"})
    spec = SPEC.model_copy(update={"fallbacks": (second,), "summary": cheap})
    signed = Content(value=[{"type": "thinking"}])
    state = after([ModelRequested(call="m1", model="anthropic/m"), ModelResponded(call="m1", blocks=signed)])
    assert candidates(state, spec, "m2", attempt=1) == (1, 0)
    assert candidates(state, spec, "s1", attempt=1, purpose="summary") == (2, 0, 1)
    assert candidates(state, SPEC, "s1", attempt=1, purpose="summary") == (0,)
    failed = ModelFailed(call="s1", problem=Problem(kind="model_auth", message="no"), retry_at=T0, left="for_good")
    left = after([asked("s1", entry=2), failed])
    assert candidates(left, spec, "s1", attempt=2, purpose="summary") == (0, 1)
    assert others(spec, left.calls["s1"])
