"""Retries and failover of model calls, on the real bus."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callboard.actors.code import AgentCode
from callboard.actors.gate import Answer, Ask, Grant, NoGate, Refusal
from callboard.actors.worker import Worker
from callboard.bus.messages import (
    Amount,
    ContextRelieved,
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
)
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec, Limits, ModelChoice
from callboard.errors import ConfigError, ModelError
from callboard.models.port import ChatModel, ChatReply, ChatRequest, TextDelta, Usage
from callboard.models.registry import open_model
from callboard.tools.tool import tool
from tests.support.fleet import Fleet, fleet, ports, scripted


def chain(*entries: dict[str, Any] | list[dict[str, Any]], **limits: Any) -> AgentCode:
    """An agent with a scripted model for each of ``entries``: a turn, or turns."""
    models = tuple(
        ModelChoice(
            provider="scripted", name=f"m{at}", settings={"turns": turns if isinstance(turns, list) else [turns]}
        )
        for at, turns in enumerate(entries)
    )
    return AgentCode(AgentSpec(name="a", model=models[0], fallbacks=models[1:], limits=Limits(**limits)))


def down(kind: str = "overload", times: int = 99, **more: Any) -> dict[str, Any]:
    return {"text": "late", "fail": {"kind": kind, "times": times, **more}}


async def events_of(board: Fleet, key: RunKey, kind: Any) -> list[Any]:
    entries = await board.bus.journals.read(key)
    return [event for entry in entries for event in entry.record.events if isinstance(event, kind)]


async def play(code: AgentCode) -> tuple[Any, list[ModelRequested], list[ModelFailed]]:
    async with fleet(code) as board:
        key = await board.submit("a", "x")
        state = await board.over(key)
        return state, await events_of(board, key, ModelRequested), await events_of(board, key, ModelFailed)


@pytest.mark.parametrize("kind", ["quota", "auth", "bad_request", "refusal"])
async def test_what_cannot_succeed_is_asked_once(kind):
    state, requested, failed = await play(scripted("a", down(kind)))
    assert (state.outcome, state.terminal.problem.kind) == ("failed", f"model_{kind}")
    assert len(requested) == len(failed) == 1


async def test_every_attempt_is_in_the_journal_with_its_usage():
    state, requested, failed = await play(scripted("a", down(times=3)))
    assert (state.outcome, [each.attempt for each in requested]) == ("completed", [1, 2, 3, 4])
    assert [each.attempt for each in failed] == [1, 2, 3]


async def test_a_model_that_stays_down_is_left_for_the_next_one():
    state, requested, failed = await play(chain(down(), {"text": "I can"}))
    assert (state.outcome, state.terminal.result.value) == ("completed", "I can")
    assert [each.attempt for each in requested] == [1, 2, 3, 4, 5]
    assert [each.model for each in requested] == ["scripted/m0"] * 4 + ["scripted/m1"]
    assert [each.left for each in failed] == ["", "", "", "for_now"]
    assert failed[-1].problem.hint == "it failed 4 times"


@pytest.mark.parametrize("kind", ["auth", "quota", "context", "bad_request"])
async def test_a_model_that_will_never_answer_is_left_at_once(kind):
    state, requested, failed = await play(chain(down(kind), {"text": "I can"}))
    assert state.terminal.result.value == "I can"
    assert [each.entry for each in requested] == [0, 1]
    assert failed[0].left == "for_good"


async def test_the_cheapest_model_is_asked_first_and_the_next_when_it_is_down():
    dear, cheap, down_and_free = {"text": "dear", "cost_usd": 0.5}, {"text": "cheap", "cost_usd": 0.1}, down("auth")
    code = chain(dear, cheap, down_and_free)
    code = replace(code, spec=code.spec.model_copy(update={"prefer": "price"}))
    state, requested, _ = await play(code)
    assert [each.entry for each in requested] == [2, 1]
    assert state.terminal.result.value == "cheap"


@asynccontextmanager
async def without(code: AgentCode, *names: str) -> AsyncGenerator[Fleet]:
    """A worker that cannot ask the models of these names."""

    def opens(choice: ModelChoice) -> ChatModel:
        if choice.name in names:
            raise ConfigError(f"this worker cannot ask {choice.name!r}: set its key")
        return open_model(choice)

    async with fleet(code, workers=0) as board, Worker({"a": code}, ports(board.bus), name="w", open_model=opens):
        yield board


async def test_a_model_that_this_worker_cannot_ask_is_passed_over():
    async with without(chain({"text": "I can"}, {"text": "no key"}), "m1") as board:
        state = await board.over(await board.submit("a", "x"))
        assert (state.outcome, state.terminal.result.value) == ("completed", "I can")
    async with without(chain({"text": "no key"}, {"text": "I can"}), "m0") as board:
        state = await board.over(key := await board.submit("a", "x"))
        assert state.terminal.result.value == "I can"
        (intent,) = await events_of(board, key, ModelRequested)
        assert (intent.entry, intent.attempt, intent.instead) == (1, 1, "its worker cannot ask 'scripted/m0'")


async def test_a_run_whose_only_able_model_fails_ends_with_what_that_one_said():
    async with without(chain(down("auth"), {"text": "no key"}), "m1") as board:
        state = await board.over(key := await board.submit("a", "x"))
        assert (state.outcome, state.terminal.problem.kind) == ("failed", "model_auth")
        assert len(await events_of(board, key, ModelRequested)) == 1


async def test_a_run_fails_if_its_worker_can_ask_none_of_its_models():
    async with without(chain({"text": "no"}, {"text": "no"}), "m0", "m1") as board:
        state = await board.over(await board.submit("a", "x"))
        assert (state.outcome, state.terminal.problem.kind) == ("failed", "bad_spec")
        assert "cannot ask 'm0': set its key" in state.terminal.problem.message


async def test_a_warm_up_fails_where_its_one_model_cannot_be_asked():
    async with without(chain({"text": "no key"}, {"text": "I can"}), "m0") as board:
        state = await board.over(await board.submit("a", "x", warm=True))
        assert (state.outcome, state.terminal.problem.kind) == ("failed", "bad_spec")
        assert "cannot ask 'm0': set its key" in state.terminal.problem.message


async def test_a_long_quiet_is_not_waited_for_while_there_is_another_model():
    state, requested, _ = await play(chain(down("rate", retry_after=600.0), {"text": "I can"}))
    assert state.terminal.result.value == "I can"
    assert [each.entry for each in requested] == [0, 1]


async def test_a_run_that_no_model_answers_ends_with_what_the_last_one_said():
    state, requested, _ = await play(chain(down("auth"), down("quota", message="no credit"), down(times=99)))
    assert (state.outcome, state.terminal.problem.kind) == ("failed", "model_overload")
    assert [each.entry for each in requested] == [0, 1, 2, 2, 2, 2]


async def test_the_next_turn_begins_with_the_first_model_again():
    looks = {"tools": [{"name": "nothing"}]}
    turns = [{**looks, "fail": {"kind": "auth", "times": 1}}, {"text": "back"}]
    state, requested, _ = await play(chain(turns, [looks, {"text": "still here"}]))
    assert state.terminal.result.value == "back"
    assert [(each.call, each.entry) for each in requested] == [("m1", 0), ("m1", 1), ("m2", 0)]


@pytest.mark.parametrize("stop", ["max_tokens", "refusal", "context", "content_filter"])
async def test_an_answer_that_was_cut_off_fails_the_run_and_keeps_what_there_is(stop):
    state, _, _ = await play(scripted("a", {"text": "half an ans", "stop": stop}))
    assert (state.outcome, state.terminal.problem.kind) == ("failed", f"model_{stop}")
    assert state.terminal.partial.value == "half an ans"


async def test_a_pause_is_asked_on_from_without_a_word_from_the_user():
    state, requested, _ = await play(scripted("a", {"text": "one, ", "stop": "pause"}, {"text": "two"}))
    assert (state.outcome, state.terminal.result.value) == ("completed", "one, two")
    assert [each.call for each in requested] == ["m1", "m2"]


class Gate(NoGate):
    """Reserves a price for each model, and lets those wait that are ``shut``."""

    def __init__(self, shut: Mapping[str, Refusal], price: Mapping[str, int]) -> None:
        self.shut, self.price, self.asked = shut, price, list[str]()

    def enter(self, key: RunKey) -> Gate:
        return self

    async def admit(self, ask: Ask) -> Answer:
        self.asked.append(ask.name)
        if ask.name in self.shut:
            return self.shut[ask.name]
        return Grant(Amount(usd_micros=self.price.get(ask.name, 0)))


@asynccontextmanager
async def guarded(code: AgentCode, gate: Gate, **more: Any) -> AsyncGenerator[Fleet]:
    async with (
        fleet(code, workers=0) as board,
        Worker({"a": code}, replace(ports(board.bus), gates=gate), name="w", **more),
    ):
        yield board


def later(seconds: float, message: str = "the circuit is open") -> Refusal:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return Refusal("breaker", Problem(kind="circuit_open", message=message), retry_at=at)


async def test_a_model_that_a_guard_lets_wait_is_passed_over_and_the_journal_says_why():
    gate = Gate({"scripted/m0": later(60)}, {"scripted/m0": 10, "scripted/m1": 25})
    async with guarded(chain({"text": "first"}, {"text": "second"}), gate) as board:
        key = await board.submit("a", "x")
        state = await board.over(key)
        requested = await events_of(board, key, ModelRequested)
    assert state.terminal.result.value == "second"
    assert [(each.model, each.entry, each.instead) for each in requested] == [("scripted/m1", 1, "the circuit is open")]
    assert requested[0].reserved.usd_micros == 25, "at the price of the model that is asked"


async def test_a_run_whose_models_all_wait_comes_back_when_the_first_may_be_let():
    gate = Gate({"scripted/m0": later(60), "scripted/m1": later(50, "sooner")}, {})
    async with guarded(chain({"text": "first"}, {"text": "second"}), gate) as board:
        key = await board.submit("a", "x")
        state = await board.until(key, lambda state: state.denied is not None)
    assert gate.asked[:2] == ["scripted/m0", "scripted/m1"]
    assert state.denied.problem.message == "sooner"


async def test_a_refusal_for_good_is_the_runs_and_no_other_model_is_asked():
    refused = Refusal("budget", Problem(kind="budget", message="used up"))
    gate = Gate({"scripted/m0": refused}, {})
    async with guarded(chain({"text": "first"}, {"text": "second"}), gate) as board:
        key = await board.submit("a", "x")
        state = await board.over(key)
        assert len(await events_of(board, key, GuardDenied)) == 1
    assert (state.outcome, gate.asked) == ("failed", ["scripted/m0"])


class Stutters:
    """Breaks off in the middle of its first answer."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[TextDelta | ChatReply, None]:
        yield TextDelta("I thi")
        if request.attempt == 1:
            raise ModelError("truncated", "gone", retryable=True)
        yield ChatReply("I think", (), Usage(), "end")


