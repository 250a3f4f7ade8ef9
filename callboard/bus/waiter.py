"""Shell: a request under way, and what it got."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from callboard.bus.connection import Reply
from callboard.errors import BusUnreachable


class Waiter:
    """A request under way. ``unsent`` is its command while the server is away."""

    __slots__ = ("done", "error", "future", "replies", "subject", "unsent")

    def __init__(self, subject: str, done: Callable[[Reply], bool] | None) -> None:
        self.subject = subject
        self.done = done
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.replies: list[Reply] = []
        self.error: Exception | None = None
        self.unsent = b""

    async def answered(self) -> list[Reply]:
        """What came. Raises why nothing does."""
        await self.future
        if self.error is not None:
            raise self.error
        return self.replies

    def take(self, reply: Reply) -> None:
        if self.future.done():
            return
        self.replies.append(reply)
        try:
            if self.done is None or no_responders(reply) or self.done(reply):
                self.future.set_result(None)
        except Exception as error:  # noqa: BLE001 - the caller's ``done`` raised: that is the caller's to see
            self.fail(error)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.error = error  # not set on the future: nobody fetches it there if the caller is cancelled now
            self.future.set_result(None)

    def expire(self, timeout: float) -> None:
        unsent = f"the bus was away for {timeout} s: the request on {self.subject!r} was not sent"
        silent = f"no answer on {self.subject!r} within {timeout} s"
        self.fail(BusUnreachable(unsent if self.unsent else silent, retryable=True))


def no_responders(reply: Reply) -> bool:
    """Does the server say that nobody listens there?"""
    return not reply.payload and reply.headers.get("Status") == "503"
