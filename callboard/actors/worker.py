"""Shell: the worker. An actor that pulls tasks by lanes, makes an attempt at each, and keeps its hold on them alive."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

import anyio

from callboard.actors.actor import Actor
from callboard.actors.attempt import Attempt
from callboard.actors.code import AgentCode, Ports
from callboard.actors.groups import alone
from callboard.actors.lanes import Quota, next_pull, taken
from callboard.actors.opening import OpenModel
from callboard.actors.turns import Turns
from callboard.bus.ports import Copy, HeldTask
from callboard.bus.subjects import LANES, Lane
from callboard.bus.topology import ACK_WAIT_ALONE
from callboard.config.spec import ModelChoice
from callboard.errors import BusError
from callboard.log import get_logger
from callboard.models.port import ChatModel
from callboard.models.registry import open_model

log = get_logger(__name__)
DRAIN_SECONDS: Final = 0.8
"""Seconds that running effects get to end when the worker leaves."""
_PARKED_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.25
_MAILBOX: Final = 100_000
_APPENDS_AT_ONCE: Final = 24


@dataclass(frozen=True, slots=True)
class Arrived:
    """A task was pulled from a lane."""

    task: HeldTask


@dataclass(frozen=True, slots=True)
class Hinted:
    """Somebody wrote to the journal of the run that the task of this sequence is for; None: perhaps."""

    task: int
    copy: Copy | None


@dataclass(frozen=True, slots=True)
class Drain:
    """Take no more tasks, finish or hand over what is held, then end."""

    grace: float = DRAIN_SECONDS


WorkerMessage: TypeAlias = Arrived | Hinted | Drain


class Worker(Actor[WorkerMessage]):
    """Runs up to ``slots`` runs at the same time. ``ack_wait`` (seconds) is that of the task consumers.

    It ends by itself after ``Drain``. Whatever it holds when it dies is delivered to another worker.
    """

    def __init__(
        self,
        agents: Mapping[str, AgentCode],
        ports: Ports,
        *,
        name: str,
        slots: int = 100,
        ack_wait: float = ACK_WAIT_ALONE,
        open_model: OpenModel = open_model,
    ) -> None:
        super().__init__(mailbox=_MAILBOX)
        self.drained = anyio.Event()
        """Set when nothing is held any more after ``Drain``."""
        self._agents = agents
        self._ports = ports
        self._name = name
        self._slots = slots
        self._beat_seconds = ack_wait / 4
        self._models: dict[int, ChatModel] = {}
        self._make_model = open_model
        self._held: dict[int, Attempt] = {}
        self._idle = 0
        self._quota = Quota()
        self._turn = 0
        self._lane = Turns(_APPENDS_AT_ONCE)
        self._room = anyio.Event()
        self._pulling = anyio.CancelScope()

    @property
    def held(self) -> int:
        """How many tasks it holds."""
        return len(self._held)

    async def started(self) -> None:
        self._tasks.start_soon(self._pull)
        self._tasks.start_soon(self._beat)

    async def receive(self, message: WorkerMessage) -> None:
        match message:
            case Arrived(task):
                self._begin(task)
            case Hinted(task, copy):
                if (attempt := self._held.get(task)) is not None:
                    self._tasks.start_soon(self._look, attempt, copy)
            case Drain(grace):
                self._pulling.cancel()
                self._tasks.start_soon(self._drain, grace)
            case _:
                assert_never(message)

    def _begin(self, task: HeldTask) -> None:
        if task.sequence in self._held:
            return  # delivered again although it is held: the holder's heartbeat was late
        gate = self._ports.gates.enter(task.key)
        attempt = Attempt(
            task, self._agents, self._ports, self._name, self._waiting, self._open_model, self._lane, gate=gate
        )
        self._held[task.sequence] = attempt
        self._tasks.start_soon(self._attempt, attempt)

    def _open_model(self, choice: ModelChoice) -> ChatModel:
        """The model of ``choice``; those of this worker's own agents are opened once."""
        if not any(choice is own for code in self._agents.values() for own in code.spec.every_model):
            return self._make_model(choice)
        if id(choice) not in self._models:
            self._models[id(choice)] = self._make_model(choice)
        return self._models[id(choice)]

    async def _attempt(self, attempt: Attempt) -> None:
        sequence = attempt.task.sequence
        try:
            await attempt.run(lambda copy: self.address.tell(Hinted(sequence, copy)))
        except BusError as error:
            log.warning("bus lost, the task will come again", run=attempt.task.key.run, error=str(error))
        except Exception:
            log.exception("attempt failed, the task is given back", run=attempt.task.key.run)
            if attempt.mine:
                with suppress(BusError):  # then it comes again after its ack_wait
                    await attempt.task.release(1.0)
        finally:
            self._held.pop(sequence, None)
            self._room.set()

    async def _look(self, attempt: Attempt, copy: Copy | None) -> None:
        try:
            await attempt.look(copy)
        except BusError as error:
            log.warning("could not follow a hint", run=attempt.task.key.run, error=str(error))

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(self._beat_seconds)
            try:
                for attempt in tuple(self._held.values()):
                    if attempt.mine:
                        await attempt.task.progress()
            except BusError as error:  # the bus is away: whoever needs it more will say so
                log.debug("no heartbeat", error=str(error))

    async def _drain(self, grace: float) -> None:
        async with anyio.create_task_group() as leaving:
            for attempt in tuple(self._held.values()):
                leaving.start_soon(self._hand_over, attempt, grace)
        while self._held:
            self._room = anyio.Event()
            await self._room.wait()
        self.drained.set()

    async def _hand_over(self, attempt: Attempt, grace: float) -> None:
        try:
            await attempt.hand_over(grace)
        except BusError as error:
            log.warning("could not hand over, the task will come again", run=attempt.task.key.run, error=str(error))

    @asynccontextmanager
    async def _waiting(self) -> AsyncGenerator[None]:
        self._idle += 1
        self._room.set()
        try:
            yield
        finally:
            self._idle -= 1

    @property
    def _free(self) -> int:
        return self._slots - len(self._held) + self._idle

    async def _pull(self) -> None:
        with self._pulling:
            while True:
                while self._free < 1:
                    self._room = anyio.Event()
                    await self._room.wait()
                try:
                    if not await self._sweep():
                        await self._park()
                except BusError as error:
                    log.warning("cannot pull tasks, trying again", error=str(error))
                    await anyio.sleep(_RETRY_SECONDS)

    async def _sweep(self) -> bool:
        """Ask the lanes in their order, without waiting; True if there was a task."""
        for lane, batch in next_pull(self._quota, self._free):
            count = 0
            for agent in self._in_turn():
                if count < batch:
                    tasks = await self._ports.tasks.pull(agent, lane, batch=batch - count, wait=0)
                    count += len(tasks)
                    self._arrive(tasks)
            self._quota = taken(self._quota, lane, count)
            if count:
                return True
        return False

    def _in_turn(self) -> Sequence[str]:
        """The agents, each time from another one on, so that no backlog starves the others of a lane."""
        self._turn += 1
        agents = tuple(self._agents)
        first = self._turn % len(agents)
        return agents[first:] + agents[:first]

    async def _park(self) -> None:
        """Wait on all lanes of all agents at the same time, until a task has others behind it, or slots get scarce."""
        places = len(self._agents) * len(LANES)

        async def wait(agent: str, lane: Lane) -> None:
            while True:
                tasks = await self._ports.tasks.pull(agent, lane, batch=1, wait=_PARKED_SECONDS)
                self._arrive(tasks)
                if tasks and (tasks[-1].followed or self._free < places):
                    parked.cancel_scope.cancel()

        with alone(BusError):
            async with anyio.create_task_group() as parked:
                for agent in self._agents:
                    for lane in LANES:
                        parked.start_soon(wait, agent, lane)

    def _arrive(self, tasks: Sequence[HeldTask]) -> None:
        for task in tasks:
            self._begin(task)
