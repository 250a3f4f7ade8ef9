"""Shell: the actor. One class, private state, a mailbox, one message at a time.

An actor lives once: a supervisor that restarts it makes a new one. Others hold its address, never the actor. A message
is a hint and may be lost with its actor; what must survive is in a journal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from anyio import CancelScope, Event, create_task_group
from anyio.abc import TaskGroup

from callboard.errors import Bug, CallboardError

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)
Run = Callable[[Event], Awaitable[None]]
"""What runs until it ends: it sets the event when it is ready, returns when it is done, raises its failure."""


class MailboxFull(CallboardError):
    """The actor is behind by its whole mailbox: the message was not accepted. Tell it again later."""

    retryable = True


class Address(Generic[M_contra]):
    """What others hold of an actor. ``tell`` never blocks: it raises ``MailboxFull``; an ended actor drops messages."""

    __slots__ = ("tell",)

    def __init__(self, tell: Callable[[M_contra], None]) -> None:
        self.tell = tell


class Actor(ABC, Generic[M]):
    """Subclass it with the state and ``receive``. Enter it (``async with``) or hand ``run`` to a supervisor.

    A raising ``receive`` or a failing task of ``self._tasks`` ends the actor with that failure. ``mailbox`` is the
    number of messages that may wait. Not thread-safe: tell it from its own event loop.
    """

    def __init__(self, *, mailbox: int = 1024) -> None:
        self.address: Address[M] = Address(self._tell)
        self._tasks: TaskGroup
        """Its concurrency: from ``started`` until it ends, then cancelled."""
        self._mailbox: deque[M] = deque()
        self._bound = mailbox
        self._mail = Event()
        self._scope: CancelScope | None = None
        self._ended = Event()
        self._hosting: AbstractAsyncContextManager[None] | None = None

    @abstractmethod
    async def receive(self, message: M) -> None:
        """Handle one message; the next one waits until this returns."""

    async def started(self) -> None:
        """Run before the actor counts as ready."""

    async def run(self, ready: Event) -> None:
        """Live until stopped, cancelled or failed; raise the failure. Only once."""
        if self._scope is not None:
            raise Bug(f"{type(self).__name__} lives once: make a new one for every start")
        try:
            async with group_of_one() as self._tasks:
                self._scope = self._tasks.cancel_scope
                if self._ended.is_set():
                    return
                await self.started()
                ready.set()
                while True:
                    await self.receive(await self._next())
        finally:
            self._ended.set()
            self._mailbox.clear()

    async def stop(self) -> None:
        """End it and wait until it has ended. Fine before the start, twice, and from its own ``receive``."""
        if self._scope is None:
            self._ended.set()
            return
        self._scope.cancel()
        await self._ended.wait()

    async def __aenter__(self) -> Self:
        self._hosting = running(self.run)
        await self._hosting.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._hosting is not None
        return await self._hosting.__aexit__(kind, error, traceback)

    def _tell(self, message: M) -> None:
        if self._ended.is_set():
            return
        if len(self._mailbox) >= self._bound:
            raise MailboxFull(f"the mailbox of {type(self).__name__} holds {self._bound!r} messages: tell it later")
        self._mailbox.append(message)
        self._mail.set()

    async def _next(self) -> M:
        while not self._mailbox:
            self._mail = Event()
            await self._mail.wait()
        return self._mailbox.popleft()


@asynccontextmanager
async def running(run: Run) -> AsyncGenerator[None]:
    """Have ``run`` running beside the body: entered when it is ready, cancelled at the end.

    A failure of ``run`` cancels the body and is raised.
    """
    ready = Event()

    async def live() -> None:
        await run(ready)
        ready.set()

    async with group_of_one() as host:
        host.start_soon(live)
        await ready.wait()
        yield
        host.cancel_scope.cancel()


@asynccontextmanager
async def living(actor: Actor[Any], among: TaskGroup) -> AsyncGenerator[None]:
    """Have ``actor`` living in ``among`` beside the body, which is entered when it is ready; it has ended at the end.

    Not below what is opened around the body: each scope around a task costs it something at every look whether it is
    cancelled. A failure of it is raised by ``among``, which cancels the body.
    """
    ready = Event()
    among.start_soon(actor.run, ready)
    try:
        await ready.wait()
        yield
    finally:
        with CancelScope(shield=True):
            await actor.stop()


@asynccontextmanager
async def group_of_one() -> AsyncGenerator[TaskGroup]:
    """A task group that raises its only failure as it is."""
    failure: BaseException | None = None
    try:
        async with create_task_group() as group:
            yield group
    except BaseExceptionGroup as errors:
        failure = sole(errors)
    if failure is not None:
        raise failure


def sole(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The only failure in a task group's exception, else the group itself."""
    return group.exceptions[0] if len(group.exceptions) == 1 else group