async def test_an_attempt_that_had_begun_to_speak_is_marked_as_replaced():
    code = AgentCode(AgentSpec(name="a", model=ModelChoice(provider="scripted", name="x")))
    async with guarded(code, Gate({}, {}), open_model=lambda _: Stutters()) as board:
        key = await board.submit("a", "x")
        state = await board.over(key)
        failed = await events_of(board, key, ModelFailed)
        answered = await events_of(board, key, ModelResponded)
    assert state.outcome == "completed"
    assert [each.replaced for each in failed] == [True]
    assert len(answered) == 1


def _has_failed(state: Any) -> bool:
    return any(call.status == "failed" or call.attempt > 1 for call in state.calls.values())


async def test_a_worker_that_has_used_up_its_retries_waits_and_says_so():
    code = scripted("a", down(times=1))
    async with fleet(code) as board:
        keys = [await board.submit("a", f"{number}") for number in range(20)]
        hints = []
        for key in keys:
            await board.until(key, _has_failed)
            hints += [each.problem.hint for each in await events_of(board, key, ModelFailed)]
    waiting = [hint for hint in hints if "retries of it are used up" in hint]
    assert waiting


def windowed(gate: Gate, *windows: int) -> AgentCode:
    """An agent that reads 4,000 bytes; then its first model is shut. The others have these windows."""

    @tool(effect="pure")
    def read() -> str:
        """Read."""
        gate.shut = {"scripted/m0": later(60)}
        return "x" * 4_000

    def model(at: int, window: int) -> ModelChoice:
        turns = [{"text": "", "tools": [{"name": "read"}]}, {"text": f"m{at}"}]
        return ModelChoice(
            provider="scripted", name=f"m{at}", settings={"turns": turns}, context=window, max_output=100
        )

    first, *others = (model(at, window) for at, window in enumerate((9_000, *windows)))
    spec = AgentSpec(name="a", model=first, fallbacks=tuple(others), tools=(read.spec,))
    return AgentCode(spec, {"read": read})


