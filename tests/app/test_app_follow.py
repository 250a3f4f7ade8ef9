"""A run and its children as one stream of events, when it ends."""

from __future__ import annotations

from typing import Any, cast

import anyio

from callboard.app.follow import TreeEvent, _Tree


async def test_what_a_child_says_in_the_moment_in_which_the_run_ends_is_dropped() -> None:
    send, receive = anyio.create_memory_object_stream[TreeEvent](10)
    said = cast("Any", None)
    with send, receive, anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            tree = _Tree(said, send, group, tokens=False)
            group.start_soon(tree._pass_on, TreeEvent(said, 1, said))  # it waits for its turn to send
            await anyio.lowlevel.checkpoint()
            send.close()  # as the end of the run does
        assert receive.statistics().current_buffer_used == 0
