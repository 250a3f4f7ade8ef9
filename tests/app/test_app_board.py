"""The board, and everything embedded below it: a real server, a supervisor, a worker."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from callboard.actors.code import AgentCode
from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.app.board import Board, bus_at, connect
from callboard.app.embedded import embedded
from callboard.bus.messages import RunCompleted
from callboard.errors import BusUnreachable, InvalidMessage, QueueFull, RunFailed, RunKilled
from tests.support.fleet import scripted


@worker("waiter")
async def waiter(task: Any, run: RunContext) -> Any:
    return await run.signal("answer")


@worker("echo")
async def echo(task: Any, run: RunContext) -> Any:
    return task


AGENTS = {
    code.spec.name: code
    for code in (
        scripted("hello", {"text": "Hello, {{ input }}."}),
        scripted("slow", {"text": "late", "delay": 30}),
        scripted("broken", {"fail": {"kind": "auth", "message": "no key"}}),
        AgentCode(waiter.spec, function=waiter),
        AgentCode(echo.spec, function=echo),
    )
}


def here(path: Path):
    return embedded(AGENTS, data_dir=path, durability="relaxed")


async def test_a_run_has_a_result_events_and_a_state(tmp_path: Path) -> None:
    async with here(tmp_path) as deployment:
        run = await deployment.board.submit("hello", "Ada")
        assert await run.result(timeout=30) == "Hello, Ada."
        events = [event async for event in run.events()]
        assert [event.event.type for event in events] == [
            "run.created", "run.claimed", "model.requested", "model.responded", "run.completed",
        ]  # fmt: skip
        rest = [event async for event in run.events(after=events[0].sequence)]
        assert rest == [event for event in events if event.sequence > events[0].sequence]
        for at, event in enumerate(events):  # several are in one entry
            assert [each async for each in run.events(after=event)] == events[at + 1 :]
        assert (await run.state()).status == "completed"


async def test_a_large_value_comes_back_whole(tmp_path: Path) -> None:
    async with here(tmp_path) as deployment:
        value = {"rows": ["x" * 100] * 1_000}
        run = await deployment.board.submit("echo", value)
        assert await run.result(timeout=30) == value


async def test_an_end_without_a_result_is_raised(tmp_path: Path) -> None:
    async with here(tmp_path) as deployment:
        failed = await deployment.board.submit("broken", "x")
        with pytest.raises(RunFailed, match="no key") as error:
            await failed.result(timeout=30)
        assert error.value.kind == "model_auth"
        slow = await deployment.board.submit("slow", "x")
        with pytest.raises(TimeoutError):
            await slow.result(timeout=0.2)
        receipt = await slow.kill("enough")
        assert receipt.killed
        assert receipt.settled_at is not None
        with pytest.raises(RunKilled, match="enough"):
            await slow.result(timeout=30)


async def test_submissions_with_one_key_are_one_run(tmp_path: Path) -> None:
    async with here(tmp_path) as deployment:
        board = deployment.board
        first, second = [await board.submit("hello", "Ada", key="order-7") for _ in range(2)]
        other = await board.submit("hello", "Ada", key="order-7", tenant="acme")
        assert first.id == second.id != other.id
        assert await first.result(timeout=30) == "Hello, Ada."
        await other.result(timeout=30)
        payload = json.dumps({"input": "Bob", "key": "order-8"}).encode()
        await board.bus.connection.publish("cb.task.default.hello.normal", payload)
        plain = await board.submit("hello", "Bob", key="order-8")
        assert await plain.result(timeout=30) == "Hello, Bob."
        assert len(await board.runs(tenant="default")) == 2


async def test_a_run_hears_signals_and_notes(tmp_path: Path) -> None:
    async with here(tmp_path) as deployment:
        run = await deployment.board.submit("waiter", None)
        async with aclosing(run.events()) as events:
            async for event in events:
                if event.event.type == "run.suspended":
                    break
        await run.steer("hurry")
        await run.send("answer", {"yes": 1})
        assert await run.result(timeout=30) == {"yes": 1}
        assert "run.steered" in [event.event.type async for event in run.events()]


async def test_runs_are_listed_newest_first_with_those_that_wait(tmp_path: Path) -> None:
    async with here(tmp_path) as deployment:
        board = deployment.board
        done = await board.submit("hello", "Ada")
        await done.result(timeout=30)
        queued = await board.submit("nobody", "x")
        failed = await board.submit("broken", "x", tenant="acme")
        with pytest.raises(RunFailed):
            await failed.result(timeout=30)
        assert [each.run for each in await board.runs()] == [failed.id, queued.id, done.id]
        assert [each.status for each in await board.runs(tenant="default")] == ["queued", "completed"]
        (told,) = await board.runs(status="failed")
        assert told.why.startswith("model_auth: ")
        assert len(await board.runs(limit=2)) == 2


async def test_a_deadline_in_seconds_ends_the_run(tmp_path: Path) -> None:
    async with here(tmp_path) as deployment:
        run = await deployment.board.submit("slow", "x", deadline=0.3)
        with pytest.raises(RunFailed) as error:
            await run.result(timeout=30)
        assert error.value.kind == "deadline"


async def test_a_full_queue_refuses_and_says_when_to_try_again(tmp_path: Path) -> None:
    async with here(tmp_path) as deployment:
        await _shrink_queue(deployment.board)
        await deployment.board.submit("nobody", "x")
        with pytest.raises(QueueFull) as error:
            await deployment.board.submit("nobody", "x")
        assert error.value.retry_after is not None


async def _shrink_queue(board: Board) -> None:
    connection = board.bus.connection
    info = json.loads((await connection.request("$JS.API.STREAM.INFO.CB_TASKS", timeout=5)).payload)
    body = json.dumps({**info["config"], "max_msgs": 1}).encode()
    await connection.request("$JS.API.STREAM.UPDATE.CB_TASKS", body, timeout=5)


async def test_ids_that_could_leave_their_subject_are_refused(tmp_path: Path) -> None:
    async with here(tmp_path) as deployment:
        for bad in ("a b", "*", ">", "", "a.b"):
            with pytest.raises(InvalidMessage):
                await deployment.board.submit(bad, "x")
            with pytest.raises(InvalidMessage):
                deployment.board.run(bad)


async def test_connect_finds_the_server_of_a_directory_or_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLBOARD_URL", raising=False)
    with pytest.raises(BusUnreachable, match="callboard up"):
        bus_at(None, data_dir=tmp_path)
    async with here(tmp_path) as deployment, connect(data_dir=tmp_path) as board:
        run = await board.submit("hello", "Bob")
        assert await run.result(timeout=30) == "Hello, Bob."
        monkeypatch.setenv("CALLBOARD_URL", deployment.url)
        assert bus_at(None, data_dir=tmp_path / "none").urls == (deployment.url,)
    monkeypatch.setenv("CALLBOARD_URL", "nats://a:1, nats://b:2")
    assert bus_at(None).urls == ("nats://a:1", "nats://b:2")


async def test_a_reader_loses_and_repeats_nothing_when_the_server_restarts(tmp_path: Path) -> None:
    from callboard.bus.server import embedded_server

    async with embedded_server(tmp_path, durability="relaxed") as server, here(tmp_path) as deployment:
        run = await deployment.board.submit("waiter", None)
        seen = []
        with anyio.fail_after(20):
            async for event in run.events():
                seen.append((event.sequence, event.event.type))
                if event.event.type == "run.suspended":
                    await server.restart()
                    await run.send("answer", 1)
        assert len(seen) == len(set(seen))
        assert seen == [(event.sequence, event.event.type) async for event in run.events()]
        assert isinstance((await run.state()).terminal, RunCompleted)
