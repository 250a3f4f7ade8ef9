"""A thread that gets to run late starts nothing before its intent is written again."""

from __future__ import annotations

from dataclasses import dataclass, field

from callboard.tools import ToolContext, execute, tool
from callboard.tools.threads import run_in_thread


@dataclass
class Window:
    """Closed until it was reopened often enough."""

    closed: int
    seen: list[str] = field(default_factory=list)

    def is_open(self) -> bool:
        self.seen.append("asked")
        return self.closed == 0

    async def reopen(self) -> None:
        self.seen.append("reopened")
        self.closed -= 1


@tool
async def here(context: ToolContext) -> None:
    """Called in the worker's own loop."""
    context.window.seen.append("called")


async def test_an_async_tool_is_not_called_while_its_window_is_closed() -> None:
    window = Window(closed=1)
    await execute(here, {}, ToolContext(run="r", tenant="t", call="c", key="k", deadline=5, window=window))
    assert window.seen == ["asked", "reopened", "called"]


async def test_work_in_a_thread_is_not_called_while_its_window_is_closed() -> None:
    window = Window(closed=2)
    context = ToolContext(run="r", tenant="t", call="c", key="k", deadline=5, window=window)
    await run_in_thread(lambda: window.seen.append("called"), tool="x", context=context)
    assert window.seen == ["asked", "reopened", "asked", "reopened", "asked", "called"]
