"""What a call takes from a limit: what its run's last call had, and what nobody has counted yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from callboard.actors.conversation import conversation
from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.bus.messages import (
    Content,
    Message,
    ModelRequested,
    ModelResponded,
    ToolCall,
    ToolRequested,
    ToolReturned,
    Usage,
)
from callboard.config.spec import ModelChoice
from callboard.guards.rate.estimate import needed, observe
from callboard.models.port import ChatRequest
from callboard.models.tokens import Calibration, size_of
from callboard.models.vocabulary import counter_of
from tests.models.token_samples import CODE, SAMPLES
from tests.support.interpreter import KEY
from tests.support.journals import claimed, journal

LOCAL, GPT = ModelChoice(provider="openai-chat", name="m"), ModelChoice(provider="openai", name="gpt-5")
READ = 900


def asked(choice: ModelChoice, result: str = "", *, used: int = READ, by: str = "") -> tuple[ChatRequest, RunState]:
    """The second call of a run, behind a tool with that result; the first, of the model ``by``, had ``used`` tokens."""
    events: Sequence[Message] = (
        ModelRequested(call="m1", model=by or choice.label),
        ModelResponded(
            call="m1",
            tool_calls=(ToolCall(id="m1.0", name="read", arguments={}),),
            usage=Usage(input_tokens=used // 3, cached_tokens=used // 3, output_tokens=used // 3),
            stop="tool_use",
        ),
        ToolRequested(call="m1.0", tool="read", effect="pure", key="k"),
        ToolReturned(call="m1.0", result=Content(value=result)),
    )
    state = replay(journal(claimed(input=Content(value="go")), *events))
    messages = conversation(state, "go", run=KEY.run)
    request = ChatRequest(
        choice, "s" * 10_000, messages, (), attempt=1, call="m2", run=KEY.run, input="go", timeout=1.0
    )
    return request, state


def test_what_the_last_call_of_the_run_had_is_not_estimated_again() -> None:
    request, state = asked(LOCAL, "x" * 998)
    assert needed(request, state, Calibration()) == READ + 500


@pytest.mark.parametrize("more", [{"used": 0}, {"by": "openai/other"}])
def test_without_a_count_of_the_same_model_all_of_it_is_estimated(more: dict[str, int]) -> None:
    request, state = asked(LOCAL, "x" * 998, **more)
    assert needed(request, state, Calibration()) == -(-size_of(request) // 2)


def test_a_summary_repeats_nothing() -> None:
    request, state = asked(LOCAL, "x" * 998)
    summary = replace(request, purpose="summary")
    assert needed(summary, state, Calibration()) == -(-size_of(summary) // 2)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_what_is_new_is_counted_if_its_vocabulary_is_there(sample) -> None:
    request, state = asked(GPT, sample.text)
    around = counter_of(GPT).text("")
    assert needed(request, state, Calibration()) == READ + sample.newer + around


def test_calls_show_how_many_tokens_what_is_counted_really_has() -> None:
    for choice in (LOCAL, GPT):
        request, state = asked(choice, CODE * 20)
        known, guessed = Calibration(), needed(request, state, Calibration()) - READ
        whole = size_of(request, counter_of(choice)) * counter_of(choice).most
        for _ in range(8):
            observe(request, Usage(input_tokens=round(whole) // 4, cached_tokens=round(whole) // 2), known)
        assert needed(request, state, known) - READ == pytest.approx(0.75 * guessed, abs=2)
