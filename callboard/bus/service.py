"""Shell: makes a process discoverable as a NATS micro service: it answers ``$SRV.PING`` and ``$SRV.INFO``.

``nats micro ls`` then shows which workers and supervisors are alive. It answers only to inboxes: anybody may name any
subject as the reply, and a process must not be made to publish where the asker may not.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import anyio

from callboard.bus.client import Connection, Reply
from callboard.bus.connection import Deliver
from callboard.errors import BusError
from callboard.log import get_logger

log = get_logger(__name__)
_API: Final = "io.nats.micro.v1"
_ASKED: Final = 64
_VERBS: Final[tuple[Literal["ping", "info"], ...]] = ("ping", "info")


@dataclass(frozen=True, slots=True)
class Service:
    """What a process says of itself. ``name`` is its kind (``callboard-worker``), ``id`` its own; metadata is text."""

    name: str
    id: str
    version: str
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    def describe(self, verb: Literal["ping", "info"]) -> dict[str, object]:
        """The reply to a verb, as the micro protocol has it."""
        about: dict[str, object] = {
            "type": f"{_API}.{verb}_response",
            "name": self.name,
            "id": self.id,
            "version": self.version,
            "metadata": dict(self.metadata),
        }
        return about if verb == "ping" else {**about, "description": self.description, "endpoints": []}


@asynccontextmanager
async def announced(connection: Connection, service: Service) -> AsyncGenerator[None]:
    """Answer for ``service`` as long as the body runs."""
    send, asked = anyio.create_memory_object_stream[tuple[str, Literal["ping", "info"]]](_ASKED)

    def hear(verb: Literal["ping", "info"]) -> Deliver:
        def deliver(message: Reply) -> None:
            if message.reply.startswith("_INBOX.") and send.statistics().current_buffer_used < _ASKED:
                send.send_nowait((message.reply, verb))

        return deliver

    async def answer() -> None:
        async for reply, verb in asked:
            try:
                await connection.publish(reply, json.dumps(service.describe(verb)).encode())
            except BusError as error:
                log.warning("cannot say who this is", error=str(error))

    async with AsyncExitStack() as stack, anyio.create_task_group() as group:
        stack.callback(send.close)
        stack.callback(asked.close)
        for verb in _VERBS:
            for suffix in ("", f".{service.name}", f".{service.name}.{service.id}"):
                await stack.enter_async_context(connection.subscribe(f"$SRV.{verb.upper()}{suffix}", hear(verb)))
        group.start_soon(answer)
        yield
        group.cancel_scope.cancel()
