"""Shell: the connection to the bus that everything else in callboard uses.

Safe under anyio cancel scopes: a publish, request or subscription that is cancelled leaves the connection as it was.
A timeout is ambiguous: the server may have done what was asked, so the caller reads before it repeats.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio

from callboard.bus.connection import Deliver, Hooks, MendedClient, Reply, check_subscription, encode
from callboard.bus.subjects import Subjects
from callboard.bus.waiter import Waiter, no_responders
from callboard.errors import BusError, BusRefused, BusUnreachable

__all__ = ["Connection", "Reply", "connect"]

_log = logging.getLogger(__name__)

OLDEST_SERVER: Final = (2, 12, 0)
DEFAULT_SUBJECTS: Final = Subjects()
_VIOLATION: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')


class Connection:
    """One connection to a nats-server. Made by ``connect``; usable from one event loop."""

    def __init__(self, subjects: Subjects, *, shown: str) -> None:
        self.subjects = subjects
        self._shown = shown
        self._client = MendedClient(
            Hooks(self._disconnected, reconnected=self._reconnected, closed=self._ended, failed=self._failed)
        )
        self._waiting: dict[str, Waiter] = {}
        self._inbox = f"_INBOX.{secrets.token_hex(11)}."
        self._requests = 0
        self._reconnect_calls: list[Callable[[], None]] = []
        self._closed = anyio.Event()
        self._trouble = "no answer"

    @property
    def server_version(self) -> tuple[int, int, int]:
        """The version of the server at the other end."""
        found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", str(self._client.greeting.get("version", "")))
        return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)

    @property
    def max_payload(self) -> int:
        """The most bytes that payload and headers of one message may have together."""
        return self._client.limit

    @property
    def is_connected(self) -> bool:
        """Is a server at the other end right now?"""
        return self._client.is_connected

    async def publish(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Core publish: no acknowledgement. While the server is away up to 2 MiB are kept for it."""
        command = encode(subject, payload, headers=headers, reply=reply, limit=self.max_payload)
        if self._closed.is_set() or not self._client.fits(len(command)):
            raise BusUnreachable(f"{self._shown} is away: nothing was published on {subject!r}", retryable=True)
        self._client.send(command)
        try:
            await self._client.drained()
        except ConnectionError as error:
            raise BusUnreachable(f"{self._shown} went away during a publish on {subject!r}", retryable=True) from error

    def offer(self, subject: str, payload: bytes) -> bool:
        """Core publish of what may be lost: never waits, and sends nothing (False) unless it can leave at once."""
        if self._closed.is_set() or not self._client.flows:
            return False
        self._client.send(encode(subject, payload, headers=None, reply="", limit=self.max_payload))
        return True

    async def request(
        self, subject: str, payload: bytes = b"", *, headers: Mapping[str, str] | None = None, timeout: float
    ) -> Reply:
        """Send and return the one answer. Raises ``BusUnreachable`` (retryable) when there is none in time.

        Not for pulls: a consumer delivers under the message's own subject, so ``subscribe`` to a ``new_inbox``.
        """
        replies = await self._ask(Waiter(subject, None), payload, headers=headers, timeout=timeout)
        return _answered(subject, replies)[-1]

    @contextmanager
    def requested(
        self, subject: str, payload: bytes = b"", *, timeout: float
    ) -> Generator[Callable[[], Awaitable[Reply]]]:
        """Send a request now, and hand out what waits for its answer, for a body that has other things to ask first."""
        waiter = Waiter(subject, None)

        async def answer() -> Reply:
            return _answered(subject, await waiter.answered())[-1]

        with self._sent(waiter, payload, headers=None, timeout=timeout):
            yield answer

    async def request_many(
        self, subject: str, payload: bytes, *, timeout: float, done: Callable[[Reply], bool]
    ) -> list[Reply]:
        """Send and collect answers until ``done(answer)``; that one is included. ``timeout`` is for all of them."""
        return _answered(subject, await self._ask(Waiter(subject, done), payload, headers=None, timeout=timeout))

    @asynccontextmanager
    async def subscribe(self, subject: str, deliver: Deliver, *, queue: str = "") -> AsyncGenerator[None]:
        """Call ``deliver`` (it must not block) for every message. What it raises is logged.

        Use ``barrier`` after entering if the next message of another client must not be missed.
        """
        check_subscription(subject, queue)
        if self._closed.is_set():
            raise BusUnreachable(f"the connection to {self._shown} is closed")
        sid = self._client.route(subject, deliver, queue=queue)
        try:
            yield
        finally:
            self._client.unroute(sid)

    async def barrier(self, timeout: float = 5) -> None:
        """Return when the server has processed everything sent before: subscriptions, publishes."""
        # a request that nobody can answer is refused by the server itself, in order and without JetStream
        await self._ask(Waiter(self.new_inbox(), None), b"", headers=None, timeout=timeout)

    @contextmanager
    def on_reconnect(self, call: Callable[[], None]) -> Generator[None]:
        """Call ``call`` (it must not block) whenever the connection is back."""
        self._reconnect_calls.append(call)
        try:
            yield
        finally:
            self._reconnect_calls.remove(call)

    async def closed(self) -> None:
        """Return when the connection is closed for good."""
        await self._closed.wait()

    def new_inbox(self) -> str:
        """A fresh subject for replies."""
        return f"_INBOX.{secrets.token_hex(11)}"

    async def open(self, servers: Sequence[str], *, name: str, timeout: float) -> None:
        """Connect and check that the server will do. ``connect`` calls this."""
        try:
            with anyio.fail_after(timeout):
                await self._client.open(list(servers), name=name)
        except TimeoutError as error:
            raise self._unreachable(timeout) from error
        self._client.route(f"{self._inbox}*", self._answer)
        if self.server_version < OLDEST_SERVER:
            found, needed = (".".join(map(str, version)) for version in (self.server_version, OLDEST_SERVER))
            raise BusRefused(f"the nats-server at {self._shown} is {found}: callboard needs {needed} or newer")
        if not self._client.greeting.get("jetstream"):  # it may still reach one through its cluster
            await self._find_jetstream(timeout)

    async def close(self) -> None:
        """Close for good; requests under way end with ``BusUnreachable``."""
        self._ended()
        await self._client.end()

    def _disconnected(self) -> None:
        for waiter in tuple(self._waiting.values()):
            if not waiter.unsent:  # no answer will come to what was sent
                waiter.fail(
                    BusUnreachable(f"{self._shown} went away before it answered on {waiter.subject!r}", retryable=True)
                )

    def _reconnected(self) -> None:
        for waiter in tuple(self._waiting.values()):
            if waiter.unsent:
                self._client.send(waiter.unsent)
                waiter.unsent = b""
        for call in tuple(self._reconnect_calls):
            try:
                call()
            except Exception:  # noqa: BLE001 - whatever a caller's function raises is logged, the others are called
                _log.exception("a call on reconnect failed")

    def _ended(self) -> None:
        self._closed.set()
        for waiter in tuple(self._waiting.values()):
            waiter.fail(BusUnreachable(f"the connection to {self._shown} was closed"))

    def _failed(self, error: Exception) -> None:
        if "authorization" not in self._trouble.lower():  # once it has refused, a server may also just hang up
            self._trouble = str(error)
        violation = _VIOLATION.search(str(error).lower())
        if violation is None:  # a violation is the answer to whoever waits for it
            _log.debug("nats: %r", error)
            return
        kind, subject = violation.groups()
        refused = f"{self._shown} permits no {kind} to {subject!r}: ask for the permission, or use other credentials"
        _log.warning("%s", refused)
        ours = kind == "subscription" and subject == f"{self._inbox}*".lower()
        for waiter in tuple(self._waiting.values()):
            if ours or (kind == "publish" and waiter.subject.lower() == subject):
                waiter.fail(BusRefused(refused))

    async def _ask(
        self, waiter: Waiter, payload: bytes, *, headers: Mapping[str, str] | None, timeout: float
    ) -> list[Reply]:
        with self._sent(waiter, payload, headers=headers, timeout=timeout):
            return await waiter.answered()

    @contextmanager
    def _sent(
        self, waiter: Waiter, payload: bytes, *, headers: Mapping[str, str] | None, timeout: float
    ) -> Generator[None]:
        self._requests += 1
        token = str(self._requests)
        command = encode(waiter.subject, payload, headers=headers, reply=self._inbox + token, limit=self.max_payload)
        if self._closed.is_set():
            raise BusUnreachable(f"the connection to {self._shown} is closed")
        expiry = waiter.future.get_loop().call_later(timeout, waiter.expire, timeout)
        self._waiting[token] = waiter
        try:
            if self._client.is_connected:
                self._client.send(command)
            else:
                waiter.unsent = command
            yield
        finally:
            expiry.cancel()
            del self._waiting[token]

    def _answer(self, reply: Reply) -> None:
        waiter = self._waiting.get(reply.subject[len(self._inbox) :])
        if waiter is not None:
            waiter.take(reply)

    async def _find_jetstream(self, timeout: float) -> None:
        try:
            await self.request("$JS.API.INFO", timeout=timeout)
        except BusUnreachable as error:
            raise BusRefused(f"the nats-server at {self._shown} has no JetStream: start it with -js") from error

    def _unreachable(self, timeout: float) -> BusError:
        if "authorization" in self._trouble.lower():
            return BusRefused(f"{self._shown} refuses these credentials: {self._trouble}")
        return BusUnreachable(
            f"no nats-server at {self._shown} within {timeout} s ({self._trouble}): start one with `callboard up`,"
            " or set CALLBOARD_URL to one that runs",
            retryable=True,
        )


@asynccontextmanager
async def connect(
    url: str | Sequence[str],
    *,
    subjects: Subjects = DEFAULT_SUBJECTS,
    name: str,
    timeout: float = 5.0,
) -> AsyncGenerator[Connection]:
    """A connection to the server (or one of the servers) at ``url``; closed at the end of the context.

    Raises ``BusUnreachable`` if no server answers within ``timeout`` seconds, ``BusRefused`` for one that is too old or
    has no JetStream.
    """
    servers = [url] if isinstance(url, str) else list(url)
    connection = Connection(subjects, shown=", ".join(map(_without_secrets, servers)))
    try:
        await connection.open(servers, name=name, timeout=timeout)
        yield connection
    finally:
        await connection.close()


def _answered(subject: str, replies: list[Reply]) -> list[Reply]:
    if no_responders(replies[-1]):
        raise BusUnreachable(f"nobody answers on {subject!r}", retryable=True)
    return replies


def _without_secrets(url: str) -> str:
    scheme, found, rest = url.rpartition("://")
    return scheme + found + rest.rpartition("@")[2]
