"""Shell: one worker's go at one task: claim the run, carry it on, leave it in a state that others can go on from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import anyio
from pydantic import ValidationError
from pydantic_core import to_json

from callboard.actors.agent import run_agent
from callboard.actors.charges import late_facts, unborn, unstarted
from callboard.actors.claim import Claim, NotForUs, Spent, TaskClaim, judge
from callboard.actors.code import AgentCode, Ports, kept_spec
from callboard.actors.contents import pack
from callboard.actors.fold import EMPTY, fold, replay
from callboard.actors.function import run_function
from callboard.actors.gate import NoGate, RunGate
from callboard.actors.groups import first
from callboard.actors.opening import OpenModel, opened
from callboard.actors.owner import Owner
from callboard.actors.ownership import Fact, OwnershipLost
from callboard.actors.state import RunState
from callboard.actors.suspend import Idle
from callboard.actors.turns import Turns
from callboard.bus.messages import (
    ChildFinished,
    Event,
    Parent,
    Problem,
    Record,
    RunClaimed,
    RunCreated,
    RunFailed,
    RunReleased,
    RunSettled,
    Task,
)
from callboard.bus.ports import Copy, HeldTask
from callboard.bus.subjects import RunKey
from callboard.config.kept import NewerSpec
from callboard.config.spec import AgentSpec
from callboard.errors import BusError, ConfigError, InvalidMessage
from callboard.log import bound, get_logger
from callboard.tools.threads import still_running

log = get_logger(__name__)
_LATER_SECONDS: Final = 5.0
_BOUNDARY_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 0.1
"""What a stopped effect gets to end before its run is given away without it."""


@dataclass(slots=True)
class Attempt:
    """A held task. ``mine`` until another worker has claimed the run: from then on nothing is done with the task."""

    task: HeldTask
    agents: Mapping[str, AgentCode]
    ports: Ports
    worker: str
    idle: Idle
    open_model: OpenModel
    lane: Turns
    gate: RunGate = field(default_factory=NoGate)
    mine: bool = True
    owner: Owner | None = None
    lost: RunState | None = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _leaving: bool = False
    _given: bool = False
    _newer: bool = False
    _signed: set[str] = field(default_factory=set[str])
    """The ids of what this attempt has signalled to its own run."""

    async def run(self, hint: Callable[[Copy | None], None]) -> None:
        """From the claim to the acknowledgement. ``hint`` is called when somebody else has written to the journal."""
        key = self.task.key
        with bound(run=key.run, tenant=key.tenant):
            async with self.ports.hints.listen(key, hint, owner=lambda: self.owner.token if self.owner else ""):
                state = EMPTY
                while (owner := await self._claim(state)) is not None:
                    found, self.owner, owner.on_end = owner.state.sequence, owner, self._stop
                    await self._carry(owner)
                    if isinstance(owner.ended, BusError):  # the run's code may have caught it
                        raise owner.ended
                    if owner.written or self.lost is None or self.lost.sequence == found:
                        await self._leave(owner)
                        return
                    state, self.lost = self.lost, None  # the claim itself was refused: judge again

    async def look(self, copy: Copy | None) -> None:
        """Take in what somebody else wrote; leave the run if it is not ours any more."""
        record = copy.entry.record if copy is not None else None
        if self.owner is not None and (record is None or record.id not in self._signed):
            with suppress(OwnershipLost):  # it calls ``_stop``
                await self.owner.hear(copy)

    def _stop(self) -> None:
        """The owner writes nothing more: stop its code, also code that catches every exception."""
        self.scope.cancel()
        if self.owner is not None and isinstance(self.owner.ended, OwnershipLost):
            self.lost = self.owner.ended.state
            self.mine = not self.owner.written or self._ours(self.owner, self.lost)

    async def hand_over(self, grace: float) -> None:
        """Let running effects end for up to ``grace`` seconds, start no others, and give the run to another worker."""
        self._leaving = True
        if self.owner is not None:
            self.owner.leaving = True
            with anyio.move_on_after(grace):
                await self.owner.quiet()
                await anyio.sleep(_BOUNDARY_SECONDS)  # what has just ended may be all that the run still needed
        self.scope.cancel()
        if self.owner is not None:
            with anyio.move_on_after(_STOP_SECONDS) as stopping:
                await self.owner.quiet()
            if stopping.cancelled_caught and self.owner.state.owns(self.owner.token):
                await self._give_away(self.owner)  # a thread that sits in C code may take long to stop

    async def _claim(self, state: RunState) -> Owner | None:
        """Become the owner (the claim is written with the first record), or deal with the task and return None."""
        key, ports, body = self.task.key, self.ports, self.task.body
        original = isinstance(body, Task)
        if not original or state.sequence:
            entries = await ports.journals.read(key, after=state.sequence)
            state = replay(entries, state)
            for entry in entries:
                self.gate.folded(entry.sequence, entry.record)
        parent = body.parent if isinstance(body, Task) else None
        resume = 0 if isinstance(body, Task) else body.resume
        match judge(state, TaskClaim(self.task.sequence, resume, parent)):
            case Spent(tell):
                await self._spent(state, tell)
                return None
            case NotForUs(version):
                log.warning("journal of a newer version, left to a newer worker", version=version)
                await self.task.release(_LATER_SECONDS)
                return None
            case Claim(creates):
                token = ports.clock.new_id()
                owner = Owner(
                    key, token, state, journals=ports.journals, clock=ports.clock, lane=self.lane, gate=self.gate
                )
                facts: list[Fact] = [RunClaimed(task=self.task.sequence, worker=self.worker)]
                if creates and isinstance(body, Task):
                    facts.insert(0, await self._created(body))
                owner.defer(*facts)
                return owner

    async def _created(self, body: Task) -> RunCreated:
        where, now, code = self.task.address, self.ports.clock.now(), self.agents[self.task.address.agent]
        limit = now + timedelta(seconds=code.spec_for(where.tenant).limits.deadline)
        kept, digest = code.kept_for(where.tenant)
        return RunCreated(
            agent=where.agent,
            lane=where.lane,
            input=await pack(body.input, self.ports.blobs),
            parent=body.parent,
            depth=body.depth,
            budget=body.budget,
            lineage=body.lineage,
            warm=body.warm,
            deadline=min(limit, body.deadline) if body.deadline is not None else limit,
            spec=kept,
            digest=digest,
            at=now,
        )

    async def _carry(self, owner: Owner) -> None:
        self.scope = anyio.CancelScope()
        try:
            with self.scope:
                if self._leaving:
                    self.scope.cancel()
                await self._drive(owner)
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - ``_broke`` raises what is not for the journal
            await self._broke(owner, first(error))

    async def _broke(self, owner: Owner, error: BaseException) -> None:
        match error:
            case OwnershipLost():
                self.lost = error.state
            case InvalidMessage():
                kind = "entry_too_large" if error.reason == "too_large" else "bad_entry"
                hint = "return less, or write it to a file or a store and return where it is"
                await self._fail(owner, Problem(kind=kind, message=str(error), hint=hint))
            case BusError() if error.retryable:
                raise error
            case _:
                await self._count(owner)
                raise error

    async def _count(self, owner: Owner) -> None:
        """Let the claim be written although the attempt broke: a run that breaks its workers must end as poison."""
        with suppress(OwnershipLost):
            await owner.flush()

    async def _drive(self, owner: Owner) -> None:
        created = owner.view.created
        assert created is not None
        code = self.agents.get(created.agent)
        try:
            spec = kept_spec(created, code, owner.key.tenant)
            models = opened(spec, self.open_model, warm=created.warm)
        except NewerSpec as error:
            log.warning("run of a newer version, left to a newer worker", reason=str(error))
            self._newer = True
            return
        except (ValidationError, ConfigError) as error:
            hint = "submit it again to an agent of this version"
            await self._fail(owner, Problem(kind="bad_spec", message=str(error)[:2_000], hint=hint))
            return
        if owner.view.attempts > spec.limits.attempts:
            await self._poison(owner, spec)
        elif code is not None and code.function is not None:
            await run_function(owner, spec, code, ports=self.ports, idle=self.idle)
        elif code is not None and models:
            await run_agent(owner, spec, code, models=models, ports=self.ports, idle=self.idle)
        else:
            hint = "start a worker that has the @worker function, or give the agent a model"
            await self._fail(owner, Problem(kind="no_code", message=f"no code for agent {created.agent!r}", hint=hint))

    async def _poison(self, owner: Owner, spec: AgentSpec) -> None:
        tries = (
            f"{owner.view.attempts - 1} workers took it up and were lost (limits.attempts is {spec.limits.attempts})"
        )
        where, payload = self.task.address, to_json(self.task.body)
        await self.ports.graveyard.bury((where.tenant, where.agent), str(owner.key), "poison", tries, payload)
        hint = "look at the workers' logs, then submit it again"
        await self._fail(owner, Problem(kind="poison", message=tries, hint=hint))

    async def _fail(self, owner: Owner, problem: Problem) -> None:
        try:
            while not await owner.conclude(RunFailed(problem=problem)):
                pass  # a signal came in between: it is folded, and does not change how the run ends
        except OwnershipLost as lost:
            self.lost = lost.state

    async def _leave(self, owner: Owner) -> None:
        if self._given:
            return
        if self.lost is None and owner.state.owns(owner.token):  # cancelled to hand over
            owner.defer(*unstarted(owner.view, self.ports.clock.now()))
            await self._release(owner)
        if not owner.written:  # a claim that was refused although nobody has written will be refused again
            await self.task.release(_LATER_SECONDS if self._newer or self.lost is not None else 0.0)
            return
        state = self.lost or owner.state
        if state.foreign and state.terminal is None:
            await self.task.release(_LATER_SECONDS)
            return
        if not self._ours(owner, state):
            self.mine = False  # fenced: the task belongs to the next owner
            log.info("fenced", by=state.worker)
            return
        if self.lost is not None and state.terminal is not None and state.owner == owner.token:
            state = await self._settle(owner, state)
        await self.gate.leave(state)
        await self.task.acknowledge()

    async def _give_away(self, owner: Owner) -> None:
        self._given, self.mine = True, False
        await self._release(owner)
        if self.lost is None:
            await self.task.acknowledge()
        self._given = self.lost is None

    async def _release(self, owner: Owner) -> None:
        with suppress(OwnershipLost):  # it calls ``_stop``
            await owner.flush()
            await self._signal(owner.key, RunReleased(reason=f"{self.worker} is leaving"))

    @staticmethod
    def _ours(owner: Owner, state: RunState) -> bool:
        return state.owner == owner.token or state.terminal is not None

    async def _settle(self, owner: Owner, state: RunState) -> RunState:
        late = late_facts(owner.unwritten, owner.state)
        running = tuple(thread.call for thread in still_running(owner.key.run))
        sequence, record = await self._signal(owner.key, *late, RunSettled(running=running))
        return fold(state, sequence, record)

    async def _spent(self, state: RunState, tell: Parent | None) -> None:
        if tell is not None:
            told = ChildFinished(child=self.task.key.run, outcome=state.outcome or "killed")
            await self._signal(RunKey(self.task.key.tenant, tell.run), told)
        spec = self.agents[self.task.address.agent].kept_for(self.task.key.tenant)[0]
        await self.gate.leave(state if state.created else unborn(self.task.address.agent, spec, self.ports.clock.now()))
        await self.task.acknowledge()

    async def _signal(self, key: RunKey, *events: Event) -> tuple[int, Record]:
        record = Record(id=self.ports.clock.new_id(), at=self.ports.clock.now(), events=events)
        self._signed.add(record.id)
        return await self.ports.journals.signal(key, record), record
