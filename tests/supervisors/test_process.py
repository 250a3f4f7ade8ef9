"""Real child processes: crashed, frozen, stalled, stubborn, orphaned."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio import Event, create_task_group, fail_after, sleep_forever, to_thread

from callboard.actors.actor import running
from callboard.errors import ConfigError
from callboard.supervisors.process import BEAT_FD, ProcessDied, ProcessStalled, SupervisorGone, beat, process_child
from callboard.supervisors.supervisor import supervisor
from callboard.supervisors.tree import ChildSpec, SupervisorSpec

CHILD = """
import os, signal, subprocess, sys, time
import anyio
from callboard.supervisors.process import beat

def say(word):
    with open(sys.argv[1], "a") as file:
        print(os.getpid(), word, file=file)

async def main():
    async with anyio.create_task_group() as tasks:
        say("up")
        {setup}
        tasks.start_soon(beat)
        {body}

anyio.run(main)
"""


class Child:
    """A program to run as a child, and what it wrote down."""

    def __init__(self, folder, *, setup="pass", body="await anyio.sleep_forever()"):
        self.notes = folder / "notes"
        self.notes.touch()
        self.argv = [sys.executable, "-c", CHILD.format(setup=setup, body=body), str(self.notes)]

    def words(self):
        return [line.split() for line in self.notes.read_text().splitlines()]

    def pids(self):
        return [int(pid) for pid, word in self.words() if word == "up"]

    async def until(self, word, times=1):
        """The pid of the process that wrote ``word`` for the n-th time, as soon as it has."""
        while len(found := [int(pid) for pid, said in self.words() if said == word]) < times:  # noqa: ASYNC110 - the file has no event
            await anyio.sleep(0.01)  # a file that another process writes: nothing to wait on
        return found[-1]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid):
    """Wait until no such process is left that could still do something."""
    while alive(pid):  # noqa: ASYNC110 - not our child: nothing to wait on
        await anyio.sleep(0.01)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def spec(**settings):
    return SupervisorSpec((ChildSpec("w"),), backoff=0.0, **settings)


async def test_the_first_beat_means_ready_and_stopping_means_sigterm(tmp_path):
    setup = "signal.signal(signal.SIGTERM, lambda *_: (say('term'), sys.exit(0)))"
    child = Child(tmp_path, setup=setup)
    with fail_after(20):
        async with running(process_child(child.argv)):
            (pid,) = child.pids()
        await gone(pid)
    assert [word for _, word in child.words()] == ["up", "term"]


@pytest.mark.parametrize(
    ("body", "code", "how"),
    [
        ("os._exit(3)", 3, "exit code 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9, "signal 9 .Killed"),
        ("os.kill(os.getpid(), 40)", -40, "signal 40"),
    ],
)
async def test_a_process_that_ends_by_itself_says_how(tmp_path, body, code, how):
    child = Child(tmp_path, body=body)
    with fail_after(20), pytest.raises(ProcessDied, match=how) as caught:
        await process_child(child.argv)(Event())
    assert caught.value.code == code


async def test_exit_code_0_is_a_normal_end(tmp_path):
    with fail_after(20):
        await process_child(Child(tmp_path, body="os._exit(0)").argv)(Event())


async def test_a_program_that_does_not_exist_is_an_error_and_leaves_no_pipe_open(tmp_path):
    before = open_files()
    with pytest.raises(FileNotFoundError):
        await process_child([str(tmp_path / "nothing")])(Event())
    assert open_files() == before


async def test_a_blocked_event_loop_is_killed_and_restarted(tmp_path):
    first_only = "time.sleep(3600) if len(open(sys.argv[1]).readlines()) == 1 else say('second')"
    child = Child(tmp_path, body=f"await anyio.sleep(0.05); {first_only}")
    with fail_after(30):
        async with running(supervisor(spec(), {"w": process_child(child.argv, stall_after=0.6)})):
            await child.until("second")
            first, second = child.pids()
            await gone(first)
    assert first != second


async def test_a_stalled_process_is_reported_as_such(tmp_path):
    child = Child(tmp_path, body="await anyio.sleep(0.05); time.sleep(3600)")
    with fail_after(20), pytest.raises(ProcessStalled, match=r"did not beat for 0\.6 s"):
        await process_child(child.argv, stall_after=0.6)(Event())
    await gone(child.pids()[0])


async def test_a_process_that_closes_its_pipe_and_lives_on_is_stalled(tmp_path):
    body = "await anyio.sleep(0.05); tasks.cancel_scope.cancel(); os.closerange(3, 64); time.sleep(3600)"
    with fail_after(20), pytest.raises(ProcessStalled):
        await process_child(Child(tmp_path, body=body).argv, stall_after=0.3)(Event())


async def test_a_frozen_process_is_killed_and_restarted(tmp_path):
    child = Child(tmp_path)
    with fail_after(30):
        async with running(supervisor(spec(), {"w": process_child(child.argv, stall_after=0.6)})):
            (first,) = child.pids()
            os.kill(first, signal.SIGSTOP)
            assert await child.until("up", times=2) != first
            await gone(first)


async def test_a_killed_process_is_restarted(tmp_path):
    child = Child(tmp_path)
    with fail_after(30):
        async with running(supervisor(spec(), {"w": process_child(child.argv)})):
            (first,) = child.pids()
            os.kill(first, signal.SIGKILL)
            assert await child.until("up", times=2) != first


async def test_a_process_that_beats_is_left_alone_for_longer_than_the_stall_time(tmp_path):
    child = Child(tmp_path, body="await anyio.sleep(1.5); say('alive'); os._exit(0)")
    with fail_after(20):
        await process_child(child.argv, stall_after=0.7)(Event())
    assert [word for _, word in child.words()] == ["up", "alive"]


async def test_a_supervisor_that_was_frozen_itself_does_not_kill_a_healthy_process(tmp_path):
    import time

    child = Child(tmp_path, body="await anyio.sleep(2); say('alive'); os._exit(0)")
    ready = Event()
    with fail_after(20):
        async with create_task_group() as tasks:
            tasks.start_soon(process_child(child.argv, stall_after=0.6), ready)
            await ready.wait()
            time.sleep(1.0)  # noqa: ASYNC251 - our own event loop stalls
    assert [word for _, word in child.words()] == ["up", "alive"]


async def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(tmp_path):
    child = Child(tmp_path, setup="signal.signal(signal.SIGTERM, lambda *_: say('ignored'))")
    with fail_after(20):
        async with running(process_child(child.argv, grace=0.3)):
            (pid,) = child.pids()
        await gone(pid)
    assert [word for _, word in child.words()] == ["up", "ignored"]


async def test_what_a_dead_process_leaves_in_its_group_is_killed(tmp_path):
    body = "tool = subprocess.Popen(['sleep', '3600']); say(f'tool-{tool.pid}'); os._exit(1)"
    child = Child(tmp_path, body=body)
    with fail_after(20):
        with pytest.raises(ProcessDied):
            await process_child(child.argv)(Event())
        await gone(int(child.words()[-1][1].removeprefix("tool-")))


def start(program):
    return subprocess.Popen([sys.executable, "-c", program])


async def test_a_process_dies_with_a_supervisor_that_is_killed_9(tmp_path):
    child = Child(tmp_path)
    parent = f"""
