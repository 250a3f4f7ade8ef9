"""Shell: one answer to one request goes over the wire, as far as the client lets it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import anyio

from callboard.testing.http11 import Connection
from callboard.testing.plan import Plan
from callboard.testing.script import Frame, Reply, Request

_EVENTS: Final = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_JSON: Final = {"content-type": "application/json"}


class Closed(Exception):
    """The connection has ended, by the client or by a fault. Never leaves this package."""


@dataclass(slots=True)
class Exchange:
    """Sends what is planned. ``said``: bytes of the model that are out. ``counted``: the output tokens that were told.

    ``tell`` is called at each step. ``answered``: something of the answer was sent.
    """

    connection: Connection
    request: Request
    reply: Reply
    headers: Mapping[str, str]
    now: Callable[[], float]
    tell: Callable[[], None]
    began: Callable[[], None]
    settle: Callable[[int, int], None]
    said: int = 0
    counted: int = 0
    answered: bool = False
    gone: bool = False

    async def send(self, plan: Plan) -> None:
        """Raises ``Closed`` when the connection is of no use afterwards."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, group.cancel_scope)
            await self._all(plan)
            group.cancel_scope.cancel()
        if plan.ending != "end" or self.gone:
            raise Closed

    async def _watch(self, scope: anyio.CancelScope) -> None:
        await self.connection.gone()
        self.gone = True
        self._left()
        scope.cancel()

    async def _all(self, plan: Plan) -> None:
        try:
            await anyio.sleep(self.reply.first)
            await (self._stream(plan) if self.request.body.get("stream") else self._body(plan))
            if plan.ending == "stall":
                await anyio.sleep(math.inf if plan.seconds is None else plan.seconds)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.gone = True
            self._left()

    async def _body(self, plan: Plan) -> None:
        if plan.ending != "end":
            return
        self._begin()
        frame = plan.frames[-1] if plan.frames else Frame("")
        self._next(frame, plan)
        await say(self.connection, 200, frame.data, self.headers)

    async def _stream(self, plan: Plan) -> None:
        if plan.begin:
            self._begin()
            await self.connection.begin(200, {**_EVENTS, **self.headers})
        for frame in plan.frames:
            await anyio.sleep(self.reply.pace if self.request.chunks else 0.0)
            self._next(frame, plan)
            await self.connection.chunk(frame.encoded())
        if plan.ending == "end":
            await self.connection.end()

    def _next(self, frame: Frame, plan: Plan) -> None:
        """Before it is sent: who has read the end of an answer finds it on the bill."""
        self.said, self.counted = frame.said, max(self.counted, frame.counted)
        self.answered = self.answered or not frame.error
        self.request.chunks += 1
        if self.request.chunks == len(plan.frames) and plan.ending != "stall":
            self.request.done = self.now() if plan.whole else None
            if self.answered:
                self.settle(self.said, self.counted)
        self.tell()

    def _left(self) -> None:
        """Who has the whole answer may close the connection."""
        if self.request.done is None:
            self.request.left = self.now()

    def _begin(self) -> None:
        self.request.status = 200
        self.began()
        self.tell()


async def say(connection: Connection, status: int, body: Mapping[str, Any] | str, headers: Mapping[str, str]) -> None:
    """A whole answer in JSON."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    await connection.respond(status, {**_JSON, **headers}, text.encode())
