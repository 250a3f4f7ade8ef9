"""Shell: publish with an acknowledgement and read what a stream holds, by the JetStream API on a bare request.

The nats-py JetStream context is not used: it hides which answer came, and a fact must not be published through a
timeout that nobody looks at.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar, cast

import anyio

from callboard.bus.client import Connection, Reply
from callboard.bus.connection import parse_headers
from callboard.errors import BusError, BusRefused, BusUnreachable

PATIENCE: Final = 20.0
"""Seconds that a call goes on trying: a cluster that lost its leader is silent for 4 to 9 s, in a partition for 14."""
ATTEMPT: Final = 2.0
"""Seconds that one attempt waits for its answer."""
STALE: Final = 10071
IN_FLIGHT: Final = 10164
FULL: Final = 10077
_NOT_FOUND: Final = 10037
_UNAVAILABLE: Final = 503
_SHORTEST: Final = 0.002
_LONGEST: Final = 0.25
_BATCH: Final = 512
_BATCH_BYTES: Final = 8 * 1024 * 1024
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ack:
    """The server's answer to a publish: ``sequence``, or an error's ``err_code`` with its ``description``.

    ``value`` is a counter's new total, not given for a duplicate.
    """

    sequence: int = 0
    duplicate: bool = False
    value: str = ""
    err_code: int = 0
    description: str = ""
    retryable: bool = False

    def error(self, what: str) -> BusError:
        """The refusal as an error."""
        text = f"the server refuses {what}: {self.description} (err_code {self.err_code})"
        return BusUnreachable(text, retryable=True) if self.retryable else BusRefused(text)


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """A message as a stream holds it."""

    subject: str
    sequence: int
    payload: bytes
    headers: Mapping[str, str]
    at: datetime


class Patience:
    """Pauses between the attempts of one call: they grow, and end in the error when the time is up."""

    __slots__ = ("_pause", "_until")

    def __init__(self) -> None:
        self._until = anyio.current_time() + PATIENCE
        self._pause = _SHORTEST

    async def pause(self, error: BusError) -> None:
        """Wait before the next attempt. Raises ``error`` if it is final or the time is up."""
        if not error.retryable:
            raise error
        if anyio.current_time() >= self._until:
            raise BusUnreachable(f"gave up after {PATIENCE} s: {error}", retryable=True) from error
        await anyio.sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST)


async def publish(connection: Connection, subject: str, payload: bytes, *, headers: Mapping[str, str]) -> Ack:
    """One attempt. Raises ``BusUnreachable`` (retryable) without an answer: the message may be stored or not."""
    reply = await connection.request(subject, payload, headers=headers, timeout=ATTEMPT)
    answer = _answer(reply, subject)
    error = answer.get("error")
    if error is None:
        return Ack(int(answer["seq"]), duplicate=bool(answer.get("duplicate")), value=str(answer.get("val", "")))
    code, err_code = error.get("code"), int(error.get("err_code", 0))
    retryable = err_code == IN_FLIGHT or (code == _UNAVAILABLE and err_code != FULL)
    return Ack(err_code=err_code, description=str(error.get("description", "")), retryable=retryable)


async def publish_until_stored(
    connection: Connection, subject: str, payload: bytes, *, headers: Mapping[str, str]
) -> Ack:
    """Repeat an idempotent publish until the server has answered it. The answer may be an error that is final."""
    patience = Patience()
    while True:
        try:
            ack = await publish(connection, subject, payload, headers=headers)
            if not ack.retryable:
                return ack
            await patience.pause(ack.error(f"a message on {subject!r}"))
        except BusUnreachable as error:
            await patience.pause(error)


async def last_of(connection: Connection, stream: str, subject: str) -> StreamMessage | None:
    """The last message of a subject, read through the stream's leader."""
    return await _leader_get(connection, stream, {"last_by_subj": subject})


async def next_of(connection: Connection, stream: str, subject: str, *, after: int) -> StreamMessage | None:
    """The first message of a subject behind sequence ``after``, read through the stream's leader."""
    return await _leader_get(connection, stream, {"seq": after + 1, "next_by_subj": subject})


async def first_since(connection: Connection, stream: str, subject: str, at: datetime) -> StreamMessage | None:
    """The first message of a subject (or filter) that was stored at ``at`` or later, read through the leader."""
    return await _leader_get(connection, stream, {"start_time": at.isoformat(), "next_by_subj": subject})


async def by_sequence(connection: Connection, stream: str, sequence: int) -> StreamMessage | None:
    """The message at ``sequence``, read through the stream's leader."""
    return await _leader_get(connection, stream, {"seq": sequence})


async def subjects_of(connection: Connection, stream: str, subject: str) -> list[str]:
    """The subjects of a stream that match the filter ``subject``."""
    answer = await patiently(lambda: api(connection, f"STREAM.INFO.{stream}", {"subjects_filter": subject}))
    if "error" in answer:
        raise BusRefused(f"the server refuses a look at {stream!r}: {answer['error'].get('description')}")
    return sorted(answer["state"].get("subjects") or ())


