"""A worker that lives, heartbeats, and whose tool can be stopped by nothing: the guard ends the run."""

from __future__ import annotations

import anyio

from callboard.config.guards import GuardSettings, StuckSettings
from callboard.guards.catalogue import BUILTIN
from callboard.tools.tool import tool
from tests.guards.sidecar.watchers import journalist, sidecar
from tests.support.fleet import fleet, scripted

STUCK = tuple(hosted for hosted in BUILTIN if hosted.name == "stuck")


def deaf(release: anyio.Event):
    """An agent whose tool does not end at its timeout, nor when it is cancelled."""

    @tool(effect="idempotent")
    async def shielded() -> str:
        """As code does that guards its own clean-up too well."""
        with anyio.CancelScope(shield=True):
            await release.wait()
        return "at last"

    turns = {"tools": [{"name": "shielded", "args": {}}]}, {"text": "{{ results.shielded }}"}
    return with_stuck(scripted("deaf", *turns, tools=(shielded,), tool_timeout=0.3))


def with_stuck(code, **settings):
    guards = GuardSettings(stuck=StuckSettings(**settings))
    return type(code)(code.spec.model_copy(update={"guards": guards}), code.tools)


async def test_a_tool_that_nothing_can_stop_is_warned_of_and_its_run_killed_while_another_goes_on():
    release = anyio.Event()
    alive = with_stuck(scripted("alive", {"text": "fine", "delay": 3.0}))
    async with (
        fleet(deaf(release), alive) as board,
        sidecar(board.subjects, *STUCK),
        journalist(board.subjects) as here,
    ):
        stuck, healthy = await board.submit("deaf", "x"), await board.submit("alive", "x")
        state = await board.over(stuck)
        assert (state.outcome, state.terminal.guard, state.terminal.by) == ("killed", "stuck", "guard:stuck")
        assert "'shielded' (m1.0)" in state.terminal.reason
        with anyio.fail_after(20):
            while len(said := await here.said("stuck")) < 2:
                await board.bus.connection.barrier()
        assert [(event.action, event.acted, event.run) for event in said] == [
            ("warn", False, stuck.run), ("kill", True, stuck.run)
        ]  # fmt: skip
        assert said[1].value >= 2 * said[1].threshold == 2 * 0.6
        assert (await board.over(healthy)).outcome == "completed"
        release.set()


async def test_in_shadow_it_only_says_and_the_run_completes_when_its_tool_does():
    release = anyio.Event()
    async with (
        fleet(with_stuck(deaf(release), mode="shadow")) as board,
        sidecar(board.subjects, *STUCK),
        journalist(board.subjects) as here,
    ):
        key = await board.submit("deaf", "x")
        with anyio.fail_after(20):
            while len(said := await here.said("stuck")) < 2:
                await board.bus.connection.barrier()
        assert [(event.action, event.acted) for event in said] == [("warn", False), ("kill", False)]
        release.set()
        assert (await board.over(key)).outcome == "completed"
