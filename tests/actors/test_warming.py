"""A run that only fills a prompt cache: one call with all that a run begins with, and whatever comes of it, it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest
from hypothesis import given, settings

from callboard.actors.code import AgentCode
from callboard.actors.commands import Backoff, CallModel, Command, End, Suspend, Write
from callboard.actors.fold import replay
from callboard.actors.requests import request_of
from callboard.actors.warming import warm_up
from callboard.bus.messages import (
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
    RunSteered,
    TimerFired,
)
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec, ModelChoice, ToolSpec
from callboard.models.port import ChatModel, ChatReply, ChatRequest
from callboard.models.registry import opened_models
from callboard.models.warm import warming
from callboard.testing import Fault, Reply, fake_provider
from tests.support.journals import T0, at, claimed, extend, journal, journals
from tests.support.provided import PRICES, WIRES, choice, providers, told, working

RUN = RunKey("t", "r")
LOOK = ToolSpec(name="look", description="Look it up.", parameters={"type": "object", "properties": {}})
LONG = "Read everything that you are given with great care. " * 500
PROBLEM = Problem(kind="budget", message="used up")
CALL = CallModel("m1", 1, purpose="warm")
BEGUN = journal(claimed(warm=True))
ASKED = extend(BEGUN, ModelRequested(call="m1", model="anthropic/claude", purpose="warm"))


def spec(agent: str = "claude", **more: Any) -> AgentSpec:
    return AgentSpec(name=agent, model=choice(agent, warm=True), system=LONG, tools=(LOOK,), **more)


def next_of(entries, *, now=T0) -> Command:
    return warm_up(replay(entries), spec(), now, run=RUN)


# ---- what it does -------------------------------------------------------------------------------------------------
def test_it_makes_one_call_that_is_no_turn_and_completes():
    assert next_of(BEGUN) == CALL
    answered = extend(ASKED, ModelResponded(call="m1", purpose="warm", stop="max_tokens"))
    ended = next_of(answered)
    assert isinstance(ended, End)
    assert (ended.event.type, ended.event.result.value) == ("run.completed", "the prompt cache is warm")
    assert next_of(extend(BEGUN, RunSteered(text="faster"))) == CALL, "a note changes nothing"


def test_a_failed_call_is_made_again_when_it_is_time_and_one_that_failed_for_good_ends_it():
    def failed(**fields: Any):
        return extend(ASKED, ModelFailed(call="m1", problem=PROBLEM, **fields))

    assert isinstance(next_of(failed(retry_at=T0 + timedelta(seconds=1))), Backoff)
    assert next_of(failed(retry_at=T0)) == CallModel("m1", 2, purpose="warm")
    ended = next_of(failed())
    assert (ended.event.type, ended.event.problem) == ("run.failed", PROBLEM)


def test_what_a_guard_denies_ends_it_without_a_last_word_and_what_it_puts_off_waits():
    def denied(**fields: Any):
        return extend(BEGUN, GuardDenied(guard="budget", call="m1", problem=PROBLEM, **fields))

    for over in (denied(), denied(wrap_up=True), denied(wrap_up=True, retry_at=T0)):
        ended = next_of(over)
        assert (ended.event.type, ended.event.guard) == ("run.failed", "budget")
    later = T0 + timedelta(minutes=5)
    put_off = extend(denied(retry_at=later))
    assert isinstance(next_of(put_off), Write)
    waiting = extend(put_off, next_of(put_off).events[0])
    assert isinstance(next_of(waiting), Suspend)
    (timer,) = replay(waiting).timers
    assert next_of(extend(waiting, TimerFired(timer=timer))) == CALL


def test_it_ends_at_its_deadline_like_every_run():
    ended = next_of(journal(claimed(warm=True, deadline=T0)), now=at(1))
    assert (ended.event.type, ended.event.problem.kind) == ("run.failed", "deadline")


@settings(max_examples=60, deadline=None)
@given(journals)
def test_whatever_lies_in_its_journal_it_asks_for_nothing_but_the_one_call(entries):
    state = replay(entries)
    if state.terminal is None and state.created is not None and state.owner:
        command = warm_up(state, spec(), at(100), run=RUN)
        assert isinstance(command, Backoff | End | Suspend | Write | CallModel)
        assert not isinstance(command, CallModel) or (command.purpose == "warm" and not command.wrap_up)


# ---- what it asks -------------------------------------------------------------------------------------------------
def request(agent: str, command: CallModel, given: str, **more: Any) -> ChatRequest:
    mine = spec(agent, **more)
    return request_of(
        replay(BEGUN), command, mine.model, spec=mine, given=given, run="r", timeout=20.0
    )  # fmt: skip


def test_the_shortest_answer_is_asked_for_and_nobody_thinks():
    claude = ModelChoice(provider="anthropic", name="x", settings={"thinking": {"type": "adaptive"}, "metadata": {}})
    assert (warming(claude).max_output, warming(claude).settings) == (0, {"metadata": {}})
    for provider in ("openai", "openai-chat"):
        assert warming(ModelChoice(provider=provider, name="x")).max_output == 16


@asynccontextmanager
async def opened(agent: str, url: str) -> AsyncGenerator[ChatModel]:
    async with opened_models(providers(url), [choice(agent)]) as models:
        yield models.open(choice(agent))


@pytest.mark.parametrize("agent", WIRES)
async def test_a_run_reads_from_the_cache_what_the_warm_up_wrote(agent):
    async with (
        fake_provider(replies=lambda _: Reply("ready"), prices=PRICES) as server,
        opened(agent, server.url) as model,
    ):
        for command, given_text in ((CALL, "ready?"), (CallModel("m1", 1), "what failed last night?")):
            with anyio.fail_after(20):
                async with aclosing(model.stream(request(agent, command, given_text))) as stream:
                    replies = [each async for each in stream if isinstance(each, ChatReply)]
            assert len(replies) == 1
        cold, warm = server.requests
        assert cold.tokens.cached == 0
        assert warm.tokens.cached > 5_000
        assert {name: cold.body.get(name) for name in ("tools", "system", "instructions")} == {
            name: warm.body.get(name) for name in ("tools", "system", "instructions")
        }
        if agent == "claude":
            assert (cold.body["max_tokens"], cold.tokens.output) == (0, 0)


@pytest.mark.parametrize("refused", [False, True])
async def test_it_is_a_run_like_every_other_and_never_asks_another_model(refused):
    code = AgentCode(spec(fallbacks=(choice("gpt"),)), {})
    faults = [Fault("auth")] if refused else []
    async with (
        fake_provider(replies=lambda _: Reply("ready"), faults=faults, prices=PRICES) as server,
        working({"claude": code}, server.url) as board,
    ):
        run = await told(board, await board.submit("claude", "ready?", warm=True))
        assert run.end == ("model_auth" if refused else "completed")
        assert [each.model for each in server.requests] == ["claude"]
        assert [(event.purpose, event.entry) for event in run.requested] == [("warm", 0)]
        assert run.requested[0].prefix is not None
        assert not run.state.turns
        assert run.state.accounts.spent.usd_micros == server.total.usd_micros
        assert (server.total.usd_micros > 0) is not refused
