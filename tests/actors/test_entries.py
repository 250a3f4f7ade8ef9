"""What does not fit into a journal entry ends a run with a reason: it is not tried for ever, and no worker hangs."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import JsonValue

from callboard.actors.code import AgentCode
from callboard.actors.fold import EMPTY
from callboard.actors.function import worker
from callboard.actors.owner import Owner
from callboard.actors.run_context import RunContext
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.messages import Content, RunClaimed, RunCompleted, RunCreated, ToolRequested, ToolReturned
from callboard.bus.subjects import RunKey
from callboard.config.nesting import DEEPEST
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import InvalidMessage, ToolError
from callboard.models.port import ChatReply, ChatRequest, ToolCall, ToolOutcome, Usage
from callboard.tools.tool import tool
from tests.support.bus import bus_url, fresh_bus
from tests.support.fleet import CLOCK, fleet, function, ports, scripted


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


@tool(effect="pure")
def deep() -> list:
    """Return something that nests too deep for anybody to read."""
    return nested(150)


@tool(effect="pure")
def not_a_number() -> float:
    """Return what JSON has no word for."""
    return float("nan")


async def test_an_agent_whose_spec_is_larger_than_an_entry_fails_with_that_reason() -> None:
    small = scripted("wordy", {"text": "x"})
    code = AgentCode(small.spec.model_copy(update={"system": "x" * 300_000}))
    async with fleet(code) as board:
        state = await board.over(await board.submit("wordy", "x"))
        assert state.terminal.problem.kind == "bad_spec"


async def test_an_end_that_does_not_fit_beside_what_waits_to_be_written_gets_an_entry_of_its_own() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = Owner(RunKey("default", "r1"), "me", EMPTY, journals=bus.journals, clock=CLOCK)
        owner.defer(RunCreated(agent="a", at=CLOCK.now()), RunClaimed(task=1))
        names = [f"s{number}" for number in range(9)]
        await owner.append(*(ToolRequested(call=name, tool=name) for name in names))
        for name in names:
            owner.defer(ToolReturned(call=name, result=Content(value="x" * 30_000)))
        end = RunCompleted()
        assert not await owner.conclude(end)  # decide again
        assert await owner.conclude(end)
        assert {call.status for call in owner.state.calls.values()} == {"done"}


async def test_the_deepest_task_that_is_taken_has_an_entry_and_a_deeper_one_is_refused_where_it_is_submitted() -> None:
    async with fleet(scripted("a", {"text": "done"})) as board:
        state = await board.over(await board.submit("a", nested(DEEPEST)))
        assert (state.outcome, state.claims) == ("completed", 1)
        with pytest.raises(InvalidMessage, match="deeper"):
            await board.submit("a", nested(DEEPEST + 1))


async def test_a_tool_result_that_json_has_no_word_for_is_told_to_the_model() -> None:
    agent = scripted(
        "calc", {"tools": [{"name": "not_a_number"}]}, {"text": "{{ results.t1-1.error }}"}, tools=(not_a_number,)
    )
    async with fleet(agent) as board:
        state = await board.over(await board.submit("calc", "x"))
        assert state.terminal.result.value == "bad_result"
        assert state.claims == 1


async def test_a_tool_result_that_nests_too_deep_is_told_to_the_model() -> None:
    agent = scripted("calc", {"tools": [{"name": "deep"}]}, {"text": "{{ results.t1-1.error }}"}, tools=(deep,))
    async with fleet(agent) as board:
        state = await board.over(await board.submit("calc", "x"))
        assert state.terminal.result.value == "bad_result"
        assert state.claims == 1


class Digs:
    """A model whose first answer calls a tool with arguments that nest; its second says what became of that."""

    def __init__(self, levels: int, *, thinks: bool) -> None:
        self.arguments: JsonValue = {"value": nested(levels)}
        self.thinks = thinks

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatReply]:
        last = request.messages[-1]
        if isinstance(last, ToolOutcome):
            yield ChatReply(json.dumps(last.content), (), Usage(), "end")
            return
        use: JsonValue = {"type": "tool_use", "id": "toolu_1", "name": "take", "input": self.arguments}
        blocks = ({"type": "thinking"}, use) if self.thinks else ()
        yield ChatReply("", (ToolCall("t", "take", self.arguments),), Usage(), "tool_use", blocks)


@tool(effect="pure")
def take(value: list) -> str:
    """Take it."""
    return f"a list of {len(value)}"


@pytest.mark.parametrize(
    ("levels", "thinks", "becomes"),
    [(80, True, "a list of 1"), (DEEPEST - 3, False, "a list of 1"), (97, False, "error"), (190, True, "error")],
)
async def test_arguments_that_nest_deeper_than_an_entry_may_come_back_to_the_model(levels, thinks, becomes) -> None:
    spec = AgentSpec(name="a", model=ModelChoice(provider="scripted", name="x"), tools=(take.spec,))
    code = AgentCode(spec, {"take": take})
    async with (
        fleet(code, workers=0) as board,
        Worker({"a": code}, ports(board.bus), name="w", open_model=lambda _: Digs(levels, thinks=thinks)),
    ):
        state = await board.over(await board.submit("a", "x"))
    assert state.outcome == "completed"
    assert becomes in state.terminal.result.value
    assert (becomes != "error") or "bad_arguments" in state.terminal.result.value
    assert state.claims == 1


@pytest.mark.parametrize("value", [float("inf"), nested(150)])
async def test_a_step_result_that_no_entry_can_hold_ends_the_run_with_a_reason(value: Any) -> None:
    @worker("odd")
    async def odd(task: object, run: RunContext) -> str:
        try:
            await run.step("odd", lambda: value)
        except ToolError as error:
            return error.kind
        return "?"

    async with fleet(function(odd)) as board:
        state = await board.over(await board.submit("odd", None))
        assert (state.claims, state.terminal.result.value) == (1, "bad_result")
