"""A guard says the same of a run wherever it is asked: as a bare reducer, beside the bus, at the gate, in a back-test.

Three differences are documented. A gate is asked one step ahead, and only says what can hold an effect. What is said of
the time that passes is said beside the bus alone. Beside the bus, each process counts the silence of a run anew.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.bus.messages import (
    Amount,
    ModelRequested,
    ModelResponded,
    Problem,
    Record,
    RunCompleted,
    RunFailed,
    RunKilled,
    RunSteered,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.ports import Stored
from callboard.guards.backtest import instants, judge
from callboard.guards.catalogue import BUILTIN
from callboard.guards.hosted import Hosted
from tests.guards.cache.prompts import SPEC, Turn, turns
from tests.guards.cache.prompts import run_of as prompted
from tests.guards.conformance.own import KILL_AT, Own
from tests.guards.conformance.world import (
    KEY,
    Beside,
    Died,
    World,
    at_the_gate,
    gated,
    plain,
    said_by,
    told,
    up_to_kill,
)
from tests.guards.loop.families import same_question
from tests.guards.loop.test_loop_properties import STEP, run_of
from tests.support.journals import T0, claimed, journal, journals

OWN = Hosted("own", lambda _: (Own(), "enforce"), missing="closed")
GUARDS = {hosted.name: hosted for hosted in (*BUILTIN, OWN)}
each_guard = pytest.mark.parametrize("name", sorted(GUARDS))
some = settings(max_examples=40, deadline=None)


# ---- journals -----------------------------------------------------------------------------------------------------
def recorded(trace) -> tuple[Stored, ...]:
    """A made-up run as its journal."""
    return tuple(
        Stored(sequence, Record(id=seens[0].record, owner=seens[0].owner, events=tuple(s.event for s in seens)),
            at=seens[0].at)
        for sequence, seens in ((key, tuple(group)) for key, group in groupby(trace.seen, lambda seen: seen.sequence))
    )  # fmt: skip


def timed(entries: Sequence[Stored], gaps: Sequence[int]) -> tuple[Stored, ...]:
    """The same with other times between its entries."""
    at, out = T0, []
    for number, entry in enumerate(entries):
        at += timedelta(seconds=gaps[number % len(gaps)])
        out.append(replace(entry, at=at))
    return tuple(out)


gaps = st.lists(st.sampled_from((0, 1, 1, 2, 150, 700)), min_size=1, max_size=6)
loops = st.one_of(
    st.lists(STEP, min_size=2, max_size=14),
    st.builds(lambda step, times: step * times, st.lists(STEP, min_size=1, max_size=2), st.integers(4, 12)),
).map(run_of).map(recorded)  # fmt: skip
prompts = st.lists(turns, max_size=8).map(prompted)


def begins(entries: Sequence[Stored]) -> bool:
    """An owner creates a run with its first entry: none is created behind others."""
    created = [entry.record is not None and "run.created" in {e.type for e in entry.record.events} for entry in entries]
    return any(created[:1]) or not any(created)


runs = st.builds(timed, st.one_of(journals, loops, loops, prompts), gaps).filter(begins)


# ---- one process after the other ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Step:
    """What happens once an entry is stored: the process hears of it late, twice, and dies now or at a later write."""

    late: bool
    again: int
    mark: bool
    dies: int
    after: bool


steps = st.lists(
    st.builds(Step, st.booleans(), st.integers(0, 3), st.booleans(), st.integers(-3, 4), st.booleans()), max_size=12
)


async def watched(hosted: Hosted, entries: Sequence[Stored], plan: Sequence[Step]) -> World:
    """What guard processes make of a run that goes on as ``entries`` do, until it is over."""
    world, left, plan = World(), list(entries), list(plan)
    async with anyio.create_task_group() as tasks:
        await Beside(world, hosted, tasks).begin()  # it is not new when the run begins
    while True:
        try:
            async with anyio.create_task_group() as tasks:
                side = Beside(world, hosted, tasks)
                await side.begin()
                while left and not world.over:
                    await _one(world, side, left, plan.pop(0) if plan else Step(False, 0, False, -1, False))
                world.writes = None
                await side.catch_up()
                while side.part.progress._held:
                    await checkpoint()
                return world
        except* Died:
            world.writes = None


async def _one(world: World, side: Beside, left: list[Stored], step: Step) -> None:
    entry = left.pop(0)
    world.append(entry.record, (entry.at - world.now).total_seconds() if entry.at > world.now else 0.0)
    if step.dies == 0:
        raise Died
    world.writes, world.after = (step.dies if step.dies > 0 else None), step.after
    if not step.late:
        await side.catch_up()
        for known in world.entries[-step.again :] if step.again else ():
            await side.hear(known)
        if step.mark:
            await side.mark()


# ---- the property -------------------------------------------------------------------------------------------------
@each_guard
@some
@given(entries=runs, plan=steps, restarts=st.frozensets(st.integers(1, 30), max_size=3))
async def test_the_same_is_said_beside_the_bus_at_the_gate_and_in_a_back_test(name, entries, plan, restarts):
    hosted = GUARDS[name]
    world = await watched(hosted, entries, plan)
    entries = tuple(world.entries)
    bare = said_by(name, plain(hosted, entries))
    beside = {event.id: told(event) for event in world.events}
    assert beside == {each[0]: each for each in bare}
    assert [told(event) for event in world.events] == [beside[event.id] for event in world.events]
    check_deeds(world, bare)
    if not entries:
        return
    until = entries[-1].at
    trial = judge(hosted, KEY, entries, until=until)
    again = [] if trial is None else [told(said.event) for said in trial.said]
    assert again == up_to_kill(said_by(name, plain(hosted, entries, until=until)))
    if trial is not None:
        asked = await gated(hosted, entries, restarts)
        assert [each[:3] for each in asked.answers] == at_the_gate(hosted, entries)
        for _, _, what, refused in asked.answers:
            assert refused == (what is not None and what[0] in ("deny", "kill"))


def check_deeds(world: World, bare) -> None:
    """What was said is done once: each nudge and the first kill, as far as the run was not over."""
    signals = [entry for entry in world.entries if entry.record and entry.record.id in {each[0] for each in bare}]
    assert len({entry.record.id for entry in signals}) == len(signals)
    kills, steers = world.of_guards(RunKilled), world.of_guards(RunSteered)
    said = [each[1] for each in bare]
    mine = [event for event in steers if event.guard in GUARDS and event.by == f"guard:{event.guard}"]
    assert len(kills) <= 1
    assert len(mine) <= said.count("nudge")
    if not world.over:
        assert "kill" not in said
        assert len(mine) == said.count("nudge")


# ---- time ---------------------------------------------------------------------------------------------------------
@each_guard
@some
@given(entries=runs, silence=st.sampled_from((0, 30, 2_000, 9_000)))
async def test_the_same_is_said_of_the_time_that_passes_beside_the_bus_and_in_a_back_test(name, entries, silence):
    hosted, world = GUARDS[name], World()
    async with anyio.create_task_group() as tasks:
        side = Beside(world, hosted, tasks)
        await side.begin()
        for entry in entries:
            await passing(world, side, entry.at)
            if world.over:
                break
            world.append(entry.record, 0)
            await side.catch_up()
            while side.part.progress._held:
                await checkpoint()
        else:
            await passing(world, side, world.now + timedelta(seconds=silence))
        await side.catch_up()
    if created_late(world.entries):
        return  # until it has begun, no time passes for a run
    trial = judge(hosted, KEY, world.entries, until=world.now)
    again = [] if trial is None else [told(said.event) for said in trial.said]
    assert up_to_kill(told(event) for event in world.events) == again
    assert again == up_to_kill(said_by(name, plain(hosted, world.entries, until=world.now)))


async def passing(world: World, side: Beside, until) -> None:
    """The guard is told the time as a back-test tells it, up to ``until``."""
    for at in instants(world.entries[-1].at, until) if world.entries and not world.over else ():
        world.now = at
        await side.tick()
        await side.catch_up()
        if world.over:
            return
    world.now = max(world.now, until)


def created_late(entries) -> bool:
    return not entries or entries[0].record is None or entries[0].record.events[0].type != "run.created"


# ---- liveness -----------------------------------------------------------------------------------------------------
def chatterbox() -> tuple[Stored, ...]:
    """A run with as many effects as its guard stands, and one more."""
    entries = []
    for n in range(KILL_AT - 1):
        entries += [ToolRequested(call=f"t{n}", tool="x", effect="pure"), ToolReturned(call=f"t{n}")]
    return journal(claimed(), ModelRequested(call="m1"), ModelResponded(call="m1"), *entries)


def spendthrift() -> tuple[Stored, ...]:
    """A run whose worker asks no budget."""
    reserved = Amount(usd_micros=3_000_000, model_calls=1)
    calls = ((ModelRequested(call=name, reserved=reserved), ModelResponded(call=name)) for name in ("m1", "m2", "m3"))
    return journal(claimed(), *(event for call in calls for event in call))


REAL = SPEC.model_dump(mode="json", exclude_defaults=True)
PROBLEM = Problem(kind="deadline", message="too late", hint="raise limits.deadline")
MUST = {
    "budget": (spendthrift(), "kill", 0),
    "loop": (recorded(same_question(random.Random(3))), "kill", 0),
    "own": (chatterbox(), "kill", 0),
    "stuck": (journal(claimed(), ModelRequested(call="m1", model="x")), "kill", 3_000),
    "limits": (journal(claimed(), RunFailed(problem=PROBLEM)), "warn", 0),
    "cache": (prompted((Turn(new=9_000), Turn(read=0))), "warn", 0),
}
"""For each guard a run about which it must say this in the end, so many seconds after its last entry."""
SPARED = journal(claimed(spec=REAL), ModelRequested(call="m1"), ModelResponded(call="m1"), RunCompleted())


def test_every_guard_of_the_catalogue_has_a_run_that_it_must_stop():
    assert set(GUARDS) <= set(MUST)


@each_guard
@pytest.mark.parametrize("dies_at", range(9))
async def test_what_must_be_stopped_is_stopped_once_wherever_the_process_dies(name, dies_at):
    hosted, (entries, action, silence) = GUARDS[name], MUST[name]
    plan = [Step(False, dies_at % 3, dies_at % 2 == 0, dies_at - 1, dies_at % 4 == 0)] * 7
    world = await watched(hosted, entries, plan)
    if silence:
        async with anyio.create_task_group() as tasks:
            for seconds in (dies_at * 200, silence):
                side = Beside(world, hosted, tasks)  # a process that takes over warns first
                await side.begin()
                await passing(world, side, world.now + timedelta(seconds=seconds))
                await side.catch_up()
    assert action in [event.action for event in world.events]
    assert len(world.of_guards(RunKilled)) == (action == "kill")


@each_guard
async def test_what_must_be_stopped_is_found_by_the_reducer_and_the_back_test_and_what_must_not_is_spared(name):
    hosted, (entries, action, silence) = GUARDS[name], MUST[name]
    until = entries[-1].at + timedelta(seconds=silence)
    assert action in [each[1] for each in said_by(name, plain(hosted, entries, until=until))]
    assert judge(hosted, KEY, entries, until=until).strongest.event.action == action
    spared = judge(hosted, KEY, SPARED, until=SPARED[-1].at)
    assert "kill" not in [said.event.action for said in spared.said]
    world = await watched(hosted, SPARED, [Step(False, 1, True, 2, True)] * 4)
    assert not world.of_guards(RunKilled)


async def test_a_gate_ends_what_must_be_stopped_before_the_effect_and_refuses_an_exact_repeat():
    asked = await gated(OWN, chatterbox(), frozenset({4}))
    assert asked.answers[-1][2][0] == "kill"
    (kill,) = [event for record in asked.appended for event in record.events]
    assert (kill.type, kill.guard) == ("run.killed", "own")
    whole = recorded(same_question(random.Random(3)))
    note = Stored(0, Record(id="n", events=(RunSteered(text="note", by="guard:loop", guard="loop"),)), at=whole[15].at)
    entries = [replace(entry, sequence=n) for n, entry in enumerate((*whole[:16], note, *whole[16:]), 1)]
    refused = [what[0] for _, _, what, no in (await gated(GUARDS["loop"], entries, frozenset({20}))).answers if no]
    assert set(refused) == {"deny"}
