"""Shell: the breakers of a worker as gates. They share their circuits over the bucket, and work alone without it.

async with breaker_gates(bus, settings, worker="w1") as gates: ...
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup

from callboard.actors.actor import group_of_one
from callboard.actors.gate import GRANT, Answer, Ask, Ending, Grant, NoGate, Refusal
from callboard.actors.turns import Turns
from callboard.bus.bus import Bus
from callboard.bus.guard_ports import GuardLog
from callboard.bus.ports import States, StateValue
from callboard.clock import Clock
from callboard.config.guards import Breaker
from callboard.errors import BusError, StaleAppend
from callboard.guards.breaker.circuit import LAST_RESORT, LEASE, OTHERS_FOR, Circuit, lasts, parsed
from callboard.guards.breaker.machine import (
    Claim,
    Hold,
    Let,
    Over,
    View,
    again,
    ask,
    idle,
    over,
    put,
    renewed,
    see,
    unclaimed,
    went_well,
)
from callboard.guards.breaker.names import GUARD, Line, line, problem, said
from callboard.guards.breaker.outcome import last_but_one, outcome
from callboard.log import get_logger

log = get_logger(__name__)
_BUCKET_SECONDS: Final = 1.0
"""How long a call waits for the bucket before the breaker decides alone."""
_WATCH_AGAIN: Final = 1.0
_SWEEP: Final = 60.0
_TRIES: Final = 8
_COUNTED: Final = Grant()
"""The grant of a call whose end is counted."""


@dataclass(frozen=True, slots=True)
class Probe(Grant):
    """The grant of the one call that finds out."""


class BreakerGates(NoGate):
    """Implements ``Gates`` and, as it knows nothing of runs, ``RunGate``. ``chance`` gives numbers from 0 to 1."""

    def __init__(
        self,
        states: States,
        said: GuardLog,
        clock: Clock,
        *,
        settings: Breaker,
        worker: str,
        tasks: TaskGroup,
        chance: Callable[[], float],
    ) -> None:
        self._states, self._said, self._clock = states, said, clock
        self._settings, self._worker, self._tasks, self._chance = settings, worker, tasks, chance
        self._me = f"{worker}/{clock.new_id()}"
        self._views: dict[Line, View] = {}
        self._lines: dict[tuple[str, ...], Line] = {}
        self._known: dict[tuple[str, ...], StateValue] = {}
        self._turns: dict[Line, Turns] = {}

    def admit(self, ask: Ask) -> Answer | Awaitable[Answer]:
        """Refuse what goes over an open circuit, except for the one probe of the fleet."""
        if (at := line(ask)) is None:
            return GRANT
        if self._view(at).circuit.phase == "closed":
            return _COUNTED  # as mostly, and this is asked before each call
        decided = self._decide(at)
        return self._probe(at, decided) if isinstance(decided, Claim) else decided

    def done(self, ask: Ask, grant: Grant, ending: Ending) -> None:
        """Count it, and tell the others what it changes."""
        at, probe = line(ask), isinstance(grant, Probe)
        assert at is not None, "of what has none it is not told"
        what = outcome(ask, ending, slow_after=self._settings.slow_after)
        view, now = self._view(at), self._clock.now()
        if what == "good" and not probe and (after := went_well(view, now)) is not None:
            self._views[at] = after
            return
        end = Over(what, ending.seconds, probe=probe, last_but_one=last_but_one(ask))
        self._views[at], new = over(view, end, now, chance=self._chance())
        if new is not None:
            self._tasks.start_soon(self._tell if probe else self._insist, at, new)

    async def follow(self) -> None:
        """Learn what others put into the bucket, for ever."""
        while True:
            try:
                async with self._states.watch(GUARD, deliver=self._heard):
                    await anyio.sleep_forever()
            except BusError as error:
                log.warning("circuits are not shared just now", error=str(error))
            await anyio.sleep(_WATCH_AGAIN)

    async def renew(self) -> None:
        """Keep the leases of this worker's probes, for ever."""
        while True:
            await anyio.sleep(LEASE / 3)
            for at, view in tuple(self._views.items()):
                if renewed(view, self._clock.now()) is not None:
                    async with self._turn(at):  # what came of the probe may be on its way
                        longer = renewed(self._view(at), self._clock.now())
                        if longer is not None:
                            await self._store(at, longer)

    async def forget(self) -> None:
        """Keep nothing of what is idle, for ever: tools may have any number of names."""
        while True:
            await anyio.sleep(_SWEEP)
            now = self._clock.now()
            for at in [at for at, view in self._views.items() if idle(view, now)]:
                self._lines.pop(at.key, None)
                self._turns.pop(at, None)
                del self._views[at]
            for key in [key for key, known in self._known.items() if (now - known.at).total_seconds() > OTHERS_FOR]:
                del self._known[key]

    async def _probe(self, at: Line, decided: Answer | Claim) -> Answer:
        """Be the probe, or what the bucket says by then."""
        for _ in range(_TRIES):  # each time somebody else was faster
            if not isinstance(decided, Claim):
                return decided
            if await self._claim(at, decided.circuit):
                return Probe()
            decided = self._decide(at)
        return _COUNTED

    def _decide(self, at: Line) -> Answer | Claim:
        view, decision = ask(self._view(at), self._clock.now(), chance=self._chance())
        self._views[at] = view
        match decision:
            case Let(write):
                if write is not None:
                    self._tasks.start_soon(self._tell, at, write)
                return _COUNTED
            case Hold(until):
                if self._settings.mode != "enforce":
                    return _COUNTED
                return Refusal(GUARD, problem(at, view.circuit, until), retry_at=until)
            case Claim():
                return decision

    async def _claim(self, at: Line, circuit: Circuit) -> bool:
        won = False
        try:
            won = await self._put(at, circuit)
        finally:
            if not won:
                self._views[at] = unclaimed(self._view(at))
        if won:
            self._tasks.start_soon(self._say, at, circuit)
        return won

    async def _tell(self, at: Line, change: Circuit) -> bool:
        """Put a change into the bucket and say so. False: others have changed it in between."""
        stored = await self._put(at, change)
        if stored:
            await self._say(at, change)
        return stored

    async def _insist(self, at: Line, change: Circuit) -> None:
        """The same, again on top of what came in between if it is still worth it."""
        while not await self._tell(at, change):
            view, now = self._view(at), self._clock.now()
            anew = again(view, change, now, chance=self._chance())
            if anew is None:
                return
            change, self._views[at] = anew, put(view, anew, None)

    async def _put(self, at: Line, circuit: Circuit) -> bool:
        async with self._turn(at):
            return await self._store(at, circuit)

    async def _store(self, at: Line, circuit: Circuit) -> bool:
        """False: there is something newer, and this worker knows it now. Without a bucket it holds here alone."""
        revision: int | None = None
        value = circuit.model_dump_json().encode()
        try:
            with anyio.move_on_after(_BUCKET_SECONDS):
                known, ttl = self._view(at).revision, lasts(circuit, self._clock.now())
                revision = await self._states.put(*at.key, value=value, expect=known, ttl=ttl)
        except StaleAppend:
            await self._read(at)
            return False
        except BusError as error:
            log.warning("a circuit is not shared", circuit=str(at), error=str(error))
        self._views[at] = put(self._view(at), circuit, revision)
        return True

    def _turn(self, at: Line) -> Turns:
        """This worker replaces one revision at a time, else it would refuse itself."""
        return self._turns.setdefault(at, Turns(1))

    async def _read(self, at: Line) -> None:
        try:
            with anyio.move_on_after(_BUCKET_SECONDS):
                found = await self._states.get(*at.key)
                if found is not None:
                    self._heard(at.key, found)
                else:  # somebody has removed it by hand, or it was idle for too long: begin anew
                    self._known.pop(at.key, None)
                    self._views[at] = self._fresh(at)
        except BusError as error:
            log.warning("a circuit could not be read", circuit=str(at), error=str(error))

    async def _say(self, at: Line, circuit: Circuit) -> None:
        now, counts = self._clock.now(), self._view(at).counts.evidence()
        event = said(
            at, circuit, event=self._clock.new_id(), now=now,
            worker=self._worker, settings=self._settings, counts=counts,
        )  # fmt: skip
        try:
            await self._said.publish(at.tenant, event)
        except BusError as error:
            log.warning("a guard event was lost", circuit=str(at), state=circuit.phase, error=str(error))

    def _heard(self, key: tuple[str, ...], value: StateValue) -> None:
        circuit = parsed(value.value)
        if circuit.phase == "closed":  # as one that is not there
            self._known.pop(key, None)
        else:
            self._known[key] = value
        if (at := self._lines.get(key)) is not None:
            self._views[at] = see(self._views[at], circuit, value.revision)

    def _view(self, at: Line) -> View:
        view = self._views.get(at)
        if view is not None:
            return view
        self._views[at] = self._fresh(at)
        self._lines[at.key] = at
        if (known := self._known.get(at.key)) is not None:
            self._views[at] = see(self._views[at], parsed(known.value), known.revision)
        return self._views[at]

    def _fresh(self, at: Line) -> View:
        longest = LAST_RESORT if at.kind == "model" else self._settings.open_at_most
        return View(self._me, self._settings, longest)

    def circuit(self, at: Line) -> Circuit:
        """A circuit as this worker knows it."""
        return self._view(at).circuit

    @property
    def size(self) -> int:
        """How much it keeps."""
        return len(self._views) + len(self._lines) + len(self._known) + len(self._turns)


@asynccontextmanager
async def breakers(
    states: States, said: GuardLog, clock: Clock, *, settings: Breaker, worker: str, chance: Callable[[], float]
) -> AsyncGenerator[BreakerGates]:
    """The breakers of a worker over any bucket."""
    async with group_of_one() as tasks:
        gates = BreakerGates(states, said, clock, settings=settings, worker=worker, tasks=tasks, chance=chance)
        tasks.start_soon(gates.follow)
        tasks.start_soon(gates.renew)
        tasks.start_soon(gates.forget)
        yield gates
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def breaker_gates(bus: Bus, settings: Breaker, *, worker: str) -> AsyncGenerator[BreakerGates]:
    """The breakers of ``worker``; leave them after it has ended."""
    chance = random.Random().random  # noqa: S311 - it spreads calls, and keeps no secret
    async with breakers(bus.states, bus.guard_log, bus.clock, settings=settings, worker=worker, chance=chance) as gates:
        yield gates
