"""What fits into a window, where the vocabulary of a model is known."""

from __future__ import annotations

import pytest

from callboard.actors.fold import replay
from callboard.actors.load import load_of, tokens_of
from callboard.actors.relieving import relief_for
from callboard.actors.state import RunState
from callboard.bus.messages import (
    Blob,
    Content,
    ContextRelieved,
    ModelRequested,
    ModelResponded,
    ToolCall,
    ToolRequested,
    ToolReturned,
    Usage,
)
from callboard.config.spec import AgentSpec, ModelChoice, ToolSpec
from callboard.models.vocabulary import counter_of
from tests.models.token_samples import PROSE, SAMPLES, Sample
from tests.support.interpreter import KEY
from tests.support.journals import claimed, journal

LOCAL = ModelChoice(provider="openai", name="m", context=1_220, max_output=200)
"""Room for 1,000 tokens."""
GPT = LOCAL.model_copy(update={"name": "gpt-5"})
SPEC = AgentSpec(name="a", model=GPT, tools=(ToolSpec(name="read", effect="pure"),))
AROUND = counter_of(GPT).text("")


def read(result: str, *, used: int, by: ModelChoice) -> RunState:
    """A run that has read ``result``; its first call, of the model ``by``, had ``used`` tokens."""
    asked = ToolCall(id="m1.0", name="read", arguments={"path": "f"})
    events = (
        ModelRequested(call="m1", model=by.label),
        ModelResponded(call="m1", tool_calls=(asked,), usage=Usage(input_tokens=used), stop="tool_use"),
        ToolRequested(call="m1.0", tool="read", effect="pure", key="k"),
        ToolReturned(call="m1.0", result=Content(value=result)),
    )
    return replay(journal(claimed(input=Content(value="go")), list(events)))


def outgrew(state: RunState, choice: ModelChoice) -> bool:
    spec = SPEC.model_copy(update={"model": choice})
    found = relief_for(state, spec, choice, call="m9", run=KEY.run, summarise=False)
    return isinstance(found, ContextRelieved)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_what_is_new_is_counted_with_the_vocabulary_of_its_model(sample: Sample) -> None:
    state = read(sample.text, used=300, by=GPT)
    assert tokens_of(state, SPEC, GPT, run=KEY.run) == 300 + sample.newer + AROUND
    assert load_of(state, SPEC, GPT, run=KEY.run).tokens == 300 + sample.newer + AROUND


def test_what_another_model_counted_is_counted_anew() -> None:
    few, many = (read(PROSE * 20, used=used, by=LOCAL) for used in (300, 30_000))
    counted = tokens_of(few, SPEC, GPT, run=KEY.run)
    assert counted == tokens_of(many, SPEC, GPT, run=KEY.run)
    assert 20 * 68 <= counted <= 20 * 68 + 100


def test_a_task_that_is_kept_elsewhere_counts_by_its_bytes() -> None:
    blob = Blob(sha256="0" * 64, size=1_000)
    state = replay(journal(claimed(input=Content(blob=blob))))
    nothing = replay(journal(claimed(input=Content(value=""))))
    for choice in (LOCAL, GPT):
        extra = tokens_of(state, SPEC, choice, run=KEY.run) - tokens_of(nothing, SPEC, choice, run=KEY.run)
        assert extra == 500


def test_a_window_is_used_to_its_end_and_is_not_passed() -> None:
    """Bytes alone take results out long before it is full, or after it."""
    assert not outgrew(read(PROSE * 12, used=100, by=GPT), GPT)
    assert outgrew(read(PROSE * 12, used=100, by=LOCAL), LOCAL)
    (dense,) = (sample.text for sample in SAMPLES if sample.kind == "base64")
    assert outgrew(read(dense, used=300, by=GPT), GPT)
    assert not outgrew(read(dense, used=300, by=LOCAL), LOCAL)
