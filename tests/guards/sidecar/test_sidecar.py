"""The sidecar on the real bus: it sees what happens, does what the guard says, once, and says so."""

from __future__ import annotations

import random
from collections import Counter

import anyio
import pytest

from callboard.bus.messages import ModelResponded, Record, RunKilled, RunPaused, RunSteered, SignalReceived
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.guards.hosted import Hosted
from callboard.guards.kit import Verdict
from callboard.guards.sidecar.judge import created_in, watched
from callboard.guards.sidecar.partitions import PARTITIONS
from tests.guards.sidecar.watchers import CLOCK, Journalist, Limit, hosted, journalist, sidecar
from tests.support.bus import fresh_bus


def batch(key: RunKey, entries: tuple[Stored, ...], guard: Limit) -> list[str]:
    """The ids of what a guard says of a recorded journal."""
    run = watched("limit", key, created_in(entries), guard=guard, mode="enforce")
    return [said.event.id for entry in entries for said in run.see(entry)]


async def test_a_run_that_goes_too_far_is_warned_nudged_and_killed():
    async with fresh_bus() as connection, journalist(connection.subjects) as here, sidecar(connection.subjects):
        key = await here.create("r1")
        for number in range(1, 6):
            await here.answer(key, number)
        killed = await here.until_done(key)
        assert (killed.guard, killed.by, killed.reason) == ("limit", "guard:limit", "5 answers are enough")
        assert [event.text for event in await here.done(key, RunSteered)] == ["finish soon"]
        await here.until_judged(here.last[key], key)
        said = await here.said()
        acted = [(event.action, event.acted) for event in said if event.action != "warn"]
        assert acted == [("nudge", True), ("kill", True)]
        warned = sorted(event.value for event in said if event.action == "warn")
        assert warned == [1, 2, 3, 4, 5], "what leads to writes may be told a little later"
        assert {event.run for event in said} == {"r1"}


@pytest.mark.parametrize("mode", ["shadow", "warn"])
async def test_in_shadow_and_warn_it_only_says(mode):
    guard = hosted(mode=mode)
    async with fresh_bus() as connection, journalist(connection.subjects) as here, sidecar(connection.subjects, guard):
        key = await here.create("r1")
        for what in ("nudge", "pause", "kill"):
            last = await here.signal(key, SignalReceived(name=what))
        await here.until_judged(last, key)
        assert [(event.action, event.mode, event.acted) for event in await here.said()] == [
            ("nudge", mode, False), ("pause", mode, False), ("kill", mode, False)
        ]  # fmt: skip
        assert len(await here.bus.journals.read(key)) == 4


async def test_a_pause_is_written_with_the_guards_name_and_its_end():
    async with fresh_bus() as connection, journalist(connection.subjects) as here, sidecar(connection.subjects):
        key = await here.create("r1")
        await here.signal(key, SignalReceived(name="pause-60"))
        paused = await here.until_done(key, RunPaused)
        assert (paused.name, paused.guard, paused.reason) == ("guard-limit", "limit", "asked to pause")
        assert 50 < (paused.until - CLOCK.now()).total_seconds() <= 60


async def test_a_guard_is_only_for_the_runs_whose_spec_has_it():
    def make(spec):
        return (Limit(kill_at=1), "enforce") if spec.name == "guarded" else None

    async with (
        fresh_bus() as connection,
        journalist(connection.subjects) as here,
        sidecar(connection.subjects, Hosted("limit", make)),
    ):
        free = await here.create("free", agent="free", spec={"name": "free"}, digest="1")
        guarded = await here.create("guarded", agent="guarded", spec={"name": "guarded"}, digest="2")
        last = await here.answer(free, 1)
        await here.answer(guarded, 1)
        await here.until_done(guarded)
        await here.until_judged(last, free)
        assert not await here.done(free)
        assert {event.run for event in await here.said()} == {"guarded"}


