"""Shell: nats-py, mended. The only module that imports ``nats``.

What nats-py gets wrong under cancellation is replaced here rather than guarded against: writes are corked per turn of
the event loop instead of going through a flusher task and its queue, messages go from the read loop straight to a
synchronous ``deliver`` instead of through a queue and a task per subscription, and every callback only notes.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import anyio
from nats.aio.client import Client
from nats.errors import Error, UnexpectedEOF

from callboard.errors import BusError, ConfigError, InvalidMessage

_log = logging.getLogger(__name__)

_CRLF: Final = b"\r\n"
_VERSION_LINE: Final = "NATS/1.0"
_BUFFERED_WHILE_AWAY: Final = 2 * 1024 * 1024
_BACKLOG: Final = 64 * 1024
_CLOSE_WITHIN: Final = 2.0
_CONTROL_LINE: Final = 4096 - 64  # the server closes the client beyond 4,096 bytes; the rest is for verb and sizes
_LITERAL: Final = re.compile(r"[^\s\x00.*>\ud800-\udfff]+(?:\.[^\s\x00.*>\ud800-\udfff]+)*")
_PATTERN: Final = re.compile(r"(?:(?:[^\s\x00.*>\ud800-\udfff]+|\*)\.)*(?:[^\s\x00.*>\ud800-\udfff]+|\*|>)")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAKS_LINE: Final = re.compile(r"[\r\n\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reply:
    """One received message. ``headers`` holds an inline status as ``Status`` and ``Description``."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]
    reply: str


Deliver = Callable[[Reply], None]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is called when something happens to the connection. None may block; what they raise is logged."""

    disconnected: Callable[[], None]
    reconnected: Callable[[], None]
    closed: Callable[[], None]
    failed: Callable[[Exception], None]


class _Route:
    """A subscription as nats-py's reconnect and close expect to find it, without its queue and its task."""

    __slots__ = ("_queue", "_received", "_subject", "deliver")
    _max_msgs: ClassVar[int] = 0
    _wait_for_msgs_task: ClassVar[None] = None
    _message_iterator: ClassVar[None] = None
    _pending_next_msgs_calls: ClassVar[None] = None

    def __init__(self, subject: str, queue: str, deliver: Deliver) -> None:
        self._subject = subject
        self._queue = queue
        self._received = 0
        self.deliver = deliver


