from contextlib import asynccontextmanager

import anyio
import pytest

from callboard.bus.bus import open_bus
from callboard.errors import StaleAppend
from tests.support.bus import bus_url, fresh_bus


@asynccontextmanager
async def two():
    async with (
        fresh_bus() as made,
        open_bus(bus_url(), subjects=made.subjects, name="one") as one,
        open_bus(bus_url(), subjects=made.subjects, name="two") as two,
    ):
        yield one, two


class Watched:
    def __init__(self) -> None:
        self.seen: list[tuple[tuple[str, ...], bytes]] = []
        self._changed = anyio.Event()

    def __call__(self, key, value) -> None:
        self.seen.append((key, value.value))
        self._changed.set()

    async def until(self, predicate) -> None:
        with anyio.fail_after(20):
            while not predicate(self.seen):
                self._changed = anyio.Event()
                await self._changed.wait()


async def test_a_key_has_the_last_value_that_was_put():
    async with two() as (one, other):
        assert await one.states.get("a", "b") is None
        first = await one.states.put("a", "b", value=b"1")
        second = await one.states.put("a", "b", value=b"2")
        found = await other.states.get("a", "b")
        assert (found.value, found.revision) == (b"2", second)
        assert second > first


async def test_a_put_replaces_only_the_revision_that_it_expects():
    async with two() as (one, other):
        revision = await one.states.put("a", value=b"1", expect=0)
        with pytest.raises(StaleAppend, match="is at revision"):
            await other.states.put("a", value=b"2", expect=0)
        with pytest.raises(StaleAppend):
            await other.states.put("a", value=b"2", expect=revision + 7)
        await other.states.put("a", value=b"2", expect=revision)
        assert (await one.states.get("a")).value == b"2"


async def test_of_many_that_replace_the_same_revision_one_wins():
    async with two() as (one, other):
        won: list[int] = []

        async def put(bus, number: int) -> None:
            try:
                await bus.states.put("lease", value=b"%d" % number, expect=0)
            except StaleAppend:
                return
            won.append(number)

        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(put, (one, other)[number % 2], number)
        assert [b"%d" % number for number in won] == [(await one.states.get("lease")).value]


async def test_a_put_whose_answer_was_lost_is_known_as_its_own(monkeypatch):
    async with two() as (one, _):
        whole, lost = one.connection.request, []

        async def request(subject, payload=b"", *, headers=None, timeout):
            reply = await whole(subject, payload, headers=headers, timeout=timeout)
            if subject.startswith("$KV.") and not lost:
                lost.append(subject)
                raise one.connection._unreachable(timeout)
            return reply

        monkeypatch.setattr(one.connection, "request", request)
        revision = await one.states.put("a", value=b"1", expect=0)
        assert lost
        assert (await one.states.get("a")).revision == revision


async def test_all_has_every_key_that_begins_so():
    async with two() as (one, _):
        for key in (("a",), ("a", "b"), ("a", "b", "c"), ("ab",), ("x", "a")):
            await one.states.put(*key, value=".".join(key).encode())
        assert set(await one.states.all("a")) == {("a",), ("a", "b"), ("a", "b", "c")}
        assert set(await one.states.all("a", "b")) == {("a", "b"), ("a", "b", "c")}
        assert len(await one.states.all()) == 5
        assert (await one.states.all("x"))["x", "a"].value == b"x.a"


async def test_a_key_that_was_removed_by_hand_is_as_if_it_had_never_been():
    async with two() as (one, _):
        await one.states.put("a", value=b"1")
        subject = one.connection.subjects.state("a")
        await one.connection.request(subject, b"", headers={"KV-Operation": "DEL"}, timeout=5)
        assert await one.states.get("a") is None
        assert await one.states.all() == {}
        await one.states.put("a", value=b"2", expect=0)
        assert (await one.states.get("a")).value == b"2"


async def test_a_watch_has_what_is_there_and_then_each_change():
    async with two() as (one, other):
        await one.states.put("a", "old", value=b"0")
        await one.states.put("b", value=b"0")
        watched = Watched()
        async with other.states.watch("a", deliver=watched):
            assert watched.seen == [(("a", "old"), b"0")]
            for number in range(30):
                await one.states.put("a", f"k{number}", value=b"%d" % number)
            await watched.until(lambda seen: len(seen) == 31)
        assert watched.seen[1:] == [(("a", f"k{number}"), b"%d" % number) for number in range(30)]


async def test_a_watch_sees_what_its_own_connection_puts():
    async with two() as (one, _):
        watched = Watched()
        async with one.states.watch("a", deliver=watched):
            await one.states.put("a", value=b"1", expect=0)
            await watched.until(lambda seen: seen == [(("a",), b"1")])


async def test_a_put_that_was_refused_is_not_delivered():
    async with two() as (one, other):
        watched = Watched()
        revision = await one.states.put("a", value=b"1")
        async with other.states.watch(deliver=watched):
            with pytest.raises(StaleAppend):
                await one.states.put("a", value=b"no", expect=revision + 1)
            await one.states.put("b", value=b"2")
            await watched.until(lambda seen: len(seen) == 2)
        assert watched.seen == [(("a",), b"1"), (("b",), b"2")]


async def test_what_the_body_of_a_watch_raises_comes_out_as_it_is():
    async with two() as (one, _):
        with pytest.raises(LookupError):
            async with one.states.watch("a", deliver=Watched()):
                raise LookupError


async def test_a_value_that_lasts_for_some_time_is_gone_after_it_and_may_be_put_as_a_new_one():
    async with two() as (one, other):
        await one.states.put("a", "short", value=b"1", expect=0, ttl=0.5)
        await one.states.put("a", "long", value=b"1", ttl=3_600)
        with anyio.fail_after(20):
            while await other.states.get("a", "short") is not None:  # noqa: ASYNC110 - nobody is told
                await anyio.sleep(0.05)
        assert list(await other.states.all("a")) == [("a", "long")]
        await other.states.put("a", "short", value=b"2", expect=0)
        assert (await one.states.get("a", "short")).value == b"2"
