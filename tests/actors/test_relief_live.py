"""A run that outgrows its window, on the real bus, and guards that say no to its summary."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

from callboard.actors.code import AgentCode
from callboard.actors.gate import Answer, Ask, Grant, NoGate, Refusal
from callboard.actors.worker import Worker
from callboard.bus.messages import ContextRelieved, GuardDenied, ModelRequested, ModelResponded, Problem
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec, Limits, ModelChoice
from callboard.tools.tool import tool
from tests.support.fleet import Fleet, fleet, ports

TALK = "I wonder. " * 30


@tool(effect="pure")
def look() -> str:
    """Look."""
    return "nothing"


def talker(summary: str = '{"goal": "g", "facts": ["nothing"]}') -> AgentCode:
    """It talks more than its window holds: nothing can be cleared."""
    said = [{"text": f"{at}. {TALK}", "tools": [{"name": "look"}]} for at in range(12)]
    model = ModelChoice(
        provider="scripted", name="m", context=600, max_output=100, settings={"turns": [*said, {"text": "done"}]}
    )
    cheap = ModelChoice(provider="scripted", name="cheap", settings={"turns": [{"text": summary}]})
    spec = AgentSpec(name="a", model=model, summary=cheap, tools=(look.spec,), limits=Limits(turns=30))
    return AgentCode(spec, {"look": look})


class NoSummary(NoGate):
    """The budget is used up when a summary is wanted."""

    def enter(self, key: RunKey) -> NoSummary:
        return self

    async def admit(self, ask: Ask) -> Answer:
        if ask.purpose == "summary":
            return Refusal("budget", Problem(kind="budget", message="the run has used $2"), wrap_up=True)
        return Grant()


class Unpriced(NoGate):
    """There is a budget in dollars, and nobody knows what the model for summaries costs."""

    def enter(self, key: RunKey) -> Unpriced:
        return self

    def admit(self, ask: Ask) -> Answer:
        if ask.name == "scripted/cheap":
            return Refusal("budget", Problem(kind="unknown_price", message="nobody knows what it costs"))
        return Grant()


@asynccontextmanager
async def guarded(code: AgentCode, gate: NoGate) -> AsyncGenerator[Fleet]:
    async with (
        fleet(code, workers=0) as board,
        Worker({"a": code}, replace(ports(board.bus), gates=gate), name="w"),
    ):
        yield board


async def test_a_scripted_run_goes_on_at_its_turn_behind_a_summary() -> None:
    async with guarded(talker(), NoGate()) as board:
        key = await board.submit("a", "talk")
        state = await board.over(key)
        events = [event for entry in await board.bus.journals.read(key) for event in entry.record.events]
    assert state.terminal.result.value == "done"
    answers = [event for event in events if isinstance(event, ModelResponded)]
    assert [event.text.value[:3].rstrip() for event in answers if event.purpose == "turn"] == [
        *(f"{at}." for at in range(12)), "don",
    ]  # fmt: skip
    summaries = [event.call for event in answers if event.purpose == "summary"]
    assert summaries == [f"s{at}" for at in range(1, len(summaries) + 1)]
    reliefs = [event for event in events if isinstance(event, ContextRelieved)]
    assert sum(bool(event.through) for event in reliefs) == len(summaries) >= 1
    assert reliefs[0].summary.value == {"goal": "g", "facts": ["nothing"]}


async def test_a_budget_that_is_used_up_for_a_summary_ends_the_run_as_that_budget() -> None:
    async with guarded(talker(), NoSummary()) as board:
        key = await board.submit("a", "talk")
        state = await board.over(key)
        (denied,) = [
            event
            for entry in await board.bus.journals.read(key)
            for event in entry.record.events
            if isinstance(event, GuardDenied)
        ]
    assert denied.call.startswith("m")
    assert (state.outcome, state.terminal.problem.kind, state.terminal.guard) == ("failed", "budget", "budget")
    assert TALK in state.terminal.partial.value


async def test_a_model_for_summaries_that_is_refused_for_good_leaves_them_to_those_of_the_turns() -> None:
    async with guarded(talker(), Unpriced()) as board:
        key = await board.submit("a", "talk")
        state = await board.over(key)
        events = [event for entry in await board.bus.journals.read(key) for event in entry.record.events]
    assert state.outcome == "completed"
    assert not [event for event in events if isinstance(event, GuardDenied)]
    summaries = {
        (event.model, event.instead)
        for event in events
        if isinstance(event, ModelRequested) and event.purpose == "summary"
    }
    assert summaries == {("scripted/m", "nobody knows what it costs")}