class MendedClient(Client):
    """A nats-py client that survives cancellation, raising callbacks and a read loop that ends."""

    _pongs: list[asyncio.Future[bool]]
    _reading_task: asyncio.Task[None] | None

    def __init__(self, hooks: Hooks) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._hooks = hooks
        self._corked = False

    async def open(self, servers: list[str], *, name: str) -> None:
        """Connect; tries for ever, so the caller sets the deadline."""
        try:
            await self.connect(  # pyright: ignore[reportUnknownMemberType]
                servers,
                name=name,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
                reconnect_time_wait=0.25,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                connect_timeout=2,
                max_reconnect_attempts=-1,
                ping_interval=5,
                max_outstanding_pings=2,
                pending_size=_BUFFERED_WHILE_AWAY,
            )
        except (Error, ValueError) as error:  # everything else is retried inside
            raise ConfigError(f"cannot make sense of the bus url: {error}; write nats://HOST:PORT") from error

    async def end(self) -> None:
        """Close, within a deadline and also when the caller is cancelled."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_WITHIN, shield=True):
            await self.close()

    @property
    def greeting(self) -> Mapping[str, Any]:
        """What the server said about itself in INFO."""
        return self._server_info

    @property
    def limit(self) -> int:
        """The most bytes that payload and headers of a message may have together."""
        return self._max_payload

    def fits(self, size: int) -> bool:
        """May ``size`` more bytes be buffered? Always while connected (``drained`` is the brake there)."""
        return self.is_connected or self._pending_data_size + size <= _BUFFERED_WHILE_AWAY

    @property
    def flows(self) -> bool:
        """Does what is sent leave at once? Not while the server is away, or slower than we are."""
        if not self.is_connected or self._pending_data_size > _BACKLOG:
            return False
        writer = getattr(self._transport, "_io_writer", None)  # a web socket does not say
        return writer is None or writer.transport.get_write_buffer_size() <= _BACKLOG

    def send(self, command: bytes) -> None:
        """Write ``command`` with all others of this turn of the loop; buffered while the server is away."""
        self._pending.append(command)
        self._pending_data_size += len(command)
        if not self._corked:
            self._corked = True
            asyncio.get_running_loop().call_soon(self._uncork)

    async def drained(self) -> None:
        """Return when the socket takes more; at once if there is no back-pressure."""
        if self.is_connected and self._transport is not None:
            if self._pending_data_size > _BUFFERED_WHILE_AWAY:
                self._write()
            await self._transport.drain()  # type: ignore[no-untyped-call]

    def route(self, subject: str, deliver: Deliver, *, queue: str = "") -> int:
        """Subscribe: ``deliver`` is called in the read loop. Returns the id for ``unroute``."""
        self._sid += 1
        self._subs[self._sid] = _Route(subject, queue, deliver)  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
        if self.is_connected:  # a reconnect replays what is registered
            self.send(f"SUB {subject} {queue} {self._sid}\r\n".encode())
        return self._sid

    def unroute(self, sid: int) -> None:
        """Unsubscribe. Nothing is delivered from here on."""
        if self._subs.pop(sid, None) is not None and self.is_connected:
            self.send(f"UNSUB {sid}\r\n".encode())

    def _uncork(self) -> None:
        self._corked = False
        if self.is_connected:
            self._write()

    def _write(self) -> None:
        if self._pending and self._transport is not None:
            self._transport.writelines(self._pending)
            self._pending = []
        self._pending_data_size = 0

    async def _flusher(self) -> None:
        """No task is needed: ``send`` corks, and nats-py itself writes inline when its flusher is gone."""

    async def _flush_pending(self, force_flush: bool = False) -> None:  # noqa: FBT001, FBT002 - nats-py's signature
        """Upstream swallows CancelledError while it waits for its flusher here. Writing does not wait."""
        del force_flush
        if self.is_connected:
            self._write()

    async def _close(self, status: int, do_cbs: bool = True) -> None:  # noqa: FBT001, FBT002 - nats-py's signature
        """Upstream writes what is unsent to a server that is gone, and raises before it has closed anything."""
        await self._flush_pending()
        self._pending, self._pending_data_size = [], 0
        await super()._close(status, do_cbs)

    async def _process_pong(self) -> None:
        """Upstream sets the result of a future that may be cancelled, which ends the read loop."""
        if self._pongs:
            waiting = self._pongs.pop(0)
            if not waiting.done():
                waiting.set_result(True)
            self._pongs_received += 1
            self._pings_outstanding = 0

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        """From the parser to ``deliver`` without a queue in between. Whatever ``deliver`` raises ends here."""
        route: Any = self._subs.get(sid)
        if route is None:
            return
        try:
            parsed = parse_headers(headers) if headers else {}
            route.deliver(Reply(subject.decode("utf-8", "replace"), data, parsed, reply.decode("utf-8", "replace")))
        except Exception:  # noqa: BLE001 - a raising deliver must not end the read loop
            _log.exception("deliver failed for a message on %r", subject.decode("utf-8", "replace"))

    async def _read_loop(self) -> None:
        """Upstream logs an unexpected error and leaves a client that is connected and deaf. Ours reconnects."""
        await super()._read_loop()
        task = asyncio.current_task()
        if self.is_connected and task is not None and task is self._reading_task and not task.cancelling():
            await self._process_op_err(UnexpectedEOF())

    async def _attempt_reconnect(self) -> None:
        """Upstream waits for ever after an error that it does not expect. Ours closes, and its owner hears of it."""
        try:
            await super()._attempt_reconnect()
        except Exception:  # noqa: BLE001 - upstream may let anything through; it is logged
            _log.exception("reconnecting failed for good")
            self._reconnection_task = None  # close() would cancel and await the task that runs this
            await self.close()

    async def _on_error(self, error: Exception) -> None:
        self._note(lambda: self._hooks.failed(error))

    async def _on_disconnected(self) -> None:
        self._note(self._hooks.disconnected)

    async def _on_reconnected(self) -> None:
        self._note(self._hooks.reconnected)

    async def _on_closed(self) -> None:
        self._note(self._hooks.closed)

    def _note(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 - a raising callback would end the read loop or the reconnect
            _log.exception("a connection callback failed")


def parse_headers(block: bytes) -> dict[str, str]:
    """A NATS header block as a mapping, names in the case they came in. Total: what is no header line is skipped."""
    first, *lines = block.decode("utf-8", "replace").split("\r\n")
    headers: dict[str, str] = {}
    status = first[len(_VERSION_LINE) :].strip()
    if status:
        code, _, description = status.partition(" ")
        headers["Status"] = code
        if description:
            headers["Description"] = description
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.strip()
    return headers


def encode(subject: str, payload: bytes, *, headers: Mapping[str, str] | None, reply: str, limit: int) -> bytes:
    """The PUB or HPUB command. What would make the server close the connection is refused here.

    Header names stay in the case they are given: JetStream compares them byte by byte.
    """
    if not _LITERAL.fullmatch(subject) or (reply and not _LITERAL.fullmatch(reply)):
        raise InvalidMessage(
            "bad_subject", f"cannot publish to {subject[:200]!r} with reply {reply[:200]!r}: not literal"
        )
    if len(subject.encode()) + len(reply.encode()) > _CONTROL_LINE:
        raise InvalidMessage(
            "bad_subject", f"the subject {subject[:80]!r}... is too long: the server takes 4,096 bytes"
        )
    head = _header_block(headers) if headers else b""
    size = len(head) + len(payload)
    if size > limit:
        raise BusError(
            f"a message of {size} bytes (headers included) on {subject!r} is above the server's max_payload of {limit}:"
            " put large content into the object store"
        )
    if not head:
        return b"".join((f"PUB {subject} {reply} {size}\r\n".encode(), payload, _CRLF))
    return b"".join((f"HPUB {subject} {reply} {len(head)} {size}\r\n".encode(), head, payload, _CRLF))


def check_subscription(subject: str, queue: str) -> None:
    """Raise ``InvalidMessage`` for what is no subscription subject or no queue group."""
    if not _PATTERN.fullmatch(subject) or len(subject.encode()) > _CONTROL_LINE:
        raise InvalidMessage("bad_subject", f"cannot subscribe to {subject[:200]!r}: it is not a NATS subject")
    if queue and not _LITERAL.fullmatch(queue):
        raise InvalidMessage("bad_subject", f"queue group is {queue[:200]!r}: use one word")


def _header_block(headers: Mapping[str, str]) -> bytes:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or _BREAKS_LINE.search(value):
            raise InvalidMessage("bad_header", f"header {name[:64]!r} is {value[:64]!r}: use one line of text")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{_VERSION_LINE}\r\n{lines}\r\n".encode()
