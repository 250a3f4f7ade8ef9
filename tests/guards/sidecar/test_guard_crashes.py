"""A guard that dies anywhere neither loses nor repeats a kill: at every write, and as a process killed by -9."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace

import anyio
import pytest

from callboard.actors.actor import running
from callboard.bus.bus import open_bus
from callboard.bus.messages import ModelResponded, RunKilled, RunPaused, RunSteered, SignalReceived
from callboard.guards.sidecar import pulse
from callboard.guards.sidecar.judge import created_in, watched
from callboard.guards.sidecar.sidecar import Sidecar
from tests.guards.sidecar.watchers import Limit, hosted, journalist, sidecar
from tests.support.bus import bus_url, fresh_bus
from tests.support.program import environment

WRITES = 17
"""Of a run with six answers: a nudge, a pause, a kill, an event for each of ten verdicts, and some marks."""


class Crash(Exception):
    """The process is gone."""


@dataclass
class Fuse:
    """Counts what a guard writes, and ends its life at one of them: before it, or when it is stored."""

    at: int
    stored: bool
    blown: bool = False

    async def write(self, call, *args, **kwargs):
        self.at -= 1
        if self.blown or (self.at == 0 and not self.stored):
            self.blown = True
            raise Crash
        done = await call(*args, **kwargs)
        if self.at == 0:
            self.blown = True
            raise Crash
        return done


class Fused:
    """A port whose writes go through a fuse."""

    def __init__(self, port, fuse, *writes):
        self._port, self._fuse, self._writes = port, fuse, writes

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if name not in self._writes:
            return found
        return lambda *args, **kwargs: self._fuse.write(found, *args, **kwargs)


async def live(subjects, fuse, judged):
    """One life of a sidecar: until everything is ``judged``, or the fuse is blown."""
    async with open_bus(bus_url(), subjects=subjects, name="fused") as bus:
        fused = replace(
            bus,
            journals=Fused(bus.journals, fuse, "signal"),
            guard_log=Fused(bus.guard_log, fuse, "publish"),
            states=Fused(bus.states, fuse, "put"),
        )
        try:
            async with running(Sidecar(fused, (hosted(),), replica="s1").run):
                await judged()
        except* Crash:
            assert fuse.blown


def batch(key, entries):
    """The ids of what the guard says of a journal."""
    run = watched("limit", key, created_in(entries), guard=Limit(), mode="enforce")
    return sorted(said.event.id for entry in entries for said in run.see(entry))


@pytest.mark.parametrize("stored", [False, True])
async def test_at_whatever_write_a_guard_dies_everything_is_done_and_said_once(stored, monkeypatch):
    monkeypatch.setattr(pulse, "_ANSWERED", 0.01)
    monkeypatch.setattr(pulse, "_MARK_SECONDS", 0.02)

    async def case(crash: int) -> None:
        async with fresh_bus() as connection, journalist(connection.subjects) as here:
            subjects = connection.subjects
            key = await here.create("r1")
            async with sidecar(subjects):
                await here.until_all_judged(1)
            written = anyio.Event()

            async def write():
                for number in range(1, 7):
                    await here.append(key, ModelResponded(call=f"m{number}"))
                    if number == 2:
                        await here.signal(key, SignalReceived(name="pause"))
                written.set()

            async def judged():
                await written.wait()
                await here.until_judged(here.last[key], key)

            async with anyio.create_task_group() as group:
                group.start_soon(write)
                await live(subjects, Fuse(crash, stored), judged)
            await live(subjects, Fuse(1 + crash * 7 % 5, not stored), judged)

            async def marked():
                await judged()
                await here.until_marked(here.last[key], key)

            await live(subjects, Fuse(0, stored), marked)
            entries = tuple(await here.bus.journals.read(key))
            assert sorted(event.id for event in await here.said()) == batch(key, entries), crash
            assert len(await here.done(key, RunKilled)) == 1, crash
            assert len(await here.done(key, RunSteered)) == 1, crash
            assert len(await here.done(key, RunPaused)) == 1, crash

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for crash in range(1, WRITES + 1):
                group.start_soon(case, crash)


# ---- real processes -----------------------------------------------------------------------------------------------
class Guards:
    """Guard processes that can be killed and are started again."""

    def __init__(self, prefix: str, *more: str) -> None:
        self._command = [sys.executable, "-m", "tests.guards.sidecar.guard_main", bus_url(), prefix, *more]
        self.processes: list[subprocess.Popen] = []

    def start(self) -> subprocess.Popen:
        process = subprocess.Popen(self._command, env=environment(), stdout=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    @contextmanager
    def running(self):
        try:
            yield self
        finally:
            for process in self.processes:
                process.kill()
                process.wait()


@pytest.mark.slow
async def test_guard_processes_that_are_killed_while_runs_go_on_lose_and_repeat_nothing():
    chance = random.Random(5)
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        guards = Guards(connection.subjects.prefix)
        with guards.running(), anyio.fail_after(60):
            alive = [guards.start(), guards.start()]
            await here.until_pulse(lambda pulse: pulse.watermark >= 0)
            keys = [await here.create(f"r{number}") for number in range(24)]
            killing = True

            async def write():
                """Every run gets its sixth answer, sooner or later."""
                answers = [(key, number) for key in keys for number in range(6)]
                while answers:
                    key, number = answers.pop(chance.randrange(min(len(answers), 30)))
                    await here.append(key, ModelResponded(call=f"m{number}"))
                    if killing:
                        await anyio.sleep(0.02)

            async with anyio.create_task_group() as group:
                group.start_soon(write)
                for turn in range(5):
                    await anyio.sleep(0.3 + chance.random() * 0.5)
                    alive[turn % 2].kill()
                    alive[turn % 2].wait()
                    alive[turn % 2] = guards.start()
                killing = False
            await here.until_all_judged(max(here.last.values()), within=40)
        said = await here.said()
        ids = [event.id for event in said]
        assert len(ids) == len(set(ids))
        for key in keys:
            assert len(await here.done(key, RunKilled)) == 1
            assert len(await here.done(key, RunSteered)) == 1
        kills = {event.run: event.acted for event in said if event.action == "kill" and event.acted}
        assert kills == {key.run: True for key in keys}


async def test_a_guard_process_is_announced_and_leaves_on_sigterm():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        guards = Guards(connection.subjects.prefix)
        with guards.running(), anyio.fail_after(30):
            process = guards.start()
            await here.until_pulse(lambda pulse: pulse.missing == "open")
            replies = []
            inbox = connection.new_inbox()
            async with connection.subscribe(inbox, replies.append):
                await connection.publish("$SRV.INFO.callboard-guard", b"", reply=inbox)
                while not any(connection.subjects.prefix.encode() in each.payload for each in replies):  # noqa: ASYNC110 - replies come one by one
                    await anyio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert await anyio.to_thread.run_sync(process.wait) == 0