async def test_runs_that_are_none_of_its_business_do_not_keep_it_from_getting_ready():
    def make(spec):
        return (Limit(), "enforce") if spec.name == "guarded" else None

    async with fresh_bus() as connection, journalist(connection.subjects) as here, anyio.create_task_group() as group:
        busy = [await here.create(f"busy{n}", spec={"name": "free"}, agent="free") for n in range(8)]
        key = await here.create("r1", agent="guarded", spec={"name": "guarded"})

        async def write(run):
            while True:
                await here.signal(run, SignalReceived(name="x"))

        for run in busy:
            group.start_soon(write, run)
        await here.complete(busy[0])
        async with sidecar(connection.subjects, Hosted("limit", make)):
            await here.signal(key, SignalReceived(name="kill"))
            await here.until_done(key)
        group.cancel_scope.cancel()


async def test_one_process_hosts_several_guards_and_one_that_raises_stops_nobody():
    class Broken(Limit):
        def observe(self, state, seen):
            raise RuntimeError("always")

    guards = (hosted(Broken(), name="broken"), hosted(Limit(kill_at=2)))
    async with (
        fresh_bus() as connection,
        journalist(connection.subjects) as here,
        sidecar(connection.subjects, *guards),
    ):
        keys = [await here.create(f"r{number}") for number in range(3)]
        for key in keys:
            await here.answer(key, 1)
            await here.answer(key, 2)
            assert (await here.until_done(key)).guard == "limit"
        await here.until_judged(here.last[keys[-1]], keys[-1], "broken")
        said = await here.said("broken")
        assert Counter(event.run for event in said) == {key.run: 1 for key in keys}
        assert {(event.action, event.sequence > 0) for event in said} == {("warn", True)}


async def test_a_guard_that_is_added_while_runs_go_on_knows_their_past_and_one_that_is_removed_leaves_them_alone():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        finished, open_run = await here.create("finished"), await here.create("open")
        for number in range(1, 5):
            await here.answer(finished, number)
            await here.answer(open_run, number)
        await here.complete(finished)
        async with sidecar(connection.subjects):
            await here.until_done(open_run, RunSteered)
            assert not await here.done(open_run)
        last = await here.answer(open_run, 5)  # nobody looks
        assert not await here.done(open_run)
        async with sidecar(connection.subjects):
            await here.until_done(open_run)
            await here.until_judged(last, open_run)
        assert len(await here.done(open_run, RunSteered)) == 1
        assert {event.run for event in await here.said()} == {"open"}


async def test_signals_before_the_beginning_of_a_run_are_judged_with_it():
    async with fresh_bus() as connection, journalist(connection.subjects) as here, sidecar(connection.subjects):
        key = RunKey("default", "r1")
        here.last[key] = await here.signal(key, SignalReceived(name="nudge"))
        await here.create("r1")
        assert (await here.until_done(key, RunSteered)).text == "asked to nudge"
        await here.signal(key, SignalReceived(name="kill"))
        await here.until_done(key)


async def test_a_guard_that_was_down_when_its_kill_was_stored_says_it_and_does_not_repeat_it(monkeypatch):
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        async with sidecar(connection.subjects):
            key = await here.create("r1")
            await here.until_marked(here.last[key], key)
        sequence = await here.signal(key, SignalReceived(name="kill"))
        run = watched("limit", key, created_in(await here.bus.journals.read(key)), guard=Limit(), mode="enforce")
        (said,) = [said for entry in await here.bus.journals.read(key) for said in run.see(entry)]
        record = Record(id=said.event.id, at=CLOCK.now(), events=(RunKilled(reason="x", guard="limit"),))
        await here.bus.journals.signal(key, record)  # and there it died
        async with sidecar(connection.subjects):
            await here.until_judged(sequence, key)
        assert len(await here.done(key)) == 1
        assert [(event.id, event.action, event.acted) for event in await here.said()] == [(said.event.id, "kill", True)]


async def test_what_lies_before_the_mark_is_not_said_again():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        key = await here.create("r1")
        async with sidecar(connection.subjects):
            await here.answer(key, 1)
            last = await here.answer(key, 2)
            await here.until_marked(last, key)
        spoken = []
        async with connection.subscribe(f"{connection.subjects.prefix}.guard.>", spoken.append):
            async with sidecar(connection.subjects):
                last = await here.answer(key, 3)
                await here.until_done(key, RunSteered)
                await here.until_judged(last, key)
            assert [message.subject.split(".")[-1] for message in spoken] == ["warn", "nudge"]


