"""The server is killed, and started again on the same data."""

from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from callboard.bus import storage
from callboard.bus.bus import open_bus
from callboard.bus.messages import Record, RunSteered, Task
from callboard.bus.server import embedded_server
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.errors import BusUnreachable, StaleAppend

KEY = RunKey("default", "r1")
ADDRESS = TaskAddress("default", "triage", "normal")


def steered(name: str) -> Record:
    return Record(id=name, events=(RunSteered(text=name),))


@asynccontextmanager
async def mortal_bus(folder: Path):
    async with embedded_server(folder, durability="relaxed") as server, open_bus(server.url, name="x") as bus:
        yield server, bus


async def test_appends_during_server_kills_are_stored_exactly_once_and_in_order(tmp_path):
    async with mortal_bus(tmp_path) as (server, bus):
        stored: list[tuple[int, str]] = []

        async def write() -> None:
            expect = 0
            for number in range(400):
                expect = await bus.journals.append(KEY, steered(f"a{number}"), expect=expect)
                stored.append((expect, f"a{number}"))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(write)
                for reached in (50, 150, 250):
                    while len(stored) < reached:
                        await anyio.lowlevel.checkpoint()
                    await server.kill()
                    await server.start()
        assert len(stored) == 400
        assert [(entry.sequence, entry.record.id) for entry in await bus.journals.read(KEY)] == stored


async def test_an_append_whose_answer_was_lost_is_found_and_not_repeated(tmp_path, monkeypatch):
    async with mortal_bus(tmp_path) as (server, bus):
        honest, lost = storage.publish, []

        async def publish(connection, subject, payload, *, headers):
            ack = await honest(connection, subject, payload, headers=headers)
            if not lost:
                lost.append(ack.sequence)
                await server.kill()
                await server.start()
                raise BusUnreachable("no answer", retryable=True)
            return ack

        monkeypatch.setattr(storage, "publish", publish)
        assert await bus.journals.append(KEY, steered("a"), expect=0) == lost[0]
        assert [entry.sequence for entry in await bus.journals.read(KEY)] == lost


async def test_an_append_whose_answer_was_lost_and_that_was_overtaken_says_so(tmp_path, monkeypatch):
    async with mortal_bus(tmp_path) as (_, bus):
        honest = storage.publish

        async def publish(connection, subject, payload, *, headers):
            monkeypatch.setattr(storage, "publish", honest)
            await bus.journals.signal(KEY, steered("other"))
            raise BusUnreachable("no answer", retryable=True)

        monkeypatch.setattr(storage, "publish", publish)
        with pytest.raises(StaleAppend):
            await bus.journals.append(KEY, steered("a"), expect=0)
        assert [entry.record.id for entry in await bus.journals.read(KEY)] == ["other"]


async def test_a_watch_gives_every_entry_once_across_a_server_kill(tmp_path):
    async with mortal_bus(tmp_path) as (server, bus), bus.watch.follow(KEY) as entries:
        seen: list[str] = []

        async def write() -> None:
            for number in range(200):
                await bus.journals.signal(KEY, steered(f"s{number}"))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(write)
                while len(seen) < 200:
                    seen.append((await anext(entries)).record.id)
                    if len(seen) == 70:
                        await server.kill()
                        await server.start()
        assert seen == [f"s{number}" for number in range(200)]


async def test_a_waiting_pull_goes_on_after_a_server_kill(tmp_path):
    async with mortal_bus(tmp_path) as (server, bus):
        await bus.tasks.pull("triage", "normal", batch=1, wait=0)
        got = []

        async def pull() -> None:
            while not got:
                try:
                    got.extend(await bus.tasks.pull("triage", "normal", batch=1, wait=30))
                except BusUnreachable:
                    continue

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(pull)
                await server.kill()
                await server.start()
                sequence = await bus.tasks.publish(ADDRESS, Task(input=1))
        assert [held.sequence for held in got] == [sequence]
