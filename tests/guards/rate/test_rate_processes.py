"""The processes of a deployment share what a provider says of its limits."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from callboard.actors.fold import replay
from callboard.bus.bus import Bus, open_bus
from callboard.bus.messages import GuardDenied, Task
from callboard.bus.subjects import RunKey, TaskAddress
from tests.guards.rate.crowd import AT_A_TIME, TURNS, USERS, Crowd, play
from tests.support.bus import bus_url, fresh_bus
from tests.support.program import started

CONFIG = """\
rate_limits: { "scripted/sm*": {} }
agents:
  writer:
    model:
      provider: scripted
      name: small
      turns:
        - text: Here you are.
          limits: { x-ratelimit-remaining-requests: "0", x-ratelimit-reset-requests: 1h0m0s }
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_when_a_provider_says_that_nothing_is_left_runs_on_every_worker_wait(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(CONFIG)
    async with fresh_bus() as made:
        where = ("--url", bus_url(), "--prefix", made.subjects.prefix)
        with started("up", "agents.yaml", "--workers", "2", *where, cwd=tmp_path):
            async with open_bus(bus_url(), subjects=made.subjects, name="client") as bus:
                denied = 0
                with anyio.fail_after(50):
                    while denied < 5:  # until a limiter answers, each worker learns by itself
                        key = RunKey("default", bus.clock.new_id())
                        await bus.tasks.publish(TaskAddress("default", "writer", "normal", key.run), Task(input="go"))
                        denied = denied + 1 if await put_off(bus, key) else 0


async def put_off(bus: Bus, key: RunKey) -> bool:
    """Does the run wait for the limit? Else it is over."""
    state = replay(())
    async with bus.watch.follow(key) as entries:
        async for entry in entries:
            state = replay((entry,), state)
            events = () if entry.record is None else entry.record.events
            if any(isinstance(event, GuardDenied) and event.guard == "rate" for event in events):
                return True
            if state.terminal is not None:
                return False
    raise AssertionError("the feed ended")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_20_users_of_3_workers_get_not_one_429_though_the_limiter_starts_after_them_and_is_slow() -> None:
    seen = await play(Crowd(requests=40, window=3.0, minute=5.0, slow=True), within=150)
    print(
        f"{USERS} users, 3 workers: {seen.calls} calls in {seen.seconds:.1f} s, at most {seen.most} at a time, "
        f"{seen.refused} refused"
    )
    assert (seen.calls, seen.refused) == (TURNS * USERS, 0)
    assert seen.most <= AT_A_TIME
    assert seen.ends == {"completed": USERS}
    assert seen.seconds > 3.0, "all of them fitted into one minute: the limit was never reached"