async def direct_batch(connection: Connection, stream: str, subject: str, *, after: int) -> list[StreamMessage]:
    """The messages of a subject (or filter) behind ``after``, from any replica: the newest may be missing."""
    found: list[StreamMessage] = []
    while True:
        page, more = await direct_page(connection, stream, subject, after=after)
        found += page
        if not more:
            return found
        after = found[-1].sequence


async def direct_page(
    connection: Connection, stream: str, subject: str, *, after: int
) -> tuple[list[StreamMessage], bool]:
    """The next some hundred of these messages, and whether the replica that answers has more."""
    body = {"seq": after + 1, "batch": _BATCH, "max_bytes": _BATCH_BYTES, "next_by_subj": subject}
    *messages, end = await patiently(partial(_batch, connection, stream, json.dumps(body).encode()))
    more = bool(messages) and int(end.headers.get("Nats-Num-Pending", 0)) > 0
    return [_direct(message) for message in messages], more


async def behind(connection: Connection, stream: str, subject: str, *, after: int) -> list[StreamMessage]:
    """The messages of a subject (or filter) behind ``after``, complete as of the call: checked through the leader.

    The leader is asked for the last one while the messages are read: one round trip, for kills wait for it.
    """
    asked = json.dumps({"last_by_subj": subject}).encode()
    with connection.requested(f"$JS.API.STREAM.MSG.GET.{stream}", asked, timeout=ATTEMPT) as answer:
        found = await direct_batch(connection, stream, subject, after=after)
        seen = found[-1].sequence if found else after
        try:
            tail = _leader_found(_api_answer(await answer(), subject), stream)
        except BusUnreachable:
            tail = await last_of(connection, stream, subject)
    while tail is not None and seen < tail.sequence:  # the replica that answered lags behind the leader
        lagging = await next_of(connection, stream, subject, after=seen)
        if lagging is None:
            break
        found.append(lagging)
        seen = lagging.sequence
    return found


async def patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """Repeat a read while the server does not answer. Raises ``BusUnreachable`` when the time is up."""
    patience = Patience()
    while True:
        try:
            return await call()
        except BusUnreachable as error:
            await patience.pause(error)


async def api(connection: Connection, subject: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """One answer of ``$JS.API.<subject>``, errors included. Raises ``BusUnreachable`` (retryable) without one."""
    return _api_answer(
        await connection.request(f"$JS.API.{subject}", json.dumps(body).encode(), timeout=ATTEMPT), subject
    )


def _api_answer(reply: Reply, subject: str) -> dict[str, Any]:
    answer = _answer(reply, subject)
    error = answer.get("error")
    if error is not None and error.get("code") == _UNAVAILABLE:
        raise BusUnreachable(f"$JS.API.{subject}: {error.get('description')}", retryable=True)
    return answer


async def _leader_get(connection: Connection, stream: str, body: Mapping[str, Any]) -> StreamMessage | None:
    return _leader_found(await patiently(lambda: api(connection, f"STREAM.MSG.GET.{stream}", body)), stream)


def _leader_found(answer: Mapping[str, Any], stream: str) -> StreamMessage | None:
    error = answer.get("error")
    if error is None:
        return _leader_message(answer["message"])
    if error.get("err_code") == _NOT_FOUND:
        return None
    raise BusRefused(f"the server refuses a read of {stream!r}: {error.get('description')}")


async def _batch(connection: Connection, stream: str, body: bytes) -> list[Reply]:
    replies = await connection.request_many(
        f"$JS.API.DIRECT.GET.{stream}", body, timeout=ATTEMPT, done=lambda reply: "Status" in reply.headers
    )
    status = replies[-1].headers.get("Status")
    if status not in {"204", "404"}:
        description = replies[-1].headers.get("Description", "")
        raise BusRefused(f"the server refuses a batch read of {stream!r}: {status} {description}")
    return replies


def _answer(reply: Reply, subject: str) -> dict[str, Any]:
    try:
        answer = json.loads(reply.payload)
    except ValueError as error:
        raise BusRefused(f"no JetStream answer on {subject!r}: {reply.payload[:80]!r}") from error
    if not isinstance(answer, dict):
        raise BusRefused(f"no JetStream answer on {subject!r}: {reply.payload[:80]!r}")
    return cast("dict[str, Any]", answer)


def _leader_message(message: Mapping[str, Any]) -> StreamMessage:
    return StreamMessage(
        message["subject"],
        message["seq"],
        base64.b64decode(message.get("data", "")),
        parse_headers(base64.b64decode(message["hdrs"])) if "hdrs" in message else {},
        datetime.fromisoformat(message["time"]),
    )


def _direct(reply: Reply) -> StreamMessage:
    headers = reply.headers
    return StreamMessage(
        headers["Nats-Subject"],
        int(headers["Nats-Sequence"]),
        reply.payload,
        headers,
        datetime.fromisoformat(headers["Nats-Time-Stamp"]),
    )
