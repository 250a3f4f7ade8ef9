"""What reaches from a guard into runs: once, before it is said, and also when the bus is away for a while."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from callboard.actors.actor import running
from callboard.bus import storage
from callboard.bus.bus import open_bus
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.messages import ModelResponded, Record, RunCompleted, RunKilled, SignalReceived
from callboard.bus.server import embedded_server
from callboard.bus.subjects import RunKey, Subjects
from callboard.errors import BusRefused, BusUnreachable
from callboard.guards.sidecar import act, deeds, feed, rebuild
from callboard.guards.sidecar.act import Hands
from callboard.guards.sidecar.deeds import Deed
from callboard.guards.sidecar.sidecar import Sidecar
from tests.guards.sidecar.watchers import CLOCK, Journalist, hosted, journalist, sidecar
from tests.support.bus import bus_url, fresh_bus

KEY = RunKey("default", "r1")


def kill(number: int = 1, *, look: bool = False) -> Deed:
    event = GuardEvent(id=f"g{number}", at=CLOCK.now(), guard="limit", action="kill", acted=True, reason="x", run="r1")
    return Deed(KEY, event, Record(id=f"g{number}", events=(RunKilled(guard="limit"),)), look=look)


class Failing:
    """A port of which the first calls of one method fail: before anything was done, or when it was."""

    def __init__(self, port, method, *errors, done=False):
        self._port, self._method, self._errors, self._done = port, method, list(errors), done

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if name != self._method:
            return found

        async def call(*args, **kwargs):
            if not self._errors:
                return await found(*args, **kwargs)
            if self._done:
                await found(*args, **kwargs)
            raise self._errors.pop(0)

        return call


AWAY = BusUnreachable("away", retryable=True)


def hands(here: Journalist, *, journals=None, guard_log=None) -> Hands:
    return Hands(journals or here.bus.journals, guard_log or here.bus.guard_log, anyio.Semaphore(1))


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    for module in (act, feed, rebuild):
        monkeypatch.setattr(module, "_RETRY_SECONDS", 0.0)


@pytest.mark.parametrize("done", [False, True])
async def test_a_signal_that_got_no_answer_is_stored_once_and_then_said(done):
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        await here.create("r1")
        journals = Failing(here.bus.journals, "signal", AWAY, AWAY, done=done)
        await hands(here, journals=journals).carry_out([kill()])
        assert len(await here.done(KEY)) == 1
        assert [event.acted for event in await here.said()] == [True]


async def test_a_signal_that_is_refused_is_said_not_to_have_been_done():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        journals = Failing(here.bus.journals, "signal", BusRefused("no permission"))
        await hands(here, journals=journals).carry_out([kill()])
        assert not await here.done(KEY)
        assert [event.acted for event in await here.said()] == [False]


async def test_who_must_not_speak_still_kills():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        guard_log = Failing(here.bus.guard_log, "publish", AWAY, BusRefused("no permission"))
        await hands(here, guard_log=guard_log).carry_out([kill()])
        assert len(await here.done(KEY)) == 1
        assert not await here.said()


async def test_a_late_kill_is_not_done_when_another_replica_did_it_or_the_run_is_over():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        await here.create("r1")
        await hands(here).carry_out([kill(1, look=True)])
        await hands(here).carry_out([kill(1, look=True), kill(2, look=True)])
        assert len(await here.done(KEY)) == 1
        assert [(event.id, event.acted) for event in await here.said()] == [("g1", True), ("g2", False)]


async def test_all_signals_are_stored_before_anything_is_said():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        said = GuardEvent(id="w", at=CLOCK.now(), guard="limit", action="warn", reason="x")
        guard_log = Failing(here.bus.guard_log, "publish", KeyError("dead"))
        with pytest.raises(KeyError):
            await hands(here, guard_log=guard_log).carry_out([Deed(KEY, said), kill()])
        assert len(await here.done(KEY)) == 1


async def test_a_replica_that_was_frozen_looks_before_it_acts(monkeypatch):
    monkeypatch.setattr(deeds, "LATE", timedelta(days=-1))
    async with fresh_bus() as connection, journalist(connection.subjects) as here, sidecar(connection.subjects):
        key = await here.create("r1")
        await here.append(key, SignalReceived(name="kill"), RunCompleted())
        other = await here.create("r2")
        await here.signal(other, SignalReceived(name="kill"))
        await here.until_done(other)
        assert not await here.done(key)


async def test_what_cannot_be_read_is_asked_for_again(monkeypatch):
    failures = {"last": 2, "page": 2, "scan": 1, "read": 2}

    def failing(module, name, what):
        found = getattr(module, name)

        async def call(*args, **kwargs):
            if failures[what]:
                failures[what] -= 1
                raise AWAY
            return await found(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    monkeypatch.setattr(feed.JournalFeed, "arrived", lambda self, message: None)
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        key = await here.create("r1")
        for number in range(4):
            await here.append(key, ModelResponded(call=f"m{number}"))
        failing(rebuild, "_scan", "scan")
        async with open_bus_of(connection.subjects) as bus, anyio.create_task_group() as group:
            failing(type(bus.journals), "read", "read")
            group.start_soon(Sidecar(bus, (hosted(),), replica="s1").run, anyio.Event())
            await here.until_all_judged(1)
            failing(feed, "last_sequence", "last")
            failing(storage, "direct_page", "page")
            await here.append(key, ModelResponded(call="m5"))
            await here.until_done(key)
            group.cancel_scope.cancel()
    assert not any(failures.values())


def open_bus_of(subjects: Subjects):
    return open_bus(bus_url(), subjects=subjects, name="s1")


async def test_a_scan_that_is_refused_ends_the_guard(monkeypatch):
    async def refuse(*_):
        raise BusRefused("no permission")

    monkeypatch.setattr(rebuild, "_scan", refuse)
    async with fresh_bus() as connection, open_bus_of(connection.subjects) as bus:
        with anyio.fail_after(20), pytest.raises(BusRefused, match="no permission"):
            await Sidecar(bus, (hosted(),), replica="s1").run(anyio.Event())


async def test_a_guard_goes_on_when_the_server_was_killed_and_is_back(tmp_path: Path):
    async with (
        embedded_server(tmp_path, durability="always") as server,
        open_bus(server.url, name="j") as own,
        open_bus(server.url, name="g") as bus,
        running(Sidecar(bus, (hosted(),), replica="s1").run),
    ):
        here = Journalist(own)
        key = await here.create("r1")
        await here.until_all_judged(here.last[key])
        await server.kill()
        await server.start()
        for number in range(5):
            await here.append(key, ModelResponded(call=f"m{number}"))
        await here.until_done(key)
        await here.until_judged(here.last[key], key)
        assert len(await here.done(key)) == 1


async def test_a_message_that_is_no_subject_of_a_run_is_passed_over():
    async with fresh_bus() as connection, journalist(connection.subjects) as here, sidecar(connection.subjects):
        subject = f"{connection.subjects.prefix}.run.default.näin"
        await connection.request(subject, b"{}", timeout=5)
        key = await here.create("r1")
        await here.signal(key, SignalReceived(name="kill"))
        await here.until_done(key)
