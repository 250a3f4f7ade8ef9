"""Workers see to it that prompt caches are warm: one run for all of them, while the cache lives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio

from callboard.actors.code import AgentCode
from callboard.app.queued import queued_tasks
from callboard.app.warm import WINDOW, warm_caches
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.testing import Reply, fake_provider
from tests.support.fleet import CLOCK, Fleet
from tests.support.provided import choice, working

MOMENT = timedelta(milliseconds=1)
LONG = "Read everything that you are given with great care. " * 120


def agents(system: str = LONG) -> dict[str, AgentCode]:
    """One whose model is to be warm, and some that need nothing."""
    scripted = ModelChoice(provider="scripted", settings={"turns": [{"text": "hi"}]})
    specs = (
        AgentSpec(name="gpt", model=choice("gpt", warm=True), system=system),
        AgentSpec(name="open", model=choice("open"), fallbacks=(choice("gpt", warm=True),), system=system),
        AgentSpec(name="toy", model=scripted),
        AgentSpec(name="job", kind="function"),
    )
    return {spec.name: AgentCode(spec) for spec in specs}


async def warmed(board: Fleet) -> int:
    """How many runs there are, when all that was submitted is over."""
    with anyio.fail_after(30):
        while await queued_tasks(board.bus, None):
            await board.bus.connection.barrier()
    keys = {entry.key async for entry in board.bus.scan()}  # it may meet one twice
    for key in keys:
        assert (await board.over(key, within=30)).outcome == "completed"
    return len(keys)


def end_of_window() -> datetime:
    """When this one ends, and the next one begins."""
    return datetime.fromtimestamp((CLOCK.now().timestamp() // WINDOW + 1) * WINDOW, tz=UTC)


async def test_workers_that_start_together_warm_a_prompt_once_and_later_ones_when_it_is_cold_again():
    other, end = agents("Another prompt. " * 300), end_of_window()
    async with fake_provider(replies=lambda _: Reply("ready")) as server:
        async with working(agents(), server.url) as board:
            async with anyio.create_task_group() as starting:
                for _ in range(3):
                    starting.start_soon(lambda: warm_caches(board.bus, agents(), now=end - MOMENT))
            assert await warmed(board) == 1
            await warm_caches(board.bus, agents(), now=end)
            assert await warmed(board) == 1, "it is in the next window, and warm yet"
            await warm_caches(board.bus, other, now=end)
            assert await warmed(board) == 2, "another prompt"
            await warm_caches(board.bus, agents(), now=end + timedelta(seconds=WINDOW))
            assert await warmed(board) == 3
            await warm_caches(board.bus, other, now=end + timedelta(seconds=2 * WINDOW) - MOMENT)
            assert await warmed(board) == 4, "the run of the window before is too long ago"
        assert [each.model for each in server.requests] == ["gpt"] * 4
        assert {each.body["max_output_tokens"] for each in server.requests} == {16}
