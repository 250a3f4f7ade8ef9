"""Shell: a worker process, or a dispatcher's, that records its effects, and kills itself where it is told to."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import anyio

from callboard.actors import effects, run_context
from callboard.actors.code import AgentCode
from callboard.actors.worker import Drain, Worker
from callboard.bus import storage
from callboard.bus.bus import Bus, open_bus
from callboard.bus.subjects import RunKey, Subjects
from callboard.clock import SystemClock
from callboard.config.spec import ModelChoice
from callboard.errors import BusUnreachable
from callboard.log import configure
from callboard.models.port import ChatReply, ChatRequest, Delta
from callboard.models.registry import open_model
from callboard.supervisors.dispatcher import Dispatcher
from tests.chaos import mutants
from tests.chaos.code import chaos_code, example_code, kill_code
from tests.chaos.starts import RECORDER
from tests.chaos.zygote import Role
from tests.support.fleet import ports

TENANT = "default"
WRITES = "writes"


def run(role: Role) -> None:
    """Live as ``role``. Returns after a drain."""
    configure(json=False, level="info")
    RECORDER.open()
    if role.fault:
        _die(role.fault)
    mutants.apply(role.mutant)
    anyio.run(_live, role)


async def _live(role: Role) -> None:
    while True:
        try:
            async with open_bus(
                tuple(role.urls), subjects=Subjects(role.prefix), name=role.name, echo=False, replicas=role.replicas
            ) as bus:
                await (_work(role, bus) if role.kind == "worker" else _dispatch(bus))
                return
        except BusUnreachable as error:  # the server is away just now
            print(f"{role.name}: {error}", flush=True)


async def _work(role: Role, bus: Bus) -> None:
    agents = _agents(role)
    worker = Worker(agents, ports(bus), name=role.name, ack_wait=bus.ack_wait, open_model=RecordedModel)
    async with worker, anyio.create_task_group() as beside:

        async def drain() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM) as received:
                async for _ in received:
                    worker.address.tell(Drain())

        beside.start_soon(drain)
        await worker.drained.wait()
        beside.cancel_scope.cancel()


async def _dispatch(bus: Bus) -> None:
    dispatcher = Dispatcher(bus.journals, bus.tasks, bus.feed, bus.due, bus.graveyard, SystemClock())
    await dispatcher.run(anyio.Event())


def _agents(role: Role) -> Mapping[str, AgentCode]:
    if role.code == "chaos":
        return chaos_code()
    if role.code == "kill":
        return kill_code()
    _record_tools_and_steps()
    return example_code(role.code)


class RecordedModel:
    """A model whose calls are recorded like every other effect."""

    def __init__(self, choice: ModelChoice) -> None:
        self._model = open_model(choice)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | ChatReply, None]:
        RECORDER(RunKey(TENANT, request.run), request.call)
        async for piece in self._model.stream(request):
            yield piece


def _record_tools_and_steps() -> None:
    """The code of the examples does not record itself: it is recorded where it is called."""
    execute, perform = effects.execute, run_context.perform

    async def recorded_execute(tool: Any, arguments: Any, context: Any) -> Any:
        RECORDER(RunKey(context.tenant, context.run), context.call, context.key)
        return await execute(tool, arguments, context)

    async def recorded_perform(work: Any, context: Any, **more: Any) -> Any:
        RECORDER(RunKey(context.tenant, context.run), context.call, context.key)
        return await perform(work, context, **more)

    effects.execute = recorded_execute
    run_context.perform = recorded_perform


def _die(fault: str) -> None:
    """SIGKILL at the n-th write or effect. ``count`` dies never, and leaves one line for each write."""
    where, _, number = fault.partition(":")
    left = int(number or 0)

    def now(here: str) -> Callable[[], None]:
        def check() -> None:
            nonlocal left
            left -= where == here
            if where == here and left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        return check

    before, stored, after, RECORDER.then = now("before"), now("stored"), now("after"), now("during")
    publish = storage.publish

    async def deadly(connection: Any, subject: str, payload: bytes, *, headers: Any) -> Any:
        before()
        if where == "stored" and left == 1:
            await connection.publish(subject, payload, headers=headers)
            await connection.barrier()
        stored()
        ack = await publish(connection, subject, payload, headers=headers)
        if where == "count":
            with open(WRITES, "a") as file:
                file.write(f"{subject}\n")
        after()
        return ack

    storage.publish = deadly
