"""Shell: make a server's streams and consumers agree with their specs. Creates and updates, never deletes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

import anyio
from pydantic import JsonValue

from callboard.bus.client import Connection
from callboard.bus.topology import ConsumerSpec, StreamSpec
from callboard.errors import BusRefused, BusUnreachable

_ANSWER_WITHIN: Final = 5.0
_PATIENCE: Final = 20.0  # a cluster that has just started or lost its leader: elections take up to 9 s
_RETRY_AFTER: Final = 0.1
_NO_STREAM: Final = 10059
_NO_CONSUMER: Final = 10014
_NAME_IN_USE: Final = 10058  # somebody else created it, with other settings, after we had looked
_UNAVAILABLE: Final = 503
_NO_PEERS: Final = 10005  # a cluster whose nodes have not all met yet
_LIMITS: Final = ("max_msgs", "max_bytes", "max_age")

Json = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is not as wanted."""

    setting: str
    found: JsonValue
    wanted: JsonValue

    def __str__(self) -> str:
        return f"{self.setting} is {self.found!r}, wanted {self.wanted!r}"


@dataclass(frozen=True, slots=True)
class Change:
    """What ``reconcile`` did to a stream. ``differences`` is empty for one that it created."""

    kind: Literal["created", "updated"]
    stream: str
    differences: tuple[Difference, ...] = ()


class _ApiError(Exception):
    """The JetStream API said no."""

    def __init__(self, error: Mapping[str, JsonValue]) -> None:
        super().__init__(str(error.get("description", "no reason given")))
        self.err_code = error.get("err_code")
        self.retryable = error.get("code") == _UNAVAILABLE or self.err_code == _NO_PEERS


async def reconcile(connection: Connection, specs: Iterable[StreamSpec]) -> tuple[Change, ...]:
    """Create the streams that are missing, update those that differ. Several processes may do it at the same time.

    The limits of a stream that exists are its operator's: they stay as they are. All streams are seen to at once: who
    starts waits for a round trip, not for one for each of them.

    Raises ``BusRefused`` with stream, setting, value found and value wanted if a difference may not be changed.
    """
    changes: list[Change] = []
    failure: BaseException | None = None

    async def one(spec: StreamSpec) -> None:
        if (change := await _reconcile_stream(connection, spec)) is not None:
            changes.append(change)

    try:
        async with anyio.create_task_group() as together:
            for spec in specs:
                together.start_soon(one, spec)
    except BaseExceptionGroup as group:
        failure = group.exceptions[0]
    if failure is not None:
        raise failure
    return tuple(changes)


async def ensure_consumer(connection: Connection, stream: str, spec: ConsumerSpec) -> None:
    """Create the durable consumer, or update the one that is there. Idempotent."""
    request: Json = {"stream_name": stream, "config": spec.config()}
    try:
        await _api(connection, f"CONSUMER.CREATE.{stream}.{spec.name}", request)
    except _ApiError as error:
        if error.err_code == _NO_STREAM:
            raise BusRefused(f"there is no stream {stream!r}: reconcile the server first (`callboard up`)") from error
        found = await _config(connection, f"CONSUMER.INFO.{stream}.{spec.name}", absent=_NO_CONSUMER)
        raise _refused(
            f"consumer {spec.name!r} of {stream!r}", _differences(found or {}, spec.config()), error
        ) from error


async def stream_info(connection: Connection, name: str) -> Json | None:
    """``$JS.API.STREAM.INFO``: ``config``, ``state``, …; None if there is no such stream."""
    return await _info(connection, f"STREAM.INFO.{name}", absent=_NO_STREAM)


async def _reconcile_stream(connection: Connection, spec: StreamSpec) -> Change | None:
    wanted = spec.config()
    found = await _config(connection, f"STREAM.INFO.{spec.name}", absent=_NO_STREAM)
    if found is None:
        try:
            await _api(connection, f"STREAM.CREATE.{spec.name}", wanted)
        except _ApiError as error:
            if error.err_code != _NAME_IN_USE:
                raise _refused(f"stream {spec.name!r}", (), error) from error
            found = await _config(connection, f"STREAM.INFO.{spec.name}", absent=_NO_STREAM) or {}
        else:
            return Change("created", spec.name)
    wanted |= {limit: found[limit] for limit in _LIMITS if limit in found}
    differences = _differences(found, wanted)
    if not differences:
        return None
    try:
        await _api(connection, f"STREAM.UPDATE.{spec.name}", found | wanted)
    except _ApiError as error:
        raise _refused(f"stream {spec.name!r}", differences, error) from error
    return Change("updated", spec.name, differences)


def _differences(found: Json, wanted: Json) -> tuple[Difference, ...]:
    """Only what is wanted counts. The server leaves out what is false, zero or empty."""
    return tuple(
        Difference(setting, found.get(setting), value)
        for setting, value in wanted.items()
        if (found.get(setting) or None) != (value or None)
    )


def _refused(what: str, differences: tuple[Difference, ...], error: _ApiError) -> BusRefused:
    if not differences:
        return BusRefused(f"the server refuses {what}: {error}")
    listed = "; ".join(map(str, differences))
    return BusRefused(
        f"{what} cannot be changed ({error}): {listed}. Use another prefix, or back it up and remove it yourself"
    )


async def _config(connection: Connection, subject: str, *, absent: int) -> Json | None:
    info = await _info(connection, subject, absent=absent)
    return None if info is None else cast("Json", info["config"])


async def _info(connection: Connection, subject: str, *, absent: int) -> Json | None:
    try:
        return await _api(connection, subject, {})
    except _ApiError as error:
        if error.err_code == absent:
            return None
        raise BusRefused(f"$JS.API.{subject}: {error}") from error


async def _api(connection: Connection, subject: str, request: Json) -> Json:
    """One call of the JetStream API, repeated while the cluster has no leader."""
    deadline = anyio.current_time() + _PATIENCE
    while True:
        try:
            return await _call(connection, subject, request)
        except (BusUnreachable, _ApiError) as error:
            if not error.retryable or anyio.current_time() > deadline:
                raise
        await anyio.sleep(_RETRY_AFTER)


async def _call(connection: Connection, subject: str, request: Json) -> Json:
    payload = json.dumps(request).encode() if request else b""
    reply = await connection.request(f"$JS.API.{subject}", payload, timeout=_ANSWER_WITHIN)
    answer = cast("Json", json.loads(reply.payload))
    if "error" in answer:
        raise _ApiError(cast("Json", answer["error"]))
    return answer
