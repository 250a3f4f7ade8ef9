"""Which of an agent's models a call asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.choosing import candidates, cheapest, following, instead, others, verdict
from callboard.actors.commands import End
from callboard.actors.decide import decide
from callboard.actors.ending import BROKEN
from callboard.actors.fold import replay
from callboard.actors.gate import Refusal
from callboard.actors.retrying import after
from callboard.bus.messages import (
    Blob,
    Content,
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
    RunCompleted,
    RunFailed,
    RunSteered,
    ToolCall,
)
from callboard.bus.subjects import RunKey
from callboard.config.guards import Price
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import ModelError
from callboard.models.port import ChatRequest, UserText
from tests.support.journals import PROBLEM, T0, claimed, journal

NAMES = ("anthropic", "openai", "other")
SPEC = AgentSpec(
    name="a",
    model=ModelChoice(provider=NAMES[0], name="x"),
    fallbacks=tuple(ModelChoice(provider=name, name="x") for name in NAMES[1:]),
)
OFF = GuardDenied(guard="breaker", call="m1", problem=PROBLEM, retry_at=T0)


def state_of(*entries):
    return replay(journal(claimed(), *entries))


def asked(*entries, attempt=1, call="m1"):
    return candidates(state_of(*entries), SPEC, call, attempt=attempt)


def tried(entry: int, *, attempt: int, left: str = "", call: str = "m1"):
    return (
        ModelRequested(call=call, attempt=attempt, entry=entry, model=f"{NAMES[entry]}/x"),
        ModelFailed(call=call, attempt=attempt, problem=PROBLEM, retry_at=T0, left=left),
    )


def answered(entry: int, *, call: str = "m1", blocks=None, stop="tool_use", text="x", calls=()):
    said = Content() if blocks is None else Content(value=blocks)
    return (
        ModelRequested(call=call, entry=entry, model=f"{NAMES[entry]}/x"),
        ModelResponded(call=call, text=Content(value=text), blocks=said, stop=stop, tool_calls=calls),
    )


def test_a_call_asks_in_the_configured_order():
    assert asked() == (0, 1, 2)
    assert asked(*tried(0, attempt=1), attempt=2) == (0, 1, 2)


def test_a_model_that_was_left_is_not_asked_again_in_the_call():
    assert asked(*tried(0, attempt=1, left="for_now"), attempt=2) == (1, 2)
    assert asked(*tried(0, attempt=1, left="for_good"), *tried(1, attempt=2, left="for_now"), attempt=3) == (2,)


def test_the_next_call_begins_with_the_first_model_again():
    before = (*tried(0, attempt=1, left="for_good"), ModelRequested(call="m1", attempt=2, entry=1))
    assert asked(*before, ModelResponded(call="m1"), call="m2") == (0, 1, 2)


def test_a_call_that_was_put_off_asks_all_again_that_may_answer_then():
    left = (*tried(0, attempt=1, left="for_now"), *tried(1, attempt=2, left="for_good"))
    assert asked(*left, OFF, attempt=3) == (0, 2)
    call = state_of(*left, OFF, ModelRequested(call="m1", attempt=3, entry=2)).calls["m1"]
    assert (call.left, call.barred, call.asked, call.forgiven) == (frozenset(), {1}, (2,), 2)


def test_an_intent_that_is_written_already_stays_with_its_model():
    open_intent = ModelRequested(call="m1", attempt=2, entry=1)
    assert asked(*tried(0, attempt=1), open_intent, attempt=2) == (1,)
    again = state_of(*tried(0, attempt=1), open_intent, open_intent)
    assert again.calls["m1"].asked == (0, 1)
    assert asked(*tried(0, attempt=1), open_intent, attempt=3) == (0, 1, 2), "of an owner that was lost"


def test_a_run_stays_with_the_provider_whose_blocks_it_carries_if_it_can():
    own = answered(1, blocks=["signed"])
    assert asked(*own, call="m2") == (1, 0, 2)
    assert asked(*own, *tried(1, attempt=1, left="for_now", call="m2"), call="m2", attempt=2) == (0, 2)
    assert asked(*own, *answered(0, call="m2"), call="m3") == (0, 1, 2), "others do not read them"
    assert asked(*own, RunSteered(text="x"), call="m2") == (1, 0, 2)
    assert asked(ModelResponded(call="m9"), call="m2") == (0, 1, 2)


def dear(*dollars: float | None, entries=(0, 1, 2), before=(), max_output=100):
    """The order of models that ask so much for a token of an answer."""
    models = tuple(
        ModelChoice(
            provider=name, name="x", max_output=max_output, price=None if each is None else Price(input=0, output=each)
        )
        for name, each in zip(NAMES, dollars, strict=True)
    )
    spec = AgentSpec(name="a", model=models[0], fallbacks=models[1:], prefer="price")
    request = ChatRequest(
        model=models[0],
        system="",
        messages=(UserText("x"),),
        tools=(),
        attempt=1,
        call="m1",
        run="r",
        input=None,
        timeout=9,
    )
    return cheapest(entries, request, state_of(*before), spec)


def test_the_cheapest_model_for_the_call_is_asked_first_if_that_is_preferred():
    assert dear(3, 2, 1) == (2, 1, 0)
    assert dear(3, None, 1) == (2, 0, 1), "a price that nobody knows is the worst"
    assert dear(1, 2, 1) == (0, 2, 1), "as the file has them"
    assert dear(None, None, 0) == (2, 0, 1)
    assert dear(3, 2, 1, entries=(0, 1)) == (1, 0), "those that the call has left are not among them"


def test_a_run_stays_with_its_provider_although_another_one_is_cheaper():
    assert dear(3, 2, 1, before=answered(1, blocks=["signed"])) == (1, 2, 0)
    assert dear(3, 2, 1, before=answered(1)) == (2, 1, 0)


def test_there_are_others_until_all_have_been_left():
    def more(*entries):
        return others(SPEC, state_of(*entries).calls["m1"])

    assert more(ModelRequested(call="m1"))
    left = (*tried(0, attempt=1, left="for_now"), *tried(1, attempt=2, left="for_good"))
    assert more(*left[:2], ModelRequested(call="m1", attempt=2, entry=1))
    assert not more(*left, ModelRequested(call="m1", attempt=3, entry=2))


def test_a_model_that_the_worker_cannot_ask_is_passed_over():
    def able(*entries, attempt=1):
        return candidates(state_of(*entries), SPEC, "m1", attempt=attempt, absent={0, 2})

    assert able() == (1,)
    assert able(*tried(1, attempt=1, left="for_good"), attempt=2) == (1,), "somebody has to be asked"
    call = state_of(ModelRequested(call="m1", entry=1)).calls["m1"]
    assert (others(SPEC, call), others(SPEC, call, {0}), others(SPEC, call, {0, 2})) == (True, True, False)


def test_the_journal_says_why_an_earlier_model_was_not_asked():
    assert instead(1, {}, SPEC) == ""
    assert instead(1, {}, SPEC, absent={0, 2}) == "its worker cannot ask 'anthropic/x'"
    assert instead(1, {}, SPEC, absent={2}) == ""
    assert instead(2, {1: refusal(5)}, SPEC, absent={0}) == "x", "a guard's reason says more"


def test_a_journal_that_has_left_everything_still_asks_somebody():
    assert asked(*tried(0, attempt=1, left="for_good"), *tried(1, attempt=2, left="for_good"),
                 *tried(2, attempt=3, left="for_good"), attempt=4) == (0,)  # fmt: skip


def refusal(seconds: float | None, guard: str = "g") -> Refusal:
    at = None if seconds is None else T0 + timedelta(seconds=seconds)
    return Refusal(guard, Problem(kind="x", message="x"), retry_at=at)


def test_a_guard_that_lets_the_first_model_wait_means_that_model():
    assert following((0, 1), {}) == 0
    assert following((0, 1), {0: refusal(5)}) == 1
    assert following((1, 0), {1: refusal(5)}) == 0
    assert following((0, 1), {0: refusal(5), 1: refusal(None)}) is None
    assert following((0, 1, 2), {0: refusal(5), 1: refusal(None)}) == 2


def test_a_guard_that_refuses_the_first_model_for_good_means_the_run():
    assert following((0, 1), {0: refusal(None)}) is None


def test_a_guard_that_refuses_a_model_for_summaries_for_good_means_that_model():
    assert following((2, 0, 1), {2: refusal(None)}, purpose="summary") == 0
    assert following((0,), {0: refusal(None)}, purpose="summary") is None
    out_of_money = replace(refusal(None, "budget"), wrap_up=True)
    assert verdict({2: refusal(None, "unpriced"), 0: out_of_money}).guard == "budget"
    assert verdict({2: out_of_money, 0: refusal(9, "rate")}).guard == "rate"


def test_a_call_that_all_refuse_comes_back_when_the_first_of_them_may_let_it():
    assert verdict({0: refusal(9), 1: refusal(3, "soon"), 2: refusal(None)}).guard == "soon"
    assert verdict({0: refusal(None, "budget")}).guard == "budget"
    assert verdict({0: refusal(9, "a"), 1: refusal(None, "budget")}).guard == "a"


@given(st.lists(st.integers(0, 3), max_size=3, unique=True), st.data())
def test_no_entry_is_asked_twice_and_all_are_before_a_call_is_put_off(entries, data):
    order, refused, seen = tuple(entries) or (0,), {}, []
    while (entry := following(order, refused)) is not None:
        seen.append(entry)
        refused[entry] = refusal(data.draw(st.floats(0, 100)))
    assert seen == list(order)


@given(
    st.lists(st.sampled_from(("overload", "rate", "network", "auth", "quota", "context", "bad_request")), max_size=12),
    st.data(),
)
def test_a_call_ends_after_as_many_attempts_as_all_models_have_together(kinds, data):
    """Whatever fails, and in whatever order the guards let the models: none is asked again that the call has left."""
    events, attempts, gone, most = [], 0, set(), SPEC.limits.model_attempts
    for kind in (*kinds, *["overload"] * 13):
        state = state_of(*events)
        order = candidates(state, SPEC, "m1", attempt=attempts + 1)
        entry = data.draw(st.sampled_from(order))
        assert entry not in gone
        attempts += 1
        events.append(ModelRequested(call="m1", attempt=attempts, entry=entry, model=NAMES[entry]))
        call = state_of(*events).calls["m1"]
        error = ModelError(kind, "x", retryable=kind in ("overload", "rate", "network"))
        then = after(
            error, tries=call.asked.count(entry), attempts=most, seconds_left=900, wait=0, chance=0,
            others=others(SPEC, call),
        )  # fmt: skip
        gone |= {entry} if then.left else set()
        retry_at = None if then.pause is None else T0
        events.append(ModelFailed(call="m1", attempt=attempts, problem=PROBLEM, retry_at=retry_at, left=then.left))
        if retry_at is None:
            break
    assert attempts <= most * len(SPEC.models)
    assert isinstance(decide(state_of(*events), SPEC, T0, run=RunKey("t", "r")), End)


def end_of(*entries):
    command = decide(state_of(*entries), SPEC, T0, run=RunKey("t", "r"))
    return command.event if isinstance(command, End) else command


def test_an_answer_that_was_cut_off_never_looks_like_a_success():
    for stop in ("max_tokens", "context", "refusal", "content_filter"):
        ended = end_of(*answered(0, stop=stop, text="so far", calls=(ToolCall(id="t1", name="x"),)))
        assert isinstance(ended, RunFailed), stop
        assert (ended.problem.kind, ended.partial.value) == (f"model_{stop}", "so far")
        assert ended.problem.hint
    assert len(BROKEN) == 4
    assert isinstance(end_of(*answered(0, stop="end")), RunCompleted)


def test_a_pause_is_another_turn_and_its_text_belongs_to_the_answer():
    first = answered(0, stop="pause", text="one, ")
    assert end_of(*first).call == "m2"
    second = answered(0, call="m2", stop="pause", text="two, ")
    last = answered(0, call="m3", stop="end", text="three")
    assert end_of(*first, *second, *last).result.value == "one, two, three"
    cut = answered(0, call="m3", stop="max_tokens", text="thr")
    assert end_of(*first, *second, *cut).partial.value == "one, two, thr"
    before = answered(0, stop="tool_use", text="tools")
    assert end_of(*before, RunSteered(text="n"), *answered(0, call="m2", stop="end", text="x")).result.value == "x"


def test_a_long_text_stays_where_it_is():
    paused = ModelResponded(call="m1", text=Content(value="a", blob=Blob(sha256="b" * 64, size=9)), stop="pause")
    last = answered(0, call="m2", stop="end", text="b")
    assert end_of(ModelRequested(call="m1"), paused, *last).result.value == "b"