async def test_time_alone_can_end_a_run():
    class Impatient(Limit):
        def tick(self, state, now):
            return state, (Verdict("kill", "nothing happens"),)

    async with (
        fresh_bus() as connection,
        journalist(connection.subjects) as here,
        sidecar(connection.subjects, hosted(Impatient())),
    ):
        key = await here.create("r1")
        assert (await here.until_done(key)).reason == "nothing happens"
        await here.until_judged(here.last[key], key)
        assert len(await here.done(key)) == 1


@pytest.mark.parametrize("seed", [1, 2])
async def test_live_restarted_and_in_a_batch_a_guard_says_the_same(seed):
    """Twelve runs are written while the sidecar ends at any point, again and again."""
    chance = random.Random(seed)
    guard = Limit(kill_at=7)
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        keys = [await here.create(f"r{number}") for number in range(12)]
        writing = True
        async with sidecar(connection.subjects, hosted(guard)):
            await here.until_all_judged(1)

        async def write() -> None:
            nonlocal writing
            for number in range(1, 8):
                for key in keys:
                    if chance.random() < 0.9:
                        await here.append(key, ModelResponded(call=f"m{number}"))
                    if chance.random() < 0.1:
                        await here.signal(key, SignalReceived(name=chance.choice(("nudge", "observe", "raise"))))
                await anyio.sleep(0.05)
            writing = False

        async with anyio.create_task_group() as group:
            group.start_soon(write)
            while writing:
                async with sidecar(connection.subjects, hosted(guard), rebuilt=False):
                    await anyio.sleep(chance.random() * 0.6)
        async with sidecar(connection.subjects, hosted(guard)):
            await here.until_all_judged(max(here.last.values()))
        said = await here.said()
        expected = [each for key in keys for each in batch(key, tuple(await here.bus.journals.read(key)), guard)]
        assert sorted(event.id for event in said) == sorted(expected)
        for key in keys:
            answers = [
                e for s in await here.bus.journals.read(key) for e in s.record.events if e.type == "model.responded"
            ]
            assert len(await here.done(key)) == (len(answers) >= 7)


async def test_two_replicas_share_the_runs_and_one_takes_over_from_the_other():
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        keys = [await here.create(f"r{number}") for number in range(16)]
        pulses: dict[str, set[int]] = {"s1": set(), "s3": set()}

        async def shared() -> None:
            await here.until_pulse(lambda pulse: _noted(pulses, pulse) and _split(pulses))

        async with sidecar(connection.subjects, replica="s1"):
            async with sidecar(connection.subjects, replica="s3", rebuilt=False):
                await shared()
                for key in keys[:8]:
                    await exceed(here, key)
            for key in keys[8:]:
                await exceed(here, key)
            await here.until_all_judged(max(here.last.values()))
        for key in keys:
            assert len(await here.done(key)) == 1
        kills = [event.id for event in await here.said() if event.action == "kill"]
        assert len(kills) == len(set(kills)) == 16


async def exceed(here: Journalist, key: RunKey) -> None:
    for number in range(1, 6):
        await here.append(key, ModelResponded(call=f"m{number}"))
    await here.until_done(key)


def _noted(pulses, pulse) -> bool:
    mine, theirs = pulses[pulse.replica], next(each for name, each in pulses.items() if name != pulse.replica)
    if pulse.watermark:
        mine.add(pulse.partition)
        theirs.discard(pulse.partition)
    return True


def _split(pulses) -> bool:
    first, second = pulses.values()
    return bool(first) and bool(second) and first | second == set(range(PARTITIONS))


async def test_two_guards_of_one_name_are_a_mistake():
    from callboard.errors import Bug
    from callboard.guards.sidecar.sidecar import Sidecar

    with pytest.raises(Bug, match="a name of its own"):
        Sidecar(None, (hosted(), hosted()), replica="x")
