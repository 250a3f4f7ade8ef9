"""Telling what models say: gathered, never waited for, and heard between the entries of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from callboard.bus.bus import Bus, open_bus
from callboard.bus.client import Reply
from callboard.bus.deltas import ModelDelta, decode_delta
from callboard.bus.messages import Record, RunSteered
from callboard.bus.subjects import RunKey
from tests.support.bus import bus_url, fresh_bus

KEY = RunKey("default", "r1")


def delta(n: int, text: str, *, call: str = "m1") -> ModelDelta:
    return ModelDelta(call=call, attempt=1, n=n, text=text)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Bus, MemoryObjectReceiveStream[ModelDelta | None]]]:
    """A bus, and what is told of the run there."""
    send, receive = anyio.create_memory_object_stream[ModelDelta | None](1_000)

    def deliver(message: Reply) -> None:
        send.send_nowait(decode_delta(message.payload))

    async with fresh_bus() as made, open_bus(bus_url(), subjects=made.subjects, name="x") as bus:
        with send, receive, anyio.fail_after(20):
            async with made.subscribe(made.subjects.tokens(KEY), deliver):
                await made.barrier()
                yield bus, receive


async def test_pieces_are_told_together_and_all_of_them_again_when_the_text_has_doubled():
    async with listening() as (bus, told):
        with bus.tokens.telling(KEY, "m1", 1) as tell:
            tell("Hello")
            tell(", ")
            assert await told.receive() == delta(0, "Hello, ")
            tell("you")
            assert await told.receive() == delta(7, "you")
            tell(" there")
            assert await told.receive() == delta(0, "Hello, you there")


async def test_an_answer_that_is_complete_at_once_is_told_by_the_journal_alone():
    async with listening() as (bus, told):
        with bus.tokens.telling(KEY, "m1", 1) as tell:
            tell("short")
        with bus.tokens.telling(KEY, "m2", 1) as tell:
            tell("slow")
            assert await told.receive() == delta(0, "slow", call="m2")


async def test_a_long_piece_is_cut():
    async with listening() as (bus, told):
        text = "☃" * 20_000
        with bus.tokens.telling(KEY, "m1", 1) as tell:
            tell(text)
            pieces = [await told.receive() for _ in range(3)]
    assert [piece.n for piece in pieces if piece] == [0, 8_192, 16_384]
    assert "".join(piece.text for piece in pieces if piece) == text


async def test_what_is_no_text_is_not_told_and_hurts_nobody():
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with listening() as (bus, told):
        with bus.tokens.telling(KEY, "m1", 1) as broken, bus.tokens.telling(KEY, "m2", 1) as tell:
            broken("\ud800")
            tell("text")
            assert await told.receive() == delta(0, "text", call="m2")
    assert not failures


async def test_what_could_not_leave_goes_with_the_next_pieces(monkeypatch: pytest.MonkeyPatch):
    async with listening() as (bus, told):
        client = type(bus.connection._client)
        looked = anyio.Event()

        def stuck(_: object) -> bool:
            looked.set()
            return False

        with bus.tokens.telling(KEY, "m1", 1) as tell:
            with monkeypatch.context() as patch:
                patch.setattr(client, "flows", property(stuck))
                tell("Hel")
                await looked.wait()
            tell("lo")
            assert await told.receive() == delta(0, "Hello")


async def test_nothing_is_offered_to_a_connection_that_does_not_flow():
    async with fresh_bus() as connection:
        client = connection._client
        assert connection.offer("x", b"")
        client._pending_data_size = 100_000
        assert not client.flows
        client._pending_data_size = 0
        assert client.flows
        await connection.close()
        assert not client.flows
        assert not connection.offer("x", b"")


async def test_pieces_are_heard_behind_the_entries_that_were_written_before_them():
    async with listening() as (bus, _):
        tokens = bus.connection.subjects.tokens(KEY)
        await bus.journals.signal(KEY, steered("a"))
        async with bus.watch.follow_text(KEY) as items:
            assert bus.connection.offer(tokens, b"{}")  # no piece
            assert bus.connection.offer(tokens, delta(0, "x").model_dump_json().encode())
            await bus.journals.signal(KEY, steered("b"))
            heard = [await anext(items) for _ in range(3)]
            assert sorted(map(_name, heard)) == ["a", "b", "x"]
            assert _name(heard[0]) == "a"
            items._source.missing = True  # as after a reconnect
            await bus.journals.signal(KEY, steered("c"))
            items._source._said.append(delta(1, "y"))
            assert [_name(await anext(items)) for _ in range(2)] == ["c", "y"]


def steered(name: str) -> Record:
    return Record(id=name, events=(RunSteered(text=name),))


def _name(item: object) -> str:
    return item.text if isinstance(item, ModelDelta) else item.record.id
