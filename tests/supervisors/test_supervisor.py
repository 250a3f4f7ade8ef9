"""The supervisor's shell with real tasks: restarts, order, deadlines, escalation, cancellation."""

import asyncio
import logging
import math

import anyio
import pytest
from anyio import CancelScope, Event, create_memory_object_stream, create_task_group, fail_after, sleep_forever

from callboard.actors.actor import Actor, running
from callboard.errors import Bug
from callboard.supervisors.supervisor import SupervisionFailed, supervise, supervisor
from callboard.supervisors.tree import ChildSpec, Escalate, Exited, Finished, Stalled, Start, Started, SupervisorSpec


class Witness:
    """Hears what a supervisor does, and lets a test wait for it."""

    def __init__(self):
        self.heard = []
        self._send, self._receive = create_memory_object_stream(math.inf)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._send.close()
        self._receive.close()

    def __call__(self, event):
        self.heard.append(event)
        self._send.send_nowait(event)

    async def until(self, kind, **fields):
        with fail_after(20):
            while True:
                event = await self._receive.receive()
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items()):
                    return event


class Script:
    """A child that does what the test says, life after life, and remembers the order of starts and ends."""

    def __init__(self, name, journal, *, fail=None):
        self.name = name
        self.journal = journal
        self.crash = Event()
        self.fail = fail
        self.lives = 0

    async def __call__(self, ready):
        self.lives += 1
        self.crash = Event()
        self.journal.append(f"{self.name} starts")
        try:
            if self.fail is not None:
                raise self.fail
            ready.set()
            await self.crash.wait()
            raise ValueError(f"{self.name} crashed")
        finally:
            self.journal.append(f"{self.name} ends")


def family(names, **settings):
    settings = {"backoff": 0.0, **settings}
    journal = []
    scripts = {name: Script(name, journal) for name in names}
    return SupervisorSpec(tuple(ChildSpec(name) for name in names), **settings), scripts, journal


async def test_entering_returns_when_all_children_are_ready_and_leaving_stops_them_in_reverse_order():
    spec, scripts, journal = family("abc", strategy="rest_for_one")
    with fail_after(20):
        async with running(supervisor(spec, scripts)):
            assert journal == ["a starts", "b starts", "c starts"]
    assert journal[3:] == ["c ends", "b ends", "a ends"]


async def test_a_crashed_child_is_started_again_and_its_restart_is_logged_with_the_reason(caplog):
    spec, scripts, journal = family("ab")
    with Witness() as witness:
        async with running(supervisor(spec, scripts, on_event=witness)):
            scripts["a"].crash.set()
            await witness.until(Started, child="a", life=2)
    assert journal[:4] == ["a starts", "b starts", "a ends", "a starts"]
    assert scripts["b"].lives == 1
    (line,) = [record.getMessage() for record in caplog.records if "restarts" in record.getMessage()]
    assert "child='a'" in line
    assert "life=2" in line
    assert "ValueError('a crashed')" in line


async def test_one_for_all_restarts_every_child_in_order():
    spec, scripts, journal = family("abc", strategy="one_for_all")
    with Witness() as witness:
        async with running(supervisor(spec, scripts, on_event=witness)):
            scripts["b"].crash.set()
            await witness.until(Started, child="c", life=2)
    assert journal[3:9] == ["b ends", "c ends", "a ends", "a starts", "b starts", "c starts"]


async def test_too_many_restarts_end_the_others_and_raise_the_last_errors():
    spec, scripts, journal = family("ab", max_restarts=2)
    scripts["b"].fail = ValueError("no database")
    with pytest.raises(SupervisionFailed, match=r"'b' ended, restart 3.*no database") as caught, fail_after(20):
        await supervise(spec, scripts)
    assert scripts["b"].lives == 3
    assert journal[-1] == "a ends"
    assert caught.value.errors == {"b": scripts["b"].fail}
    assert caught.value.__cause__ is scripts["b"].fail


async def test_a_nested_supervisor_that_gives_up_is_restarted_by_the_one_above():
    inner_spec, scripts, _ = family("a", max_restarts=0)
    outer_spec = SupervisorSpec((ChildSpec("inner"),), backoff=0.0)
    with Witness() as witness:
        outer = supervisor(outer_spec, {"inner": supervisor(inner_spec, scripts)}, on_event=witness)
        async with running(outer):
            scripts["a"].crash.set()
            exited = await witness.until(Exited, child="inner")
            assert exited.reason == "error"
            await witness.until(Started, child="inner", life=2)
    assert scripts["a"].lives == 2


async def test_a_child_that_is_not_ready_in_time_is_stalled_and_restarted():
    lives = 0

    async def slow(ready):
        nonlocal lives
        lives += 1
        if lives > 1:
            ready.set()
        await sleep_forever()

    spec = SupervisorSpec((ChildSpec("slow", ready_within=0.02),), backoff=0.0)
    with Witness() as witness:
        async with running(supervisor(spec, {"slow": slow}, on_event=witness)):
            assert lives == 2
    assert [type(event) for event in witness.heard if isinstance(event, Stalled | Started)] == [Stalled, Started]


async def test_supervise_returns_when_all_children_are_done():
    async def job(ready):
        ready.set()

    spec = SupervisorSpec((ChildSpec("job", restart="transient"), ChildSpec("other", restart="temporary")))
    with Witness() as witness, fail_after(20):
        await supervise(spec, {"job": job, "other": job}, on_event=witness)
    assert isinstance(witness.heard[-1], Finished)


