"""What an owner writes, and what it never writes again once it is not the owner any more."""

from __future__ import annotations

from typing import NoReturn

import anyio
import pytest

from callboard.actors.fold import EMPTY, replay
from callboard.actors.owner import Owner
from callboard.actors.ownership import OwnershipLost
from callboard.actors.turns import Turns
from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import (
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunKilled,
    RunSteered,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.ports import Copy
from callboard.bus.subjects import RunKey
from tests.support.bus import bus_url, fresh_bus
from tests.support.fleet import CLOCK

KEY = RunKey("default", "r1")


def owner_of(bus: Bus, *, task: int = 1, state=EMPTY) -> Owner:
    owner = Owner(KEY, CLOCK.new_id(), state, journals=bus.journals, clock=CLOCK, lane=Turns(8))
    facts = [RunClaimed(task=task)]
    if state.created is None:
        facts.insert(0, RunCreated(agent="a", at=CLOCK.now()))
    owner.defer(*facts)
    return owner


def step(name: str) -> ToolRequested:
    return ToolRequested(call=name, tool=name, effect="pure")


async def journal(bus: Bus) -> list[list[str]]:
    return [[event.type for event in stored.record.events] for stored in await bus.journals.read(KEY)]


async def signal(bus: Bus, event) -> None:
    await bus.journals.signal(KEY, Record(id=CLOCK.new_id(), at=CLOCK.now(), events=(event,)))


async def test_the_claim_and_the_first_intent_are_one_record() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        async with owner.armed(step("s")):
            pass
        owner.defer(ToolReturned(call="s"))
        assert await owner.conclude(RunCompleted())
        assert await journal(bus) == [
            ["run.created", "run.claimed", "tool.requested"],
            ["tool.returned", "run.completed"],
        ]


async def test_events_of_callers_that_wait_together_are_one_record() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        await owner.flush()
        async with anyio.create_task_group() as together:
            for name in "abcd":
                together.start_soon(owner.append, step(name))
        written = await journal(bus)
        assert sorted(kind for record in written[1:] for kind in record) == ["tool.requested"] * 4
        assert len(written) <= 3


async def test_a_claim_that_was_refused_is_never_written_again_by_a_straggler() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        first = owner_of(bus, task=1)
        second = owner_of(bus, task=2)
        await first.flush()
        outcomes: list[bool] = []

        async def straggle(name: str) -> None:
            with pytest.raises(OwnershipLost):
                await second.append(step(name))
            outcomes.append(True)

        async with anyio.create_task_group() as together:
            for name in "abc":
                together.start_soon(straggle, name)
        with pytest.raises(OwnershipLost):
            await second.conclude(RunCompleted())
        assert len(outcomes) == 3
        assert await journal(bus) == [["run.created", "run.claimed"]]


async def test_a_signal_is_folded_and_the_events_are_written_behind_it() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        await owner.flush()
        await signal(bus, RunSteered(text="hurry"))
        await owner.append(step("s"))
        assert [turn.text for turn in owner.state.turns] == ["hurry"]
        assert (await journal(bus))[-1] == ["tool.requested"]


async def test_a_conclusion_is_not_written_behind_a_signal_that_was_not_decided_on() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        await owner.flush()
        await signal(bus, RunSteered(text="wait"))
        assert not await owner.conclude(RunCompleted())
        assert await owner.conclude(RunCompleted())


async def test_what_is_deferred_while_a_conclusion_is_on_its_way_does_not_count_as_written() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        await owner.append(step("s"), step("t"))
        async with anyio.create_task_group() as together:
            together.start_soon(owner.conclude, ToolReturned(call="s"))
            await anyio.lowlevel.checkpoint()
            owner.defer(ToolReturned(call="t"))
        await owner.flush()
        assert {call.status for call in replay(await bus.journals.read(KEY)).calls.values()} == {"done"}


async def test_a_killed_run_takes_nothing_more_from_its_owner() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        await owner.flush()
        await signal(bus, RunKilled(reason="enough"))
        with pytest.raises(OwnershipLost):
            await owner.append(step("s"))
        with pytest.raises(OwnershipLost):
            await owner.hear(None)
        assert (await journal(bus))[-1] == ["run.killed"]


class Unread:
    """The journals, to a reader whose bus does not answer."""

    def __init__(self, bus: Bus) -> None:
        self.append, self.signal = bus.journals.append, bus.journals.signal

    async def read(self, key: RunKey, *, after: int = 0) -> NoReturn:
        raise AssertionError(f"{key} was read behind {after}")


async def copies(bus: Bus, *events) -> list[Copy]:
    """What others append now, as an owner hears it."""
    entries = await bus.journals.read(KEY)
    for event in events:
        await signal(bus, event)
    known = await bus.journals.read(KEY)
    return [Copy(known[at], known[at - 1].sequence) for at in range(len(entries), len(known))]


async def test_the_copy_of_the_next_entry_is_as_good_as_a_look_into_the_journal() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        await owner.flush()
        owner._journals = Unread(bus)
        note, kill = await copies(bus, RunSteered(text="hurry"), RunKilled(reason="enough"))
        await owner.hear(note)
        await owner.hear(note)  # it may come twice
        assert owner.state.sequence == note.entry.sequence
        with pytest.raises(OwnershipLost):
            await owner.hear(kill)
        assert isinstance(owner.ended, OwnershipLost)
        assert owner.state == replay(await bus.journals.read(KEY))


async def test_a_copy_behind_one_that_was_lost_is_not_folded_before_what_is_missing() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        await owner.flush()
        lost, last = await copies(bus, RunSteered(text="one"), RunSteered(text="two"))
        await owner.hear(last)
        assert owner.state == replay(await bus.journals.read(KEY))
        owner._journals = Unread(bus)
        await owner.hear(lost)  # it comes late
        assert owner.state.sequence == last.entry.sequence


async def test_an_owner_whose_claim_is_not_written_takes_in_nothing() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        (note,) = await copies(bus, RunSteered(text="early"))
        owner._journals = Unread(bus)
        await owner.hear(note)
        await owner.hear(None)
        assert owner.state == EMPTY
        assert owner.ended is None


async def test_nothing_that_is_deferred_is_no_entry() -> None:
    async with fresh_bus() as connection, open_bus(bus_url(), subjects=connection.subjects, name="t") as bus:
        owner = owner_of(bus)
        await owner.flush()
        owner.defer()
        await owner.flush()
        assert await journal(bus) == [["run.created", "run.claimed"]]
