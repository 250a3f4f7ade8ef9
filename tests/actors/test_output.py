"""An answer and the agent's ``output``: what fits, what is asked again, how often, and how the run ends."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from callboard.actors.commands import CallModel, CheckOutput, End
from callboard.actors.conversation import conversation
from callboard.actors.decide import decide
from callboard.actors.ending import REPAIRS
from callboard.actors.fold import replay
from callboard.actors.output import Fit, Unfit, checked, failure, rejected
from callboard.actors.said_json import said_json
from callboard.bus.messages import (
    Blob,
    Content,
    GuardDenied,
    ModelRequested,
    ModelResponded,
    OutputRejected,
    RunCompleted,
    RunFailed,
    RunSteered,
)
from callboard.bus.subjects import RunKey
from callboard.config.nesting import DEEPEST
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import InvalidMessage
from callboard.models.port import AssistantTurn, SteerNote, UserText
from tests.support.journals import PROBLEM, T0, claimed, few, journal

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"total": {"type": "integer", "minimum": 1}, "note": {"type": "string"}},
    "required": ["total"],
    "additionalProperties": False,
}
SPEC = AgentSpec(name="a", model=ModelChoice(provider="scripted"), output=SCHEMA)
RUN = RunKey("default", "r1")


class Line(BaseModel):
    price: Decimal
    when: date


class Invoice(BaseModel):
    number: str = Field(alias="no")
    lines: list[Line] = []

    @field_validator("number")
    @classmethod
    def _known(cls, value: str) -> str:
        if not value.startswith("R"):
            raise ValueError("numbers begin with R")
        return value


def turn(text: str, call: str = "m1", stop: str = "end", **more: Any) -> tuple[ModelRequested, ModelResponded]:
    return ModelRequested(call=call), ModelResponded(call=call, text=Content(value=text), stop=stop, **more)


def next_of(*entries: Any, spec: AgentSpec = SPEC) -> Any:
    return decide(replay(journal(claimed(), *entries)), spec, T0, run=RUN)


def test_the_last_answer_of_an_agent_with_an_output_is_checked_before_the_run_ends():
    assert next_of(turn("{}")) == CheckOutput("m1", (Content(value="{}"),), 1)
    assert next_of(turn("{}"), spec=SPEC.model_copy(update={"output": None})) == End(
        RunCompleted(result=Content(value="{}"))
    )


def test_an_answer_that_was_cut_off_is_not_checked():
    assert isinstance(next_of(turn('{"to', stop="max_tokens")), End)


def test_an_answer_in_several_parts_is_checked_as_a_whole():
    whole = next_of(turn('{"a":', stop="pause"), turn("1}", call="m2"))
    assert whole.parts == (Content(value='{"a":'), Content(value="1}"))


def test_after_a_late_note_the_model_is_asked_and_its_answer_is_not_checked():
    assert isinstance(next_of(turn("{}"), RunSteered(text="wait")), CallModel)


def test_a_rejected_answer_is_asked_again_and_the_model_reads_why():
    entries = turn("no"), OutputRejected(call="m1", round=1, problems="total: missing")
    assert next_of(*entries) == CallModel("m2", 1)
    read = conversation(replay(journal(claimed(), *entries)), "task", run="r1")
    assert read[:2] == (UserText("task"), AssistantTurn("no"))
    assert isinstance(read[2], SteerNote)
    assert (read[2].by, "total: missing" in read[2].text) == ("output", True)


def test_the_rounds_are_counted():
    first = turn("no"), OutputRejected(call="m1", round=1, problems="p")
    second = turn("no", call="m2"), OutputRejected(call="m2", round=2, problems="p")
    assert next_of(*first, turn("no", call="m2")).round == 2
    assert next_of(*first, *second, turn("no", call="m3")).round == 3


def test_a_rejection_that_is_repeated_or_of_nobody_changes_nothing():
    once = claimed(), turn("no"), OutputRejected(call="m1", problems="p")
    again = replay(journal(*once, OutputRejected(call="m1", problems="q")))
    assert again.turns == replay(journal(*once)).turns
    assert replay(journal(*once, ("o9", OutputRejected(call="m2", problems="q")))).turns == again.turns


def test_the_turn_that_wraps_up_is_not_checked():
    denied = GuardDenied(guard="budget", call="m2", problem=PROBLEM, wrap_up=True)
    wrapped = ModelRequested(call="m2", wrap_up=True), ModelResponded(call="m2", text=Content(value="so far"))
    ended = next_of(turn("no"), OutputRejected(call="m1", problems="p"), denied, wrapped)
    assert isinstance(ended, End)
    assert (ended.event.partial, ended.event.guard) == (Content(value="so far"), "budget")


@pytest.mark.parametrize("round_", [1, 2, 3, 7])
def test_an_answer_may_be_repaired_twice_and_then_the_run_fails_with_the_last_one(round_: int):
    command = CheckOutput("m1", (Content(value="no"),), round_)
    found = rejected(command, Unfit(("total: missing", "note: x")))
    if round_ <= REPAIRS:
        assert found == OutputRejected(call="m1", round=round_, problems="total: missing\nnote: x")
    else:
        assert isinstance(found, RunFailed)
        assert (found.problem.kind, found.partial) == ("bad_output", Content(value="no"))
        assert "total: missing" in found.problem.message
        assert found.problem.hint


def test_a_long_last_answer_is_kept_by_its_reference():
    long = Content(value="…", blob=Blob(sha256="0" * 64, size=99))
    parts = (Content(value="a"), long)
    assert failure(CheckOutput("m1", parts, 1), "k", "m", hint="h").partial == long


@pytest.mark.parametrize(
    "text",
    [
        '{"total": 3}',
        '\n {"total": 3} ',
        '```json\n{"total": 3}\n```',
        '```\n{"total": 3}```',
        '```JSON \n{"total": 3}\n```\n',
    ],
)
def test_json_is_read_with_or_without_a_fence(text: str):
    assert checked(text, SCHEMA, None) == Fit({"total": 3})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("Sure! {}", "no JSON"),
        ("```", "no JSON"),
        ("```python\n{}\n```", "no JSON"),
        ('```json\n{"total": 3}\n```\n```json\n{"total": 3}\n```', "no JSON"),
        ('{"total": NaN}', "no JSON"),
        ('{"total": 1e400}', "out of range"),
        ('{"total": 3, "more": "\\ud83d"}', "surrogates"),
        ("[" * 5_000, "no JSON"),
        ("[]", "is not of type 'object'"),
        ("{}", "'total' is a required property"),
        ('{"total": 0}', "total: 0 is less than the minimum of 1"),
        ('{"total": "3"}', "total: '3' is not of type 'integer'"),
        ('{"total": 3, "more": 1}', "'more' was unexpected"),
    ],
)
def test_what_does_not_fit_the_schema_is_said_with_its_place(text: str, says: str):
    found = checked(text, SCHEMA, None)
    assert isinstance(found, Unfit)
    assert says in found.problems[0]


def test_problems_are_few_and_short():
    many = checked(
        json.dumps({f"k{n}": 1 for n in range(50)}), {**SCHEMA, "required": [f"r{n}" for n in range(50)]}, None
    )
    assert isinstance(many, Unfit)
    assert len(many.problems) == 11
    assert many.problems[-1] == "and more"
    long = checked(json.dumps({"total": "x" * 10_000}), SCHEMA, None)
    assert isinstance(long, Unfit)
    assert len(long.problems[0]) <= 301


def test_a_class_checks_and_its_data_is_json():
    text = '{"no": "R1", "lines": [{"price": "1.50", "when": "2026-11-21"}]}'
    fit = checked(text, {}, Invoice)
    assert fit == Fit({"no": "R1", "lines": [{"price": "1.50", "when": "2026-11-21"}]})
    assert isinstance(fit, Fit)
    assert Invoice.model_validate(fit.data).lines[0].when == date(2026, 11, 21)


def test_data_is_what_the_class_made_of_it():
    given = '{"no": "R1", "lines": [{"price": 1.5, "when": "2026-11-21", "more": 1}], "more": 1}'
    assert checked(given, {}, Invoice) == Fit({"no": "R1", "lines": [{"price": "1.5", "when": "2026-11-21"}]})
    assert checked('{"no": "R1"}', {}, Invoice) == Fit({"no": "R1", "lines": []})


def test_what_a_class_says_is_told_with_its_place():
    found = checked('{"no": "7", "lines": [{"price": "much"}]}', {}, Invoice)
    assert found == Unfit(
        (
            'no: numbers begin with R, not "7"',
            'lines.0.price: Input should be a valid decimal, not "much"',
            "lines.0.when: Field required",
        )
    )


def test_what_a_validator_raises_beside_value_errors_comes_out():
    class Faulty(BaseModel):
        x: int

        @field_validator("x")
        @classmethod
        def _oops(cls, _: int) -> int:
            raise KeyError("oops")

    with pytest.raises(KeyError):
        checked('{"x": 1}', {}, Faulty)


answers = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "3", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["total", "note", "more"]), inner),
    max_leaves=4,
).map(json.dumps) | st.text(max_size=8)


@few
@given(st.lists(answers, min_size=4, max_size=6))
def test_a_run_asks_three_times_at_most_and_its_result_is_always_valid(texts: list[str]):
    entries: list[Any] = [claimed()]
    asked = 0
    while True:
        command = decide(replay(journal(*entries)), SPEC, T0, run=RUN)
        if isinstance(command, CallModel):
            asked += 1
            entries.append(turn(texts[asked - 1], call=command.call))
            continue
        assert isinstance(command, CheckOutput)
        found = checked("".join(str(part.value) for part in command.parts), SCHEMA, None)
        if isinstance(found, Fit):
            jsonschema.validate(found.data, SCHEMA)
            break
        verdict = rejected(command, found)
        if isinstance(verdict, RunFailed):
            assert asked == 1 + REPAIRS
            break
        entries.append(verdict)
    assert asked <= 1 + REPAIRS


def test_data_that_nests_deeper_than_a_journal_can_keep_is_no_answer():
    assert said_json("[" * DEEPEST + "]" * DEEPEST)
    for levels in (DEEPEST + 1, DEEPEST + 9, DEEPEST + 99):
        with pytest.raises(InvalidMessage, match="deeper"):
            said_json("[" * levels + ",".join(["[]"] * 20) + "]" * levels)
