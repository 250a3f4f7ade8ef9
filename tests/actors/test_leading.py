"""Calls that begin alike: one goes ahead while it is cold, and nobody waits for longer than he wants to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.actors.heard import Heard
from callboard.actors.leading import LIFETIME, Leaders
from callboard.actors.replies import reply_of
from callboard.config.spec import ModelChoice
from callboard.models.port import ChatReply, ChatRequest, Usage

A, B = ("anthropic/claude", "t", "a"), ("anthropic/claude", "t", "b")


@dataclass
class Time:
    """A clock that is told the time."""

    seconds: float = 100.0

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Stage:
    """Calls that have gone ahead, in their order; each begins to be answered, or fails, when the test says so."""

    leaders: Leaders
    clock: Time
    group: anyio.abc.TaskGroup
    started: list[str]
    begins: dict[str, anyio.Event]
    ends: dict[str, anyio.Event]
    over: list[str]

    def call(self, name: str, head=A, *, within: float = math.inf) -> anyio.CancelScope:
        scope = anyio.CancelScope()
        self.begins[name], self.ends[name] = anyio.Event(), anyio.Event()
        self.group.start_soon(self._call, name, head, within, scope)
        return scope

    async def _call(self, name, head, within, scope):
        with scope:
            async with self.leaders.behind(head, within=within, clock=self.clock) as begun:
                self.started.append(name)
                async with anyio.create_task_group() as race:
                    race.start_soon(self._begin, name, begun)
                    await self.ends[name].wait()
                    race.cancel_scope.cancel()
        self.over.append(name)

    async def _begin(self, name, begun):
        await self.begins[name].wait()
        begun()

    async def settle(self) -> list[str]:
        for _ in range(20):
            await checkpoint()
        return self.started


class staged:  # noqa: N801 - used like a function
    async def __aenter__(self) -> Stage:
        self._group = anyio.create_task_group()
        group = await self._group.__aenter__()
        return Stage(Leaders(), Time(), group, [], {}, {}, [])

    async def __aexit__(self, *error) -> None:
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(*error)


async def test_of_calls_that_begin_alike_one_goes_ahead_and_the_others_when_its_answer_has_begun():
    async with staged() as stage:
        for name in "abc":
            stage.call(name)
        assert await stage.settle() == ["a"]
        assert stage.leaders.is_led(A)
        stage.begins["a"].set()
        assert await stage.settle() == ["a", "b", "c"], "it need not be over"
        assert not stage.leaders.is_led(A)
        stage.call("d")
        assert await stage.settle() == ["a", "b", "c", "d"], "it is warm now"


async def test_calls_that_begin_otherwise_do_not_wait():
    async with staged() as stage:
        for name, head in (("a", A), ("b", B)):
            stage.call(name, head)
        assert await stage.settle() == ["a", "b"]


@pytest.mark.parametrize("how", ["it fails", "it is cancelled"])
async def test_when_the_one_ahead_fails_the_next_one_goes_ahead_and_the_others_wait_for_that(how):
    async with staged() as stage:
        first = stage.call("a")
        for name in "bc":
            stage.call(name)
        await stage.settle()
        stage.ends["a"].set() if how == "it fails" else first.cancel()
        assert await stage.settle() == ["a", "b"]
        assert stage.over == ["a"]
        stage.begins["b"].set()
        assert await stage.settle() == ["a", "b", "c"]


async def test_one_that_is_over_after_its_answer_has_begun_leaves_it_warm():
    async with staged() as stage:
        stage.call("a")
        await stage.settle()
        stage.begins["a"].set()
        await stage.settle()
        stage.ends["a"].set()
        for name in "bc":
            stage.call(name)
        assert await stage.settle() == ["a", "b", "c"]


async def test_who_has_waited_long_enough_goes_on_without_being_ahead():
    async with staged() as stage:
        stage.call("a")
        await stage.settle()
        stage.call("b", within=0.0)
        assert await stage.settle() == ["a", "b"]
        stage.ends["b"].set()
        stage.call("c")
        assert await stage.settle() == ["a", "b"], "the one ahead is ahead still"
        stage.begins["a"].set()
        assert await stage.settle() == ["a", "b", "c"]


async def test_one_that_waits_can_be_cancelled_and_nobody_misses_it():
    async with staged() as stage:
        stage.call("a")
        waiting = stage.call("b")
        stage.call("c")
        await stage.settle()
        waiting.cancel()
        await stage.settle()
        assert (stage.started, stage.over) == (["a"], ["b"])
        stage.ends["a"].set()
        assert await stage.settle() == ["a", "c"]


async def test_what_nobody_has_used_for_long_is_cold_again_and_each_use_keeps_it_warm():
    async with staged() as stage:
        for name, seconds in (("a", 0.0), ("b", LIFETIME - 1), ("c", LIFETIME - 1)):
            stage.clock.seconds += seconds
            stage.call(name)
            await stage.settle()
            stage.begins[name].set()
            await stage.settle()
        assert stage.started == ["a", "b", "c"], "b has kept it warm for c"
        stage.clock.seconds += LIFETIME
        for name in "de":
            stage.call(name)
        assert await stage.settle() == ["a", "b", "c", "d"]


async def test_beginnings_that_are_cold_are_forgotten():
    leaders, clock = Leaders(), Time()
    for number in range(5_000):
        clock.seconds += 1
        async with leaders.behind(("m", "t", str(number)), within=1.0, clock=clock) as begun:
            begun()
    assert len(leaders._warm) <= 1_001
    assert not leaders._ahead


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_whatever_happens_one_is_ahead_at_most_while_it_is_cold_and_all_come_through(seed):
    anyio.run(_anything, seed)


async def _anything(seed: int) -> None:
    chance = Random(seed)
    async with staged() as stage:
        names = [str(number) for number in range(chance.randint(1, 8))]
        scopes = {name: stage.call(name, within=math.inf) for name in names}
        warm = False
        for _ in range(40):
            await stage.settle()
            if not warm:
                assert len([name for name in stage.started if name not in stage.over]) <= 1
            name = chance.choice(names)
            deed = chance.choice(("begin", "end", "cancel"))
            if deed == "cancel":
                scopes[name].cancel()
            elif name in stage.started:
                warm = warm or (deed == "begin" and name not in stage.over)
                (stage.begins if deed == "begin" else stage.ends)[name].set()
        for name in names:
            stage.begins[name].set()
            stage.ends[name].set()
        for _ in names:
            await stage.settle()
        assert sorted(stage.over) == sorted(names)
        assert not stage.leaders.is_led(A)


class Terse:
    """A model whose answer is there at once, as a whole."""

    async def stream(self, request):
        yield ChatReply("", (), Usage(), "max_tokens")


async def test_an_answer_without_a_piece_has_begun_when_it_is_there():
    begun = []
    heard = Heard(lambda: begun.append(True))
    choice = ModelChoice(provider="anthropic", name="claude")
    request = ChatRequest(choice, "", (), (), 1, "m1", "r", "", 10.0)
    await reply_of(Terse(), request, heard, tell=lambda _: None, first_token=5.0)
    assert begun == [True]
