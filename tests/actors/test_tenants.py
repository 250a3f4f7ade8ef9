"""Tenants share a bus and nothing else: the same run ids in two of them do not meet."""

from __future__ import annotations

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from callboard.bus.messages import Resume, Task
from callboard.bus.subjects import RunKey, TaskAddress
from tests.support.fleet import fleet, function, scripted


async def test_runs_of_one_id_in_two_tenants_both_get_their_children() -> None:
    @worker("parent")
    async def parent(task: str, run: RunContext) -> object:
        return await run.wait(await run.spawn("child", task))

    async with fleet(function(parent), scripted("child", {"text": "for {{ input }}"})) as board:
        for tenant in ("ada", "bob"):
            await board.bus.tasks.publish(TaskAddress(tenant, "parent", "normal", "r1"), Task(input=tenant))
        for tenant in ("ada", "bob"):
            state = await board.over(RunKey(tenant, "r1"))
            assert state.terminal.result.value == f"for {tenant}"


async def test_a_task_whose_msg_id_another_tenant_has_used_is_stored_all_the_same() -> None:
    async with fleet(workers=0, dispatchers=0) as board:
        for tenant in ("ada", "bob"):
            sequence = await board.bus.tasks.publish(
                TaskAddress(tenant, "a", "normal", "r1"), Resume(resume=1, run="r1"), dedup="same"
            )
            assert await board.bus.tasks.exists(sequence)
        assert sequence == 2