@pytest.mark.parametrize(
    ("windows", "answer", "cleared"),
    [((500, 9_000), "m2", []), ((500,), "m1", ["m1.0"]), ((110, 500), "m2", ["m1.0"])],
    ids=["one that fits comes first", "the only one reads less", "one that is too small for anything is passed over"],
)
async def test_a_fallback_whose_window_is_too_small_is_passed_over_or_reads_less(windows, answer, cleared):
    gate = Gate({}, {})
    async with guarded(windowed(gate, *windows), gate) as board:
        key = await board.submit("a", "x")
        state = await board.over(key)
        done = await events_of(board, key, ContextRelieved)
    assert state.terminal.result.value == answer
    assert [call for event in done for call in event.cleared] == cleared


async def test_nothing_is_taken_out_for_a_fallback_that_the_guards_do_not_let():
    gate = Gate({}, {})
    code = windowed(gate, 500)
    take = code.tools["read"]

    @tool(effect="pure")
    async def read() -> str:
        """Read."""
        gate.shut = {"scripted/m0": later(60), "scripted/m1": later(50, "no room in its rate")}
        return "x" * 4_000

    assert take.spec == read.spec
    async with guarded(replace(code, tools={"read": read}), gate) as board:
        key = await board.submit("a", "x")
        state = await board.until(key, lambda state: state.denied is not None)
        assert not await events_of(board, key, ContextRelieved)
    assert (gate.asked[-1], state.denied.problem.message) == ("scripted/m1", "no room in its rate")


async def test_a_run_waits_for_its_model_if_the_windows_of_all_others_are_too_small():
    gate = Gate({}, {})
    async with guarded(windowed(gate, 110), gate) as board:
        key = await board.submit("a", "x")
        state = await board.until(key, lambda state: state.denied is not None)
        assert not await events_of(board, key, ContextRelieved)
    assert state.denied.retry_at is not None
    assert state.denied.problem.kind == "circuit_open"
