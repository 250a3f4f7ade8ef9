"""A pause holds the runs below too, on the real bus, also when the dispatcher is killed while it hands it down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from callboard.actors.function import worker
from callboard.actors.history import check
from callboard.actors.owner import Owner
from callboard.actors.run_context import RunContext
from callboard.actors.state import RunState
from callboard.actors.suspend import publish_child
from callboard.bus.messages import ChildSpawned, RunClaimed, RunCreated, RunPaused, RunResumed, SignalReceived
from callboard.bus.subjects import RunKey
from tests.chaos.zygote import Process, Role, zygote
from tests.support.bus import bus_url
from tests.support.fleet import CLOCK, Fleet, fleet, function, ports

STEPS: list[str] = []


async def note(run: str) -> str:
    STEPS.append(run)
    return run


@worker("top")
async def top(task: Any, run: RunContext) -> object:
    return await run.wait(*[await run.spawn("middle", None) for _ in range(2)])


@worker("middle")
async def middle(task: Any, run: RunContext) -> object:
    return await run.wait(await run.spawn("leaf", None))


@worker("leaf")
async def leaf(task: Any, run: RunContext) -> object:
    await run.signal("go")
    return await run.step("note", note, run.id)


TREE = (function(top), function(middle), function(leaf))


def suspended(state: RunState) -> bool:
    return bool(state.suspended)


def held(state: RunState) -> bool:
    return bool(state.pauses)


async def below(board: Fleet, *keys: RunKey) -> list[RunKey]:
    """The children of ``keys``, which wait."""
    states = [await board.until(key, lambda state: state.suspended and state.children) for key in keys]
    return [RunKey("default", child) for state in states for child in state.children]


async def family(board: Fleet) -> tuple[RunKey, list[RunKey], list[RunKey]]:
    """A run, its children, and theirs, which wait for a signal."""
    key = await board.submit("top", None)
    children = await below(board, key)
    leaves = await below(board, *children)
    for each in leaves:
        await board.until(each, suspended)
    return key, children, leaves


async def judged(board: Fleet, *keys: RunKey) -> None:
    assert check({key: await board.bus.journals.read(key) for key in keys}) == ()


async def test_the_pause_of_a_run_holds_the_whole_tree_below_it_until_it_is_resumed():
    STEPS.clear()
    async with fleet(*TREE) as board:
        key, children, leaves = await family(board)
        await board.signal(key, RunPaused(name="person", reason="two in the morning", by="ada"))
        for each in (*children, *leaves):
            (pause,) = (await board.until(each, held)).pauses.values()
            assert (pause.reason, pause.by) == ("two in the morning", "ada")
        for each in leaves:
            sequence = await board.signal(each, SignalReceived(name="go"))
            await board.until(each, lambda state, sequence=sequence: state.suspended > sequence)
        assert not STEPS
        await board.signal(key, RunResumed(name="person"))
        assert (await board.over(key)).terminal.result.value == [each.run for each in leaves]
        assert sorted(STEPS) == sorted(each.run for each in leaves)
        await judged(board, key, *children, *leaves)


async def test_a_child_that_was_told_to_go_on_does_and_its_brother_waits():
    STEPS.clear()
    async with fleet(*TREE) as board:
        key, (one, other), leaves = await family(board)
        await board.signal(key, RunPaused(name="person"))
        for each in leaves:
            await board.until(each, held)
            await board.signal(each, SignalReceived(name="go"))
        for name in (await board.state(one)).pauses:
            await board.signal(one, RunResumed(name=name))
        assert (await board.over(one)).outcome == "completed"
        assert [each.run for each in leaves if each in await below(board, one)] == STEPS
        assert not (await board.state(other)).terminal
        await board.signal(key, RunResumed(name="person"))
        assert (await board.over(key)).outcome == "completed"


async def test_a_child_that_is_spawned_behind_a_pause_starts_nothing():
    STEPS.clear()
    async with fleet(*TREE) as board:
        key = RunKey("default", CLOCK.new_id())
        owner = Owner(key, "o1", await board.state(key), journals=board.bus.journals, clock=CLOCK)
        owner.defer(RunCreated(agent="top", at=CLOCK.now()), RunClaimed(task=1))
        await owner.flush()
        await board.signal(key, RunPaused(name="person"))
        spawned = ChildSpawned(child=CLOCK.new_id(), call="spawn leaf#1", agent="leaf")
        owner.defer(spawned)  # decided before its owner had seen the pause
        await owner.flush()
        child = RunKey("default", spawned.child)
        await board.signal(child, SignalReceived(name="go"))
        await publish_child(owner, spawned, ports=ports(board.bus), idle=anyio.CancelScope)
        assert held(await board.until(child, suspended))
        assert not STEPS
        await board.signal(key, RunResumed(name="person"))
        assert (await board.over(child)).outcome == "completed"
        assert [child.run] == STEPS


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["before:2", "stored:1"])
async def test_a_dispatcher_killed_while_it_hands_a_pause_or_its_end_down_is_replaced(fault: str, tmp_path: Path):
    STEPS.clear()
    async with fleet(*TREE, dispatchers=0) as board:
        key, children, leaves = await family(board)
        with zygote() as forks:

            async def killed_while(signal: RunPaused | RunResumed, until: Callable[[RunState], bool]) -> Process:
                role = Role("dispatcher", "d", str(tmp_path), (bus_url(),), board.subjects.prefix, code="kill")
                doomed = forks.spawn(replace(role, fault=fault))
                await board.signal(key, signal)
                with anyio.fail_after(20):
                    await doomed.gone()
                rescuer = forks.spawn(role)
                for each in (*children, *leaves):
                    await board.until(each, until)
                return rescuer

            rescuer = await killed_while(RunPaused(name="person"), held)
            for each in leaves:
                sequence = await board.signal(each, SignalReceived(name="go"))
                await board.until(each, lambda state, sequence=sequence: state.suspended > sequence)
            assert not STEPS
            rescuer.kill()
            await killed_while(RunResumed(name="person"), lambda state: bool(state.let_go))
            assert (await board.over(key)).terminal.result.value == [each.run for each in leaves]
        await judged(board, key, *children, *leaves)
