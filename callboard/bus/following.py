"""Shell: following a stream: what comes is heard at once, and what was missed is read."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import anyio

from callboard.bus.client import Reply
from callboard.errors import BusUnreachable

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """What was heard and read, and not yet handed out. ``missing``: something must be read before anything else."""

    missing: bool

    def hear(self, message: Reply) -> None:
        """Keep a live message. What there is no room for is ``missing``."""
        ...

    def next(self) -> T_co | None:
        """The next one, once each. None if there is none, or if something is ``missing``."""
        ...

    async def read(self) -> None:
        """Read what is behind the last one that was handed out, or read."""
        ...


class Following(Generic[T]):
    """Hands out what ``source`` has, for ever.

    It reads every ``look_again`` seconds, whatever is heard meanwhile: what was lost may have told nobody.
    """

    def __init__(self, source: Source[T], *, look_again: float) -> None:
        self._source = source
        self._look_again = look_again
        self._due = anyio.current_time() + look_again
        self._changed = anyio.Event()

    def arrived(self, message: Reply) -> None:
        """A live message."""
        self._source.hear(message)
        self._changed.set()

    def read_again(self) -> None:
        """Something may have been missed."""
        self._source.missing = True
        self._changed.set()

    def __aiter__(self) -> Following[T]:
        return self

    async def __anext__(self) -> T:
        while True:
            found = self._source.next()
            if found is not None:
                return found
            if self._source.missing:
                await self._read()
            else:
                await self._wait()

    async def _read(self) -> None:
        self._source.missing = False
        self._due = anyio.current_time() + self._look_again
        try:
            await self._source.read()
        except BaseException as error:
            self._source.missing = True
            if not (isinstance(error, BusUnreachable) and error.retryable):  # a read has patience, this has more
                raise

    async def _wait(self) -> None:
        self._changed = anyio.Event()
        with anyio.CancelScope(deadline=self._due) as patience:
            await self._changed.wait()
        if patience.cancelled_caught:
            self._source.missing = True
