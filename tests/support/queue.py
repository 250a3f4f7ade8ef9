"""The task queue as its operator sees it."""

from __future__ import annotations

import json

from callboard.bus.client import Connection
from callboard.bus.reconcile import stream_info


async def limit_queue(connection: Connection, tasks: int) -> None:
    """Let the queue take ``tasks`` messages in all, the held ones included."""
    name = connection.subjects.stream("TASKS")
    info = await stream_info(connection, name)
    assert info is not None
    body = json.dumps(info["config"] | {"max_msgs": tasks}).encode()
    answer = json.loads((await connection.request(f"$JS.API.STREAM.UPDATE.{name}", body, timeout=5)).payload)
    assert "error" not in answer, answer
