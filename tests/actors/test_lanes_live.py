"""The lanes on the real bus: high before normal before low, and low still gets its turn."""

from __future__ import annotations

import anyio

from callboard.actors.function import worker
from callboard.actors.run_context import RunContext
from tests.support.fleet import fleet, function


async def test_a_backlog_is_worked_off_high_first_and_low_gets_at_least_one_of_sixteen() -> None:
    order: list[str] = []
    done = anyio.Event()

    @worker("noter")
    async def noter(task: str, run: RunContext) -> None:
        order.append(task)
        if len(order) == 60:
            done.set()

    async with fleet(function(noter), workers=0) as board:
        for lane, count in (("low", 10), ("normal", 10), ("high", 40)):
            for _ in range(count):
                await board.submit("noter", lane, lane=lane)
        await board.worker(slots=1)
        with anyio.fail_after(30):
            await done.wait()
    assert order.count("low") == 10
    for start in range(32):  # as long as every lane has work
        window = order[start : start + 16]
        assert "low" in window
        assert "normal" in window
    assert order[:14] == ["high"] * 14
