"""The sidecar on the real bus: it sees what happens, does what the guard says, and says so."""

from __future__ import annotations

from callboard.bus.messages import RunSteered
from tests.guards.sidecar.watchers import journalist, sidecar
from tests.support.bus import fresh_bus


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
        assert sorted((event.action, event.acted, event.sequence) for event in said) == sorted(
            [("warn", False, event.sequence) for event in said if event.action == "warn"]
            + [("nudge", True, 7), ("kill", True, here.last[key])]
        )
        assert sum(event.action == "warn" for event in said) == 5
