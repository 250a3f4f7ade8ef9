"""Whatever anybody publishes to the bus, no actor dies and no honest run is lost."""

from __future__ import annotations

import random

import anyio
import pytest

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.bus.subjects import RunKey, TaskAddress
from tests.bus.test_hostile import payload
from tests.support.fleet import Fleet, fleet, function, scripted

MESSAGES = 20_000
HONEST = 40
HEADERS = (
    None,
    {"Cb-Events": "run.killed"},
    {"Cb-Events": "run.completed", "Cb-Family": "none"},
    {"Cb-Events": ",,,\u00e9", "Cb-Parent": "a.b.>"},
    {"Cb-Parent": "*", "Cb-Family": "some"},
)


async def storm(board: Fleet, chance: random.Random) -> None:
    """Garbage for every subject that an actor reads, at most 256 messages ahead of the server."""
    subjects = board.subjects
    for number in range(MESSAGES):
        target = chance.random()
        if target < 0.35:
            subject = subjects.task(TaskAddress("default", chance.choice(("echo", "parent")), "normal"))
        elif target < 0.9:
            subject = subjects.run(RunKey("default", f"garbage-{chance.randrange(4_000)}"))
        elif target < 0.95:
            subject = f"{subjects.prefix}.due.default.garbage-{chance.randrange(50)}.t{number}"
        else:
            subject = subjects.live(RunKey("default", f"garbage-{chance.randrange(50)}"))
        await board.bus.connection.publish(subject, payload(chance), headers=chance.choice(HEADERS))
        if number % 256 == 0:
            await board.bus.connection.barrier()


@pytest.mark.timeout(180)
async def test_no_actor_dies_and_no_honest_run_is_lost_in_a_storm_of_garbage() -> None:
    @worker("parent")
    async def parent(task: object, run: RunContext) -> object:
        return await run.wait(await run.spawn("echo", "from the parent"))

    async with fleet(scripted("echo", {"text": "{{ input }}"}), function(parent)) as board:
        honest: list[RunKey] = []

        async def submit() -> None:
            for number in range(HONEST):
                agent = "echo" if number % 2 else "parent"
                honest.append(await board.submit(agent, f"honest {number}", run=f"honest-{number}"))

        with anyio.fail_after(170):
            async with anyio.create_task_group() as group:
                group.start_soon(storm, board, random.Random(20261121))
                group.start_soon(submit)
            for key in honest:
                assert (await board.over(key, within=100)).outcome == "completed", key
            late = await board.submit("parent", "after the storm")
            assert (await board.over(late, within=100)).outcome == "completed"
        letters = await board.bus.graveyard.letters(50)
        assert {letter.reason for letter in letters} <= {
            "bad_json",
            "bad_shape",
            "too_large",
            "bad_entry",
            "bad_subject",
        }
        assert letters


async def test_a_run_that_forges_its_agent_ends_typed_and_does_not_come_back_for_ever() -> None:
    async with fleet(scripted("echo", {"text": "x"})) as board:
        key = RunKey("default", "forged")
        spec = '{"name": 5}'
        created = f'{{"type":"run.created","agent":"echo","at":"2026-11-21T00:00:00Z","spec":{spec}}}'
        claimed = '{"type":"run.claimed","task":0}'
        record = f'{{"v":1,"id":"f","owner":"o","events":[{created},{claimed},{{"type":"run.suspended"}}]}}'
        await board.bus.connection.publish(board.subjects.run(key), record.encode())
        await board.bus.connection.publish(board.subjects.run(key), b'{"type":"run.steered","text":"wake up"}')
        state = await board.over(key)
        assert state.outcome == "failed"
        assert state.terminal.problem.kind == "bad_spec"
