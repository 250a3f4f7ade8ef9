"""Runs on all wires against llmock, a double that others wrote, and what it says of us as a client.

Where the two doubles differ, and who is right by the types of the SDKs: docs/testing.md, "A second opinion".
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest

from callboard.app.guards import Guarding
from callboard.bus.messages import ToolReturned
from callboard.config.guards import Breaker
from callboard.config.providers import Provider, Providers
from callboard.tools.tool import tool
from tests.support.fleet import Fleet
from tests.support.provided import KEY, WIRES, Told, codes, told, working

SERVE = """
import sys
from llmock.testing import LLMockServer
with LLMockServer() as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
STALL = 5.0
GUARDING = Guarding(hosted=(), breaker=Breaker(mode="shadow"))
PATHS = {"claude": "/anthropic/v1/messages", "gpt": "/v1/responses", "open": "/v1/chat/completions"}


@tool(effect="pure")
def weather(city: str, days: int) -> str:
    """Get the weather of a city."""
    return f"{days} days of sun in {city}"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """llmock as a process of its own; it ends with its stdin."""
    command = [sys.executable, "-W", "ignore", "-c", SERVE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.communicate(timeout=30)


class Double:
    """llmock's own address for tests: what goes wrong, what it was asked, and its verdict."""

    def __init__(self, board: Fleet, admin: httpx2.AsyncClient) -> None:
        self.board, self._admin = board, admin

    async def play(self, *behaviors: dict[str, Any], agents: Any = WIRES) -> dict[str, Told]:
        """A run of each agent while everything happens to each of them."""
        await self._admin.post("/reset")
        told_off = [{**each, "match": {"model": agent}} for agent in agents for each in behaviors]
        if told_off:
            (await self._admin.post("/scenario", json={"behaviors": told_off})).raise_for_status()
        runs: dict[str, Told] = {}

        async def run(agent: str) -> None:
            runs[agent] = await told(self.board, await self.board.submit(agent, f"What is the weather? ({agent})"))

        async with anyio.create_task_group() as playing:
            for agent in agents:
                playing.start_soon(run, agent)
        return runs

    async def requests(self, agent: str) -> list[dict[str, Any]]:
        found = (await self._admin.get("/requests")).json()["requests"]
        return [each for each in found if each["model"] == agent]

    async def findings(self) -> list[tuple[str, str]]:
        verdict = (await self._admin.get("/verdict")).json()
        return [(each["code"], each["path"]) for each in verdict["findings"]]


@asynccontextmanager
async def double(url: str) -> AsyncGenerator[Double]:
    by_name = {
        wire: Provider(wire, KEY, f"{url}/anthropic" if wire == "anthropic" else f"{url}/v1", stall_timeout=STALL)
        for wire in WIRES.values()
    }
    async with (
        working(codes((weather,), model_attempts=3), Providers(by_name), guarding=GUARDING) as board,
        httpx2.AsyncClient(base_url=f"{url}/_llmock", timeout=30) as admin,
    ):
        yield Double(board, admin)


def fail(status: int, **more: Any) -> dict[str, Any]:
    return {"type": "fail", "status": status, **more}


def breaks(kind: str, after: int = 3, **more: Any) -> dict[str, Any]:
    return {"type": "stream_fault", "kind": kind, "after_chunks": after, **more}


AGAIN: dict[str, tuple[str, ...]] = {
    "rate": ("model_rate", "model_rate"),
    "error": ("model_overload",),
    "away": ("model_overload",),
    "overloaded": ("model_overload",),
    "dropped": ("model_truncated",),
    "dropped at once": ("model_truncated",),
    "truncated": ("model_truncated",),
    "garbled": ("model_truncated",),
    "stalled": ("model_network",),
    "slow": (),
}
"""What happens to the first call, and the failures of its attempts."""
BEHAVIORS = {
    "rate": fail(429, retry_after=0.3, times=2),
    "error": fail(500),
    "away": fail(503),
    "overloaded": fail(529),
    "dropped": breaks("disconnect"),
    "dropped at once": breaks("disconnect", 0),
    "truncated": breaks("truncate"),
    "garbled": breaks("malformed"),
    "stalled": breaks("stall", stall_seconds=60),
    "slow": {"type": "slow_first_token", "seconds": 0.2},
}
UNSEEN = {"garbled": {"malformed_chunk_ignored"}}
"""What it says although we asked again: it takes an answer for read when the last byte of it fitted into the socket."""
CONTEXT = "This model's maximum context length was exceeded."
NEVER = {
    "model_bad_request": (fail(400), fail(404)),
    "model_auth": (fail(401), fail(403)),
    "model_context": (fail(400, code="context_length_exceeded", message=CONTEXT),),
    "model_quota": (fail(429, code="insufficient_quota"),),
}


async def test_a_run_calls_its_tool_and_answers(url: str) -> None:
    async with double(url) as there:
        for agent, run in (await there.play()).items():
            asked = await there.requests(agent)
            assert (agent, run.end) == (agent, "completed")
            assert [each["path"] for each in asked] == [PATHS[agent]] * 2
            assert all(each["stream"] and each["completed"] for each in asked)
            assert [each.stop for each in run.responded] == ["tool_use", "end"]
            assert all(each.usage.input_tokens and each.usage.output_tokens for each in run.responded)
            (call,) = run.responded[0].tool_calls
            assert call.name == "weather"
            assert isinstance(call.arguments, dict)
            assert set(call.arguments) == {"city", "days"}
        assert await there.findings() == []


async def test_every_fault_of_its_own_is_survived_and_it_finds_nothing_wrong_with_us(url: str) -> None:
    async with double(url) as there:
        for name, problems in AGAIN.items():
            for agent, run in (await there.play(BEHAVIORS[name])).items():
                told = (name, agent, run.end, tuple(each.problem.kind for each in run.failed))
                assert told == (name, agent, "completed", problems)
                assert len(run.requested) == len(await there.requests(agent)) == 2 + len(problems)
            found = {code for code, _ in await there.findings()}
            assert (name, found - UNSEEN.get(name, set())) == (name, set())


async def test_what_cannot_succeed_is_asked_once(url: str) -> None:
    async with double(url) as there:
        for problem, refusals in NEVER.items():
            for refusal in refusals:
                for agent, run in (await there.play({**refusal, "times": None})).items():
                    assert (refusal, agent, run.end) == (refusal, agent, problem)
                    assert len(run.requested) == len(await there.requests(agent)) == 1
                found = await there.findings()  # it would ask again where the quota is used up
                assert {code for code, _ in found} == ({"gave_up"} if problem == "model_quota" else set())


async def test_tools_that_it_calls_wrongly_are_answered_and_two_at_once_are_both_run(url: str) -> None:
    calls = [{"name": "weather", "arguments": {"city": city, "days": 2}} for city in ("Rome", "Bonn")]
    both = {"type": "reply", "text": "both", "tool_calls": calls}
    async with double(url) as there:
        for behavior, results in (
            ({"type": "tool_fault", "kind": "malformed_arguments"}, ["bad_arguments"]),
            ({"type": "tool_fault", "kind": "unknown_tool"}, ["unknown_tool"]),
            (both, ["2 days of sun in Rome", "2 days of sun in Bonn"]),
        ):
            for agent, run in (await there.play(behavior)).items():
                assert (agent, run.end) == (agent, "completed")
                assert [_result(each) for each in run.returned] == results
            assert await there.findings() == []


async def test_an_answer_that_it_cut_off_is_not_taken_for_a_whole_one(url: str) -> None:
    async with double(url) as there:
        runs = await there.play({"type": "reply", "text": "half an", "finish_reason": "length"})
        assert {run.end for run in runs.values()} == {"model_max_tokens"}


def _result(returned: ToolReturned) -> Any:
    return returned.result.value if returned.problem is None else returned.problem.kind