async def test_cancelling_during_the_back_off_ends_at_once():
    spec, scripts, _ = family("a", backoff=3600.0, max_backoff=3600.0)
    scripts["a"].fail = ValueError("down")
    with Witness() as witness, fail_after(20):
        async with create_task_group() as tasks:
            tasks.start_soon(supervisor(spec, scripts, on_event=witness), Event())
            assert (await witness.until(Start, life=2)).after == 3600.0
            tasks.cancel_scope.cancel()
    assert scripts["a"].lives == 1


async def test_a_cancelled_supervisor_waits_for_the_cleanup_of_its_children():
    cleaned = []

    async def tidy(ready):
        ready.set()
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                await anyio.sleep(0.02)
                cleaned.append("done")

    with fail_after(20):
        async with running(supervisor(SupervisorSpec((ChildSpec("tidy"),)), {"tidy": tidy})):
            pass
    assert cleaned == ["done"]


async def test_a_native_cancellation_also_stops_the_children_in_order():
    spec, scripts, journal = family("ab", strategy="rest_for_one")
    ready = Event()
    runner = asyncio.get_running_loop().create_task(supervisor(spec, scripts)(ready))
    with fail_after(20):
        await ready.wait()
        runner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await runner
    assert journal[2:] == ["b ends", "a ends"]


async def test_a_child_that_outlives_its_shutdown_is_named_in_the_log(caplog):
    release = Event()

    async def stubborn(ready):
        ready.set()
        with CancelScope(shield=True):
            await release.wait()

    class Release(logging.Handler):
        def emit(self, record):
            if "does not stop" in record.getMessage():
                release.set()

    handler = Release()
    logging.getLogger("callboard.supervisor").addHandler(handler)
    try:
        spec = SupervisorSpec((ChildSpec("stubborn", shutdown=0.01),))
        with fail_after(20):
            async with running(supervisor(spec, {"stubborn": stubborn})):
                pass
    finally:
        logging.getLogger("callboard.supervisor").removeHandler(handler)
    assert "child='stubborn'" in caplog.text


async def test_a_child_that_ends_as_if_cancelled_has_failed_and_takes_nobody_with_it():
    lives = 0

    async def confused(ready):
        nonlocal lives
        lives += 1
        ready.set()
        if lives > 1:
            await sleep_forever()
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    spec = SupervisorSpec((ChildSpec("confused"), ChildSpec("b")), backoff=0.0)
    script = Script("b", [])
    with Witness() as witness:
        async with running(supervisor(spec, {"confused": confused, "b": script}, on_event=witness)):
            await witness.until(Started, child="confused", life=2)
            assert script.journal == ["b starts"]
    assert next(event.reason for event in witness.heard if isinstance(event, Exited)) == "error"


async def test_an_actor_is_a_child_whose_failure_the_supervisor_sees():
    actors = []

    class Counter(Actor[int]):
        async def started(self):
            actors.append(self)

        async def receive(self, message):
            raise ValueError(f"cannot count {message}")

    async def counter(ready):
        await Counter().run(ready)

    spec = SupervisorSpec((ChildSpec("counter"),), backoff=0.0)
    with Witness() as witness:
        async with running(supervisor(spec, {"counter": counter}, on_event=witness)):
            actors[0].address.tell(7)
            await witness.until(Started, child="counter", life=2)
    assert len(actors) == 2


async def test_escalation_is_the_last_event():
    spec, scripts, _ = family("ab", max_restarts=0)
    scripts["a"].fail = ValueError("down")
    with Witness() as witness, pytest.raises(SupervisionFailed), fail_after(20):
        await supervise(spec, scripts, on_event=witness)
    assert isinstance(witness.heard[-1], Escalate)


async def test_children_that_crash_at_the_same_instant_are_one_restart_of_all():
    spec, scripts, journal = family("abc", strategy="one_for_all", max_restarts=1)
    with Witness() as witness:
        async with running(supervisor(spec, scripts, on_event=witness)):
            for script in scripts.values():
                script.crash.set()
            await witness.until(Started, child="c", life=2)
    assert journal[6:9] == ["a starts", "b starts", "c starts"]


async def test_a_listener_that_raises_ends_the_supervisor_and_its_children():
    spec, scripts, journal = family("ab")

    def refuse(event):
        if isinstance(event, Exited):
            raise KeyError("listener")

    scripts["a"].fail = ValueError("down")
    with pytest.RaisesGroup(KeyError), fail_after(20):
        await supervise(spec, scripts, on_event=refuse)
    assert sorted(journal) == ["a ends", "a starts", "b ends", "b starts"]


async def test_spec_and_callables_must_name_the_same_children():
    with pytest.raises(Bug, match=r"\['a'\].*\['b'\]"):
        supervisor(SupervisorSpec((ChildSpec("a"),)), {"b": Script("b", [])})


async def test_many_crashes_leave_no_child_behind():
    """Safety of the shell: at every instant at most one life of a child runs."""
    spec, scripts, journal = family("abcd", max_restarts=1000, strategy="rest_for_one")
    with Witness() as witness:
        async with running(supervisor(spec, scripts, on_event=witness)):
            for turn in range(50):
                name = "abcd"[turn * 7 % 4]
                lives = {each: script.lives for each, script in scripts.items()}
                scripts[name].crash.set()
                await witness.until(Started, child="d", life=lives["d"] + 1)
    for name in "abcd":
        mine = [line.split()[1] for line in journal if line.startswith(name)]
        assert mine == ["starts", "ends"] * (len(mine) // 2)
