"""A receiver of webhooks on loopback that answers as it is told to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream


@dataclass
class Answer:
    """``status`` 0: the connection is closed without an answer. ``after``: the answer waits for this event."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    after: anyio.Event | None = None


@dataclass
class Post:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["callboard-id"]


class Receiver:
    """``posts`` are those that came; ``answers`` are for the next ones, then 204 for all."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answers: list[Answer] = []
        self.url = ""
        self._came = anyio.Event()

    async def until(self, count: int) -> list[Post]:
        """Wait until so many posts came."""
        with anyio.fail_after(30):
            while len(self.posts) < count:
                self._came = anyio.Event()
                await self._came.wait()
        return self.posts

    async def until_told(self, ids: set[str]) -> None:
        """Wait until each of these alerts was in a post."""
        while not ids <= {alert["id"] for post in self.posts for alert in post.told["alerts"]}:
            await self.until(len(self.posts) + 1)

    async def handle(self, stream: SocketStream) -> None:
        try:
            async with stream:
                await self._serve(stream)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.DelimiterNotFound):
            return

    async def _serve(self, stream: SocketStream) -> None:
        lines = BufferedByteReceiveStream(stream)
        while True:
            head = (await lines.receive_until(b"\r\n\r\n", 65_536)).decode()
            first, *rest = head.split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
            body = await lines.receive_exactly(int(headers.get("content-length", "0")))
            answer = self.answers.pop(0) if self.answers else Answer()
            self.posts.append(Post(first.split(" ")[1], headers, body))
            self._came.set()
            if answer.after is not None:
                await answer.after.wait()
            if not answer.status:
                return
            more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            await stream.send(f"HTTP/1.1 {answer.status} So\r\nContent-Length: 0\r\n{more}\r\n".encode())


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, receiver.handle)
        receiver.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/hook"
        yield receiver
        group.cancel_scope.cancel()
