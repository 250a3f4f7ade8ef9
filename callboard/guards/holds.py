"""Shell: runs wait for their closed guards. One that is missing, or far behind, holds effects back until it is there.

A run that is held keeps its worker. Guards that are ``open`` hold nothing: when they are missing, that is said.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import anyio
from pydantic import JsonValue, ValidationError

from callboard.actors.gate import GRANT, Answer, Ask, NoGate, RunGate
from callboard.bus.client import Connection, Reply
from callboard.bus.guard_messages import GuardEvent, Pulse
from callboard.bus.guard_words import Action, Missing, Mode
from callboard.bus.messages import Record
from callboard.bus.subjects import RunKey
from callboard.clock import Clock
from callboard.config.once import once
from callboard.config.spec import AgentSpec
from callboard.guards.hosted import Hosted, missing_of
from callboard.guards.pulses import CREDIT, HOLD, Pulses, held
from callboard.guards.sidecar.partitions import PARTITIONS, partition_of
from callboard.guards.speaking import Say
from callboard.log import get_logger

log = get_logger(__name__)
_SAID_AFTER: Final = 0.25
"""Seconds that an effect is held before that is said: a guard is often a few milliseconds behind."""
_LOOK_SECONDS: Final = 0.5
_SAID_EVERY: Final = 60.0
_EVERYBODY: Final = "_"


@dataclass(frozen=True, slots=True)
class _Awaited:
    """A guard of a run."""

    name: str
    mode: Mode
    closed: bool


class Holds:
    """Implements ``Gates``. Made by ``holding``. ``worker`` names it in what it says."""

    def __init__(self, hosted: Sequence[Hosted], say: Say, clock: Clock, *, worker: str) -> None:
        self.clock, self.say = clock, say
        self.pulses = Pulses(clock.monotonic())
        self.heard = anyio.Event()
        """Set, and replaced, at every pulse."""
        self.awaited = once(partial(_awaited, hosted))
        """The guards of the runs of a spec."""
        self._worker = worker
        self._warned: dict[str, float] = {}

    def enter(self, key: RunKey) -> RunGate:
        """The holds of one run."""
        return _RunHolds(self, key, partition_of(key))

    def hear(self, message: Reply) -> None:
        """A pulse has come."""
        try:
            pulse = Pulse.model_validate_json(message.payload)
        except ValidationError:
            return
        if pulse.partitions == PARTITIONS:
            self.pulses = self.pulses.hear(pulse, self.clock.monotonic())
            self.heard.set()
            self.heard = anyio.Event()

    def warn(self, guard: _Awaited, ask: Ask) -> None:
        """Say that an open guard is missing: once a minute."""
        now = self.clock.monotonic()
        if now - self._warned.get(guard.name, -_SAID_EVERY) < _SAID_EVERY:
            return
        self._warned[guard.name] = now
        reason = f"no process of it was heard by {self._worker}: runs go on without it"
        self.tell(_EVERYBODY, guard, ask, "warn", reason=reason, acted=False, mark=self.clock.new_id())

    def tell(
        self,
        tenant: str,
        guard: _Awaited,
        ask: Ask,
        action: Action,
        *,
        reason: str,
        acted: bool,
        mark: str,
        sequence: int = 0,
        data: JsonValue = None,
    ) -> None:
        """Say something of ``guard`` on the bus."""
        identity = f"{ask.key}/{guard.name}/{ask.call}/{ask.attempt}/{action}/{mark}"
        event = GuardEvent(
            id=hashlib.sha256(identity.encode()).hexdigest()[:32],
            at=self.clock.now(),
            guard=guard.name,
            action=action,
            mode=guard.mode,
            acted=acted,
            reason=reason,
            run=ask.key.run,
            agent=ask.spec.name,
            call=ask.call,
            sequence=sequence,
            data=data,
        )
        self.say(tenant, event)


@asynccontextmanager
async def holding(
    connection: Connection, hosted: Sequence[Hosted], say: Say, clock: Clock, *, worker: str
) -> AsyncGenerator[Holds]:
    """``Holds`` that listen to the pulses on ``connection``."""
    holds = Holds(hosted, say, clock, worker=worker)
    async with connection.subscribe(f"{connection.subjects.prefix}.pulse.>", holds.hear):
        yield holds


@dataclass(slots=True)
class _RunHolds(NoGate):
    holds: Holds
    key: RunKey
    partition: int
    _guards: tuple[_Awaited, ...] | None = None
    _closed: tuple[_Awaited, ...] = ()
    _looked: float = -_LOOK_SECONDS
    """When this run last looked for its open guards (monotonic): they hold nothing, so that may be a moment ago."""
    _entries: deque[int] = field(default_factory=lambda: deque[int](maxlen=CREDIT + 1))

    def folded(self, sequence: int, record: Record | None) -> None:  # noqa: ARG002 - the port's
        self._entries.append(sequence)

    def admit(self, ask: Ask) -> Answer | Awaitable[Answer]:
        if self._guards is None:
            self._guards = self.holds.awaited(ask.spec)
            self._closed = tuple(guard for guard in self._guards if guard.closed)
        now = self.holds.clock.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            for guard in self._guards:
                if not guard.closed and self.holds.pulses.missing(guard.name, self.partition, now):
                    self.holds.warn(guard, ask)
        if self._closed and any(self._why(guard, ask) for guard in self._closed):
            return self._until_all_have_judged(ask)
        return GRANT

    def _why(self, guard: _Awaited, ask: Ask) -> str:
        watermark = self.holds.pulses.watermark(guard.name, self.partition, self.holds.clock.monotonic())
        return held(watermark, self._entries, ask.effect)

    async def _until_all_have_judged(self, ask: Ask) -> Answer:
        for guard in self._closed:
            await self._until_judged(guard, ask)
        return GRANT

    async def _until_judged(self, guard: _Awaited, ask: Ask) -> None:
        since, mark = self.holds.clock.monotonic(), ""
        while why := self._why(guard, ask):
            waited = self.holds.clock.monotonic() - since
            if not mark and waited >= _SAID_AFTER:
                mark = self.holds.clock.new_id()
                self._tell(guard, ask, "pause", f"{guard.name} holds the run back: {why}", mark, why=why)
            with anyio.move_on_after(_LOOK_SECONDS if mark else _SAID_AFTER - waited):
                await self.holds.heard.wait()
        if mark:
            self._tell(guard, ask, "observe", f"{guard.name} has caught up: the run goes on", mark, why="")

    def _tell(self, guard: _Awaited, ask: Ask, action: Action, reason: str, mark: str, *, why: str) -> None:
        last, tenant = self._entries[-1] if self._entries else 0, self.key.tenant
        data: JsonValue = {HOLD: why}
        self.holds.tell(tenant, guard, ask, action, reason=reason, acted=True, mark=mark, sequence=last, data=data)


def _awaited(hosted: Sequence[Hosted], spec: AgentSpec) -> tuple[_Awaited, ...]:
    return tuple(_of(hosted, spec))


def _of(hosted: Sequence[Hosted], spec: AgentSpec) -> Iterator[_Awaited]:
    for each in hosted:
        try:
            made = each.make(spec)
            missing: Missing = each.missing if made is None else missing_of(spec, each.name, made[0])
        except Exception as error:  # noqa: BLE001 - the code of others; what becomes of its runs does not depend on it
            log.warning("a guard cannot be made", guard=each.name, agent=spec.name, error=repr(error))
            yield _Awaited(each.name, "enforce", each.missing == "closed")
        else:
            if made is not None:
                yield _Awaited(each.name, made[1], missing == "closed" and made[1] == "enforce")
