"""A back-test of runs that a sidecar watched says what the sidecar said."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

from callboard.guards.backtest import judge
from callboard.guards.recordings import recordings
from tests.guards.sidecar.watchers import CLOCK, hosted, journalist, sidecar
from tests.support.bus import fresh_bus


async def test_the_verdicts_on_a_recorded_run_are_those_that_the_sidecar_gave_live() -> None:
    dice = random.Random(7)
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        async with sidecar(connection.subjects):
            keys = [await here.create(f"r{number}") for number in range(12)]
            left = {key: dice.randint(1, 9) for key in keys}
            count = Counter(keys)
            while left:  # the runs go on at the same time, some of them beyond the answer that kills
                key = dice.choice(list(left))
                await here.answer(key, count[key])
                count[key] += 1
                left[key] -= 1
                if not left[key]:
                    del left[key]
                    last = await here.complete(key)
            await here.until_all_judged(last)
            live = {event.id: event for event in await here.said()}
        read: list[tuple[int, int]] = []
        now = CLOCK.now() + timedelta(seconds=1)
        found = recordings(
            here.bus, since=now - timedelta(hours=1), until=now, tenant=None, progress=lambda *at: read.append(at)
        )
        trials = [judge(hosted(), key, entries, until=now) async for key, entries in found]
    backtest = {said.event.id: said.event for trial in trials if trial is not None for said in trial.said}
    assert {trial.key for trial in trials if trial is not None} == set(keys)
    assert (read[0], read[-1]) == ((0, 12), (12, 12))
    same = {"action", "reason", "run", "sequence", "evidence", "value", "threshold", "policy", "guard", "agent", "mode"}
    for name, event in backtest.items():
        assert event.model_dump(include=same) == live[name].model_dump(include=same)
    # what was said live behind the first kill is the race of a worker with it: the back-test stops there
    killed = {trial.key.run: trial.said[-1].event.sequence for trial in trials if trial is not None and trial.killed}
    assert killed
    behind = [event for name, event in live.items() if name not in backtest]
    assert all(event.sequence > killed[event.run] for event in behind)


async def test_only_runs_of_the_period_are_read() -> None:
    async with fresh_bus() as connection, journalist(connection.subjects) as here:
        await here.create("r1", tenant="acme")
        await here.create("r2", tenant="bolt")
        now = CLOCK.now() + timedelta(seconds=1)

        async def read(tenant: str | None = None, ago: float = 60, until: float = 0) -> list[str]:
            period = {"since": now - timedelta(seconds=ago), "until": now - timedelta(seconds=until)}
            found = recordings(here.bus, **period, tenant=tenant, progress=lambda *_: None)
            return [key.run async for key, _ in found]

        assert sorted(await read()) == ["r1", "r2"]
        assert await read("acme") == ["r1"]
        assert await read(ago=-60) == []
        assert await read(ago=7_200, until=3_600) == []
