"""Shell: the rate limit as a gate. It asks the limiter that all share; without one it keeps the limits by itself.

async with rate_gates(bus, {"anthropic/claude-opus-5": RateLimit(requests=50)}) as gates: ...
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import anyio
from pydantic import JsonValue, ValidationError

from callboard.actors.gate import GRANT, Answer, Ask, Ending, Grant, NoGate, Refusal
from callboard.bus.bus import Bus
from callboard.bus.client import Connection, Reply
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_words import Action
from callboard.bus.messages import Problem
from callboard.clock import Clock
from callboard.config.guards import RateLimit
from callboard.config.times import duration, instant
from callboard.errors import BusError
from callboard.guards.rate import wire
from callboard.guards.rate.desk import Desk
from callboard.guards.rate.estimate import counted, needed, observe, too_large
from callboard.guards.rate.families import limit_of, line_of
from callboard.guards.rate.headers import learn
from callboard.guards.rate.line import Want
from callboard.guards.rate.waiting import Place, Waiting
from callboard.guards.rate.wire import GUARD
from callboard.guards.speaking import Say, speaking
from callboard.log import get_logger
from callboard.models.tokens import Calibration

log = get_logger(__name__)
_ASK_AGAIN: Final = 1.0
GONE: Final = 5.0
"""Seconds without an answer to any question after which there is no limiter. Another takes over in four; and one that
is only slow must be waited for, or each worker would allow at the same time what the provider allows for all."""
_SAY_EVERY: Final = 60.0
PATIENCE: Final = 30.0
"""Seconds that a call waits on its worker; beyond that its run is put off."""
_PUT_OFF: Final = 2.5
_LATE: Final = 30.0
"""Seconds that a run which was put off may come back late without losing its place."""
_FROZEN: Final = 5.0
"""Seconds of quiet after a 429 that names none."""
_LONGEST: Final = 86_400.0
"""Seconds of quiet that a provider gets at most, whatever it asks for."""
_SPARE: Final = 5.0


class RateGates(NoGate):
    """Implements ``Gates`` and, as it knows nothing of runs, ``RunGate``. ``limits``: see ``families``."""

    def __init__(
        self,
        connection: Connection,
        limits: Mapping[str, RateLimit],
        clock: Clock,
        *,
        say: Say,
        chance: Callable[[], float],
    ) -> None:
        self._connection, self._limits, self._clock = connection, limits, clock
        self._say, self._chance = say, chance
        self.inbox = connection.new_inbox()
        self._waiting: dict[str, Waiting] = {}
        self._desk = Desk(limits, clock, self._go)
        self._unanswered: float | None = None
        """Since when (monotonic) the limiter has been asked and has said nothing."""
        self._said: dict[str, float] = {}
        self._tokens = Calibration()

    def admit(self, ask: Ask) -> Answer | Awaitable[Answer]:
        """Wait until the model's limit has room; refuse what would wait too long."""
        if ask.kind != "model" or ask.request is None:
            return GRANT
        line = line_of(self._limits, ask.request.model)
        if line is None:
            return GRANT
        take = wire.Take(
            id=_id(ask),
            line=line,
            input_tokens=needed(ask.request, ask.state, self._tokens),
            output_tokens=ask.request.model.max_output,
            lease=ask.request.timeout + _SPARE,
        )
        return self._take(ask, take)

    async def _take(self, ask: Ask, take: wire.Take) -> Answer:
        self._warn_of_size(ask, take)
        waiting = self._waiting[take.id] = Waiting()
        settled = False
        try:
            place = await self._wait(ask, take, waiting)
            answer = place or await self._put_off(ask, take, 0.0 if waiting.answer is None else waiting.answer.wait)
            settled = True
        finally:
            self._waiting.pop(take.id, None)
            if not settled:
                with anyio.CancelScope(shield=True):
                    await self._over(ask, wire.Done(id=take.id, line=take.line, started=False))
        return answer

    def done(self, ask: Ask, grant: Grant, ending: Ending) -> Awaitable[None] | None:
        """Give the permit back, and say what was used."""
        return self._give_back(ask, grant, ending) if isinstance(grant, Place) else None

    async def _give_back(self, ask: Ask, grant: Place, ending: Ending) -> None:
        assert ask.request is not None, "a place is a model call's"
        used = counted(ending.usage, ask.request.model.provider)
        if used is not None and ending.how == "done":
            observe(ask.request, ending.usage, self._tokens)
        frozen = 0.0
        if ending.error == "model_rate":
            frozen = _FROZEN if ending.retry_after is None else min(max(0.0, ending.retry_after), _LONGEST)
            self._once("throttle", f"{ask.name} asks for {duration(frozen)} of quiet", ask)
        learned = learn(ending.limits, now=self._clock.now())
        over = wire.Done(
            id=grant.id,
            line=grant.line,
            input_tokens=None if used is None else used[0],
            output_tokens=None if used is None else used[1],
            started=ending.how != "unstarted",
            frozen=min(max(frozen, learned.frozen), _LONGEST),
            allowed=learned.allowed,
        )
        await self._over(ask, over)

    def heard(self, message: Reply) -> None:
        """An answer of the limiter."""
        try:
            answer = wire.Answer.model_validate_json(message.payload)
        except ValidationError:
            return  # nobody listens there: the server says so without a body
        self._unanswered = None
        if (waiting := self._waiting.get(answer.id)) is not None:
            waiting.tell(answer, shared=True)

    def close(self) -> None:
        """No more alarms."""
        self._desk.close()

    async def _wait(self, ask: Ask, take: wire.Take, waiting: Waiting) -> Place | None:
        patience = self._patience(ask)
        until, gone = self._clock.monotonic() + patience, min(GONE, patience / 2)
        while (left := until - self._clock.monotonic()) > 0:
            await self._ask(ask, take)
            if self._silent >= gone:
                self._once("warn", "no rate limiter answers: this worker keeps the limits by itself", ask)
                place = await self._alone(ask, take, waiting, until=until, gone=gone)
                if place is not None or self._silent >= gone:
                    return place
                self._desk.done(wire.Done(id=take.id, line=take.line, started=False))
                continue
            answer = await waiting.hear(min(_ASK_AGAIN, left, gone))
            if answer is not None and answer.status == "queued" and answer.wait < left:
                answer = await waiting.hear(min(_ASK_AGAIN, left))
            match answer:
                case wire.Answer(status="granted"):
                    return self._place(ask, take, shared=waiting.shared)
                case wire.Answer(status="queued") if answer.wait >= left:
                    return None
                case wire.Answer(status="unknown"):
                    self._once("warn", f"the rate limiter knows no {take.line!r}: this worker keeps it by itself", ask)
                    return await self._alone(ask, take, waiting, until=until, gone=0.0)
                case _:
                    waiting.again()
        return None

    async def _alone(self, ask: Ask, take: wire.Take, waiting: Waiting, *, until: float, gone: float) -> Place | None:
        """Keep the limit here until the call may go, has no time to wait for it, or somebody answers again."""
        want = _want(ask, take)
        while (left := until - self._clock.monotonic()) > 0 and self._silent >= gone:
            waiting.again()
            wait = self._desk.take(take.line, want)
            if not wait:
                return self._place(ask, take, shared=False)
            if wait >= left:
                waiting.tell(wire.Answer(id=take.id, status="queued", wait=wait), shared=False)
                break
            answer = await waiting.hear(min(_ASK_AGAIN, left))
            if answer is not None and answer.status == "granted":
                return self._place(ask, take, shared=waiting.shared)
            await self._ask(ask, take)
        return None

    def _go(self, line: str, want: Want) -> None:  # noqa: ARG002 - the desk's
        if (waiting := self._waiting.get(want.id)) is not None:
            waiting.tell(wire.Answer(id=want.id, status="granted"), shared=False)

    def _place(self, ask: Ask, take: wire.Take, *, shared: bool) -> Place:
        return Place(id=take.id, line=take.line, shared=shared, begins=partial(self._begun, ask, take))

    def _begun(self, ask: Ask, take: wire.Take) -> None:
        """Told to both: one of them has let it go, and the limiter counts what a worker has let go alone."""
        self._desk.begun(take.line, _want(ask, take))
        subject = self._connection.subjects.gate(ask.key.tenant, GUARD)
        self._connection.offer(subject, wire.begun(take).model_dump_json().encode())

    async def _ask(self, ask: Ask, take: wire.Take) -> None:
        if self._unanswered is None:
            self._unanswered = self._clock.monotonic()
        await self._publish(ask, take, reply=self.inbox)

    @property
    def _silent(self) -> float:
        """Seconds for which the limiter has been asked, and has said nothing."""
        return 0.0 if self._unanswered is None else self._clock.monotonic() - self._unanswered

    async def _over(self, ask: Ask, done: wire.Done) -> None:
        """Told to both: whoever did not let it start knows nothing of it."""
        self._desk.done(done)
        await self._publish(ask, done)

    async def _publish(self, ask: Ask, message: wire.Take | wire.Done, *, reply: str = "") -> None:
        subject = self._connection.subjects.gate(ask.key.tenant, GUARD)
        try:
            await self._connection.publish(subject, message.model_dump_json().encode(), reply=reply)
        except BusError as error:
            log.debug("the rate limiter was not told", error=str(error))

    def _patience(self, ask: Ask) -> float:
        created = ask.state.created
        if created is None or created.deadline is None:
            return PATIENCE
        return min(PATIENCE, max(0.0, (created.deadline - self._clock.now()).total_seconds()))

    async def _put_off(self, ask: Ask, take: wire.Take, wait: float) -> Refusal:
        """Its run waits elsewhere, and keeps its place in the line."""
        seconds = max(wait, _PUT_OFF) + self._chance()
        retry_at = self._clock.now() + timedelta(seconds=seconds)
        away = take.model_copy(update={"away": seconds + _LATE})
        if self._desk.has(take.line, take.id):
            self._desk.take(take.line, _want(ask, away))
        await self._publish(ask, away, reply=self.inbox)
        message = f"what {ask.name} allows in a minute is used up"
        hint = f"it is asked again at {instant(retry_at)}; raise rate_limits if the provider allows more"
        return Refusal(GUARD, Problem(kind="rate_limited", message=message, hint=hint), retry_at=retry_at)

    def _warn_of_size(self, ask: Ask, take: wire.Take) -> None:
        limit = limit_of(self._limits, take.line)
        if limit is not None and (problem := too_large(limit, take.input_tokens, take.output_tokens)):
            self._once("warn", f"a call of {ask.name} {problem}", ask, what="size")

    def _once(self, action: Action, reason: str, ask: Ask, *, what: str = "") -> None:
        """Say it, at most once a minute."""
        now, what = self._clock.monotonic(), f"{action} {what} {ask.name}"
        if now - self._said.get(what, -_SAY_EVERY) < _SAY_EVERY:
            return
        self._said[what] = now
        at, event = self._clock.now(), self._clock.new_id()
        data: JsonValue = {"model": ask.name}
        self._say("_", GuardEvent(id=event, at=at, guard=GUARD, action=action, acted=True, reason=reason, data=data))


def _id(ask: Ask) -> str:
    """The same for an attempt that was put off and comes again, on whatever worker: so it finds its place."""
    attempt = f"{ask.key.tenant}/{ask.key.run}/{ask.call}/{ask.attempt}"
    return hashlib.sha256(attempt.encode()).hexdigest()[:32]


def _want(ask: Ask, take: wire.Take) -> Want:
    return Want(take.id, ask.key.tenant, take.input_tokens, take.output_tokens, take.lease, away=take.away)


@asynccontextmanager
async def rate_gates(bus: Bus, limits: Mapping[str, RateLimit]) -> AsyncGenerator[RateGates]:
    """The rate limits of a worker; leave them after it has ended."""
    chance = random.SystemRandom().random
    async with speaking(bus.guard_log) as say:
        gates = RateGates(bus.connection, limits, bus.clock, say=say, chance=chance)
        try:
            async with bus.connection.subscribe(gates.inbox, gates.heard):
                yield gates
        finally:
            gates.close()
