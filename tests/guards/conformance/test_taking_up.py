"""A guard process that takes up runs misses none that begins at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from callboard.bus.messages import Message, Record, RunKilled, RunPaused, ToolRequested
from callboard.guards.hosted import Hosted
from tests.guards.conformance.own import KILL_AT, Own
from tests.guards.conformance.world import Beside, World
from tests.support.journals import claimed

OWN = Hosted("own", lambda _: (Own(), "enforce"))


class Busy(World):
    """While its runs are looked up, one begins: it is among those that are found, or it is not."""

    def __init__(self, *, found: bool) -> None:
        super().__init__()
        self.found = found
        self.side: Beside | None = None

    async def scan(self) -> AsyncIterator[Any]:
        assert self.side is not None
        self.append(Record(id="p", events=(RunPaused(name="above"),)))  # from above: no beginning of a journal
        self.append(owned(0, *claimed()))
        for entry in self.entries:
            await self.side.hear(entry)
        if self.found:
            async for entry in super().scan():
                yield entry


def owned(number: int, *events: Message) -> Record:
    return Record(id=f"o{number}", owner="o1", events=events)


@pytest.mark.parametrize("found", [False, True])
async def test_a_run_that_begins_while_others_are_taken_up_is_judged_too(*, found: bool) -> None:
    world = Busy(found=found)
    async with anyio.create_task_group() as tasks:
        world.side = side = Beside(world, OWN, tasks)
        await side.begin()
        for number in range(1, KILL_AT + 1):
            world.append(owned(number, ToolRequested(call=f"t{number}", tool="x", effect="pure")))
        await side.catch_up()
    assert [kill.guard for kill in world.of_guards(RunKilled)] == ["own"]