import anyio
from callboard.supervisors.process import process_child
anyio.run(process_child({child.argv!r}), anyio.Event())
"""
    boss = await to_thread.run_sync(start, parent)
    try:
        with fail_after(20):
            pid = await child.until("up")
            boss.kill()
            await to_thread.run_sync(boss.wait)
            await gone(pid)
    finally:
        boss.kill()
        boss.wait()


async def test_the_environment_is_replaced_and_not_inherited_by_what_the_process_starts(tmp_path):
    body = f"say(os.environ['MARK'] + str('HOME' in os.environ) + str('{BEAT_FD}' in os.environ)); os._exit(0)"
    child = Child(tmp_path, body="await anyio.sleep(0.1); " + body)
    env = {"MARK": "x", "PYTHONPATH": os.pathsep.join(sys.path)}
    with fail_after(20):
        await process_child(child.argv, env=env)(Event())
    assert child.words()[-1][1] == "xFalseFalse"


async def test_beat_does_nothing_without_a_supervisor(monkeypatch):
    monkeypatch.delenv(BEAT_FD, raising=False)
    with fail_after(20):
        await beat()


async def test_beat_refuses_a_pipe_that_is_no_number(monkeypatch):
    monkeypatch.setenv(BEAT_FD, "stdout")
    with pytest.raises(ConfigError, match="'stdout'"):
        await beat()


async def test_beat_raises_when_the_supervisor_is_gone(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setenv(BEAT_FD, str(writing))
    try:
        with pytest.raises(SupervisorGone):
            await beat()
    finally:
        os.close(writing)


async def test_beat_goes_on_while_nobody_reads(monkeypatch):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b"." * 65536)
        except BlockingIOError:
            break
    monkeypatch.setenv(BEAT_FD, str(writing))
    async with running(_beating):
        assert BEAT_FD not in os.environ
    os.close(reading)
    os.close(writing)


async def _beating(ready):
    async with create_task_group() as tasks:
        tasks.start_soon(beat)
        await anyio.lowlevel.checkpoint()
        ready.set()
        await sleep_forever()
