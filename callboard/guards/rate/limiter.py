"""Shell: the rate limiter that all workers share: one in the deployment, and another takes over when it is gone.

A guard process runs it beside its sidecar, as a child of its own::

    children["rate"] = rate_child(bus, guarding.rate_limits, name="guard-1")

Every guard process may run one: they agree on who answers by a lease in the bucket, renewed every second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias, assert_never

import anyio
from pydantic import AwareDatetime, ValidationError

from callboard.actors.actor import Actor, Run
from callboard.bus.bus import Bus
from callboard.bus.client import Connection, Reply
from callboard.bus.ports import States
from callboard.bus.values import Message
from callboard.clock import Clock
from callboard.config.guards import RateLimit
from callboard.errors import BusError, BusUnreachable, StaleAppend
from callboard.guards.rate.desk import Desk
from callboard.guards.rate.line import Want
from callboard.guards.rate.wire import GUARD, QUESTION, Answer, Begun, Done, Take
from callboard.log import get_logger

log = get_logger(__name__)
_LEASE: Final = 3.0
_BEAT: Final = 1.0
_MAILBOX: Final = 100_000
_KEY: Final = (GUARD, "holder")
_INBOX: Final = "_INBOX."
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Heard:
    """A worker says something."""

    message: Reply


@dataclass(frozen=True, slots=True)
class Free:
    """It is the turn of a call."""

    want: Want


Heeded: TypeAlias = Heard | Free


class RateLimiter(Actor[Heeded]):
    """Answers on ``cb.gate.<tenant>.rate``. Whom it let go is remembered until that call is over, or its lease."""

    def __init__(self, connection: Connection, limits: Mapping[str, RateLimit], clock: Clock) -> None:
        super().__init__(mailbox=_MAILBOX)
        self._connection = connection
        self._desk = Desk(limits, clock, self._go)

    async def receive(self, message: Heeded) -> None:
        match message:
            case Heard(said):
                await self._heard(said)
            case Free(want):
                await self._answer(want.reply, Answer(id=want.id, status="granted"))
            case _:
                assert_never(message)

    async def serve(self, ready: anyio.Event) -> None:
        """Listen and answer until cancelled."""
        subject = f"{self._connection.subjects.prefix}.gate.*.{GUARD}"
        async with self, self._connection.subscribe(subject, self._listen):
            try:
                ready.set()
                await anyio.sleep_forever()
            finally:
                self._desk.close()

    def _listen(self, message: Reply) -> None:
        self.address.tell(Heard(message))

    def _go(self, line: str, want: Want) -> None:  # noqa: ARG002 - the desk's
        self.address.tell(Free(want))

    async def _heard(self, message: Reply) -> None:
        try:
            said = QUESTION.validate_json(message.payload)
        except ValidationError as error:
            log.warning("not understood", subject=message.subject, error=str(error)[:200])
            return
        if not self._desk.knows(said.line):
            if isinstance(said, Take):
                await self._answer(message.reply, Answer(id=said.id, status="unknown"))
            return
        match said:
            case Take():
                await self._take(message, said)
            case Begun():
                self._desk.begun(said.line, _want(message, said))
            case Done():
                self._desk.done(said)
            case _:
                assert_never(said)

    async def _take(self, message: Reply, take: Take) -> None:
        known = self._desk.has_let_go(take.line, take.id)
        wait = self._desk.take(take.line, _want(message, take, away=take.away))
        if known:  # the answer was lost, or came while nobody waited for it
            await self._answer(message.reply, Answer(id=take.id, status="granted"))
        elif wait:
            await self._answer(message.reply, Answer(id=take.id, status="queued", wait=wait))

    async def _answer(self, to: str, answer: Answer) -> None:
        if not to.startswith(_INBOX):  # nobody makes us publish elsewhere
            return
        try:
            await self._connection.publish(to, answer.model_dump_json().encode())
        except BusUnreachable as error:
            log.warning("an answer was lost", error=str(error))


def _want(message: Reply, said: Take | Begun, *, away: float = 0.0) -> Want:
    tenant = message.subject.split(".")[-2]  # the server has checked who may publish there
    return Want(said.id, tenant, said.input_tokens, said.output_tokens, said.lease, reply=message.reply, away=away)


class Holder(Message):
    """Who answers, in the bucket under ``rate.holder``."""

    holder: str
    until: AwareDatetime


class Lease:
    """The right to be the one that answers."""

    def __init__(self, states: States, clock: Clock, me: str) -> None:
        self._states, self._clock, self._me = states, clock, me
        self._until = _LONG_AGO

    async def take(self) -> bool:
        """Get or renew it. A bus that is away takes it from nobody before its time."""
        now = self._clock.now()
        try:
            with anyio.move_on_after(_BEAT):
                found = await self._states.get(*_KEY)
                held = None if found is None else _holder(found.value)
                if held is not None and held.holder != self._me and now < held.until:
                    self._until = _LONG_AGO
                    return False
                await self._put(now + timedelta(seconds=_LEASE), 0 if found is None else found.revision)
                self._until = now + timedelta(seconds=_LEASE)
        except StaleAppend:
            self._until = _LONG_AGO
        except BusError as error:
            log.warning("the lease of the rate limiter is not renewed", error=str(error))
        return now < self._until

    async def leave(self) -> None:
        """Let another one have it at once."""
        with anyio.move_on_after(_BEAT, shield=True):
            try:
                found = await self._states.get(*_KEY)
                held = None if found is None else _holder(found.value)
                if found is not None and held is not None and held.holder == self._me:
                    await self._put(self._clock.now(), found.revision)
            except BusError as error:
                log.debug("the lease runs out by itself", error=str(error))

    async def _put(self, until: datetime, expect: int) -> None:
        value = Holder(holder=self._me, until=until).model_dump_json().encode()
        await self._states.put(*_KEY, value=value, expect=expect)


def rate_child(bus: Bus, limits: Mapping[str, RateLimit], *, name: str) -> Run:
    """What a guard process runs so that its deployment has a rate limiter. Ready at once, also while another has it."""

    async def run(ready: anyio.Event) -> None:
        lease = Lease(bus.states, bus.clock, f"{name}/{bus.clock.new_id()}")
        ready.set()
        try:
            while True:
                if await lease.take():
                    await _serve(bus, limits, lease)
                await anyio.sleep(_BEAT)
        finally:
            await lease.leave()

    return run


async def _serve(bus: Bus, limits: Mapping[str, RateLimit], lease: Lease) -> None:
    """Answer as long as the lease holds."""
    async with anyio.create_task_group() as group:
        group.start_soon(RateLimiter(bus.connection, limits, bus.clock).serve, anyio.Event())
        while await lease.take():  # noqa: ASYNC110 - it is renewed
            await anyio.sleep(_BEAT)
        group.cancel_scope.cancel()


def _holder(value: bytes) -> Holder | None:
    try:
        return Holder.model_validate_json(value)
    except ValidationError:
        return None
