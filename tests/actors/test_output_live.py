"""Agents with an ``output`` on the real bus: repaired, given up, faulty validators, delegates, long answers."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from callboard.actors import output_check
from callboard.actors.code import AgentCode
from callboard.app.outputs import schema_of
from callboard.bus.messages import ModelResponded, OutputRejected, RunSteered
from callboard.bus.subjects import RunKey
from callboard.tools.tool import tool
from tests.support.fleet import Fleet, fleet, scripted

GO = threading.Event()
"""The validator below waits for it."""


class Invoice(BaseModel):
    number: str
    total: int

    @field_validator("total")
    @classmethod
    def _checked(cls, value: int) -> int:
        if value == 13:
            raise KeyError("thirteen")
        while value == 99 or (value == 98 and not GO.is_set()):
            time.sleep(0.001)
        if value < 0:
            raise ValueError("totals are not negative")
        return value


SCHEMA = schema_of(Invoice)
GOOD = '{"number": "R7", "total": 42}'


def with_output(code: AgentCode, model: type[BaseModel] | None = Invoice, schema: Any = SCHEMA) -> AgentCode:
    return replace(code, spec=code.spec.model_copy(update={"output": schema}), output=model)


async def events_of(board: Fleet, key: RunKey, kind: Any) -> list[Any]:
    return [
        each for entry in await board.bus.journals.read(key) for each in entry.record.events if isinstance(each, kind)
    ]


async def play(code: AgentCode, *others: AgentCode) -> tuple[Any, list[OutputRejected], list[ModelResponded]]:
    async with fleet(code, *others) as board:
        key = await board.submit(code.spec.name, "the task")
        state = await board.over(key)
        return state, await events_of(board, key, OutputRejected), await events_of(board, key, ModelResponded)


async def test_an_answer_that_is_right_at_once_is_data():
    state, rejected, _ = await play(with_output(scripted("a", {"text": GOOD})))
    assert (state.outcome, state.terminal.result.value) == ("completed", {"number": "R7", "total": 42})
    assert not rejected


async def test_a_wrong_answer_is_repaired_and_the_model_reads_what_was_wrong():
    reads = {"when": "totals are not negative", "text": f"```json\n{GOOD}\n```"}
    state, rejected, answered = await play(
        with_output(scripted("a", {"text": "I think it is 42"}, {"text": '{"number": "R7", "total": -1}'}, [reads]))
    )
    assert state.terminal.result.value == {"number": "R7", "total": 42}
    assert [(each.call, each.round) for each in rejected] == [("m1", 1), ("m2", 2)]
    assert "no JSON" in rejected[0].problems
    assert rejected[1].problems == "total: totals are not negative, not -1"
    assert len(answered) == 3


async def test_a_third_wrong_answer_ends_the_run_with_it():
    state, rejected, answered = await play(with_output(scripted("a", {"text": "no {{ last }}"}, loop=True), None))
    assert (state.outcome, state.terminal.problem.kind) == ("failed", "bad_output")
    assert (len(rejected), len(answered)) == (2, 3)
    assert state.terminal.partial.value == answered[-1].text.value
    assert state.terminal.problem.hint


async def test_rounds_of_repair_are_turns():
    state, rejected, _ = await play(with_output(scripted("a", {"text": "no"}, loop=True, turns=2)))
    assert (state.terminal.problem.kind, len(rejected)) == ("turns", 2)
    assert state.terminal.partial.value == "no", "the last answer is paid for"


async def test_a_validator_that_raises_something_else_ends_the_run_and_not_the_worker():
    code = with_output(scripted("a", {"text": '{"number": "R", "total": 13}'}))
    async with fleet(code) as board:
        for _ in range(2):
            state = await board.over(await board.submit("a", "x"))
            assert (state.outcome, state.terminal.problem.kind) == ("failed", "output_check_failed")
            assert "KeyError: 'thirteen'" in state.terminal.problem.message
            assert state.terminal.partial.value == '{"number": "R", "total": 13}'


async def test_a_validator_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(output_check, "CHECK_SECONDS", 0.2)
    state, _, _ = await play(with_output(scripted("a", {"text": '{"number": "R", "total": 99}'})))
    assert state.terminal.problem.kind == "output_check_failed"
    assert "took longer than 200 ms" in state.terminal.problem.message


async def test_a_run_that_is_out_of_time_in_the_check_ends_for_its_deadline():
    code = with_output(scripted("a", {"text": '{"number": "R", "total": 99}'}, deadline=0.5))
    state, _, _ = await play(code)
    assert state.terminal.problem.kind == "deadline"


async def test_a_kill_stops_a_validator_that_hangs():
    async with fleet(with_output(scripted("a", {"text": '{"number": "R", "total": 99}'}))) as board:
        key = await board.submit("a", "x")
        await board.until(key, lambda state: state.turns)  # the answer is in the journal before it is checked
        assert (await board.kill(key)).killed


async def test_a_note_that_comes_during_the_check_is_read_before_the_run_ends():
    async with fleet(with_output(scripted("a", {"text": '{"number": "R", "total": 98}'}, {"text": GOOD}))) as board:
        key = await board.submit("a", "x")
        await board.until(key, lambda state: state.turns)
        await board.signal(key, RunSteered(text="the total is 42"))
        GO.set()
        state = await board.over(key)
        assert (state.terminal.result.value["total"], len(state.turns)) == (42, 3)


async def test_a_run_keeps_its_schema_when_the_class_has_another_one_by_now():
    older = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    code = with_output(scripted("a", {"text": '{"id": 1}'}))
    kept = code.spec.model_copy(update={"output": older})
    state, rejected, _ = await play(replace(code, tenants={"default": kept}))
    assert state.terminal.result.value == {"id": 1}
    assert not rejected


async def test_long_answers_are_unpacked_and_long_data_is_packed():
    text = json.dumps({"number": "R" * 90_000, "total": 1})
    async with fleet(with_output(scripted("a", {"text": text}))) as board:
        state = await board.over(await board.submit("a", "x"))
        assert state.outcome == "completed"
        assert state.terminal.result.blob is not None
        assert await board.bus.blobs.get(state.terminal.result.blob) == {"number": "R" * 90_000, "total": 1}


async def test_a_delegate_gives_its_parent_data():
    lead = scripted(
        "lead",
        {"tools": [{"name": "delegate", "args": {"agent": "clerk", "task": "read"}}]},
        {"text": "{{ results.delegate.total }}"},
        team=("clerk",),
    )
    state, _, _ = await play(lead, with_output(scripted("clerk", {"text": GOOD})))
    assert state.terminal.result.value == "42"


async def test_tools_come_before_the_answer_that_is_checked():
    @tool(effect="pure")
    def total() -> int:
        """The total."""
        return 42

    turns = (
        {"text": "let me see", "tools": [{"name": "total"}]},
        {"text": '{"number": "R", "total": {{ results.total }}}'},
    )
    state, rejected, _ = await play(with_output(scripted("a", *turns, tools=(total,))))
    assert state.terminal.result.value == {"number": "R", "total": 42}
    assert not rejected
