"""The accounts of shared budgets, on the real server."""

from __future__ import annotations

import anyio

from callboard.bus import storage
from callboard.bus.bus import open_bus
from callboard.bus.ports import Balance
from tests.support.bus import bus_url, fresh_bus


async def test_postings_add_up_and_tell_what_is_there():
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        assert await bus.ledger.read("t1", "a") == Balance()
        assert await bus.ledger.accounts() == {}
        first = await bus.ledger.post("t1", "a", Balance(held=300), once="1", note="x")
        assert (first.balance, first.note) == (Balance(0, 300), "x")
        second = await bus.ledger.post("t1", "a", Balance(120, -300), once="2", note="x")
        assert second.balance == Balance(120, 0)
        await bus.ledger.post("_", "b", Balance(1, 0), once="1", note="y")
        assert await bus.ledger.read("t1", "a") == Balance(120, 0)
        assert await bus.ledger.accounts() == {("t1", "a"): Balance(120, 0), ("_", "b"): Balance(1, 0)}


async def test_the_same_id_again_adds_nothing_and_tells_what_was_posted_with_it():
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        await bus.ledger.post("t1", "a", Balance(7, 5), once="1", note="first")
        await bus.ledger.post("t1", "a", Balance(1, -5), once="2", note="first")
        again = await bus.ledger.post("t1", "a", Balance(100, 100), once="1", note="second")
        assert (again.balance, again.note) == (Balance(7, 5), "first")
        assert await bus.ledger.read("t1", "a") == Balance(8, 0)


async def test_nothing_is_lost_among_many_writers():
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:

        async def write(writer: int) -> None:
            for number in range(20):
                await bus.ledger.post("t1", "a", Balance(held=10), once=f"{writer}.{number}.r", note="")
                await bus.ledger.post("t1", "a", Balance(3, -10), once=f"{writer}.{number}.s", note="")

        async with anyio.create_task_group() as group:
            for writer in range(8):
                group.start_soon(write, writer)
        assert await bus.ledger.read("t1", "a") == Balance(480, 0)


async def test_what_was_posted_before_is_found_also_when_the_answer_takes_long(monkeypatch):
    ask = storage.by_sequence

    async def slowly(*about: object) -> object:
        await anyio.sleep(1.1)
        return await ask(*about)

    monkeypatch.setattr(storage, "by_sequence", slowly)
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        await bus.ledger.post("t1", "a", Balance(7, 5), once="1", note="first")
        again = await bus.ledger.post("t1", "a", Balance(7, 5), once="1", note="second")
        assert again is not None
        assert again.note == "first"
