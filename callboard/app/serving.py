"""Shell: which agents have ever had a worker on this bus."""

from __future__ import annotations

from typing import Any, cast

from callboard.bus import storage
from callboard.bus.bus import Bus


async def served_agents(bus: Bus) -> frozenset[str]:
    """Their names: the first worker of an agent makes its queues, which stay. One question for 1,024 queues."""
    stream = bus.connection.subjects.stream("TASKS")
    queues: list[str] = []
    while True:
        body = {"offset": len(queues)}
        answer = await storage.patiently(lambda: storage.api(bus.connection, f"CONSUMER.NAMES.{stream}", body))  # noqa: B023 - asked at once
        page = cast("list[Any]", answer.get("consumers") or [])
        queues += [str(name) for name in page]
        if not page or len(queues) >= int(answer.get("total", 0)):
            return frozenset(name.rpartition("_")[0] for name in queues)
