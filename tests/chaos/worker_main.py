"""Shell: a worker process, or a dispatcher's, that records its effects, and kills itself where it is told to."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from callboard.actors import run_context, tool_calls
from callboard.actors.code import AgentCode
from callboard.actors.gate import Gates, NoGate
from callboard.actors.groups import alone
from callboard.actors.worker import Drain, Worker
from callboard.app.agents import load_agents
from callboard.app.gates import worker_gates
from callboard.app.guards import Guarding
from callboard.bus import storage
from callboard.bus.bus import Bus, open_bus
from callboard.bus.subjects import RunKey, Subjects
from callboard.clock import SystemClock
from callboard.config.keys import look_up
from callboard.config.loader import load
from callboard.config.spec import ModelChoice
from callboard.errors import BusError, BusUnreachable, ModelError
from callboard.guards.rate.limiter import rate_child
from callboard.guards.sidecar.sidecar import Sidecar
from callboard.log import configure
from callboard.models.port import ChatReply, ChatRequest, Delta
from callboard.models.registry import Models, open_model
from callboard.supervisors.dispatcher import Dispatcher
from tests.chaos import mutants
from tests.chaos.code import chaos_code, kill_code
from tests.chaos.starts import RECORDER
from tests.chaos.wayward import DEAD, GUARDING
from tests.chaos.zygote import Role
from tests.support.fleet import ports

TENANT = "default"
WRITES = "writes"


def preload() -> None:
    """Import what is imported on first use."""
    configure(json=False, level="info")
    open_model(ModelChoice(provider="scripted", settings={"turns": [{"text": "x"}]}))


@functools.cache
def code_of(name: str) -> Mapping[str, AgentCode]:
    """``chaos``, ``kill``, or what a configuration file has."""
    known = {"chaos": chaos_code, "kill": kill_code}
    return known[name]() if name in known else load_agents(load(Path(name)))


@functools.cache
def models_of(name: str) -> Models:
    """The models that workers of a configuration file ask: their libraries are imported here."""
    if name in ("chaos", "kill"):
        return Models()
    config = load(Path(name))
    models = Models(look_up(config)[0])
    for choice in (choice for agent in config.agents.values() for choice in agent.models):
        models.open(choice)
    return models


def run(role: Role) -> None:
    """Live as ``role``. Returns after a drain."""
    RECORDER.open()
    if role.code not in ("chaos", "kill"):
        _record_tools_and_steps()
    if role.fault:
        _fail_at(role.fault)
    mutants.apply(role.mutant)
    anyio.run(_live, role)


async def _live(role: Role) -> None:
    while True:
        try:
            async with open_bus(
                tuple(role.urls), subjects=Subjects(role.prefix), name=role.name, replicas=role.replicas
            ) as bus:
                await LIVES[role.kind](role, bus)
                return
        except BusUnreachable as error:  # the server is away just now
            print(f"{role.name}: {error}", flush=True)


async def _work(role: Role, bus: Bus) -> None:
    async with _gates(role, bus) as asked:
        around = replace(ports(bus), gates=asked)
        await _serve(Worker(
            code_of(role.code), around, name=role.name, ack_wait=bus.ack_wait,
            open_model=functools.partial(RecordedModel, models_of(role.code)),
        ))  # fmt: skip


def _gates(role: Role, bus: Bus) -> AbstractAsyncContextManager[Gates]:
    if role.code == "chaos":
        return worker_gates(bus, GUARDING, worker=role.name)
    costs_money = any(choice.price for code in code_of(role.code).values() for choice in code.spec.models)
    return worker_gates(bus, Guarding(hosted=()), worker=role.name) if costs_money else nullcontext(NoGate())


async def _serve(worker: Worker) -> None:
    async with worker, anyio.create_task_group() as beside:

        async def drain() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM) as received:
                async for _ in received:
                    worker.address.tell(Drain())

        beside.start_soon(drain)
        await worker.drained.wait()
        beside.cancel_scope.cancel()


async def _dispatch(role: Role, bus: Bus) -> None:
    dispatcher = Dispatcher(bus.journals, bus.tasks, bus.feed, bus.due, bus.graveyard, SystemClock())
    await dispatcher.run(anyio.Event())


async def _judge(role: Role, bus: Bus) -> None:
    with alone(BusError):
        async with anyio.create_task_group() as group:
            group.start_soon(rate_child(bus, GUARDING.rate_limits, name=role.name), anyio.Event())
            await Sidecar(bus, GUARDING.hosted, replica=role.name).run(anyio.Event())


LIVES = {"worker": _work, "dispatcher": _dispatch, "guard": _judge}


class RecordedModel:
    """A model whose calls are recorded like every other effect."""

    def __init__(self, models: Models, choice: ModelChoice) -> None:
        self._choice = choice
        self._model = models.open(choice)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | ChatReply, None]:
        RECORDER(RunKey(TENANT, request.run), request.call)
        if self._choice.name == DEAD and os.path.exists(DEAD):  # noqa: ASYNC240, PTH110 - a moment
            raise ModelError("network", "nobody answers", retryable=True)
        begun = False
        async with aclosing(self._model.stream(request)) as pieces:
            async for piece in pieces:
                if not begun:
                    begun = True
                    RECORDER.amid()
                yield piece


def _record_tools_and_steps() -> None:
    """The code of the examples does not record itself: it is recorded where it is called."""
    execute, perform = tool_calls.execute, run_context.perform

    async def recorded_execute(tool: Any, arguments: Any, context: Any) -> Any:
        RECORDER(RunKey(context.tenant, context.run), context.call, context.key)
        return await execute(tool, arguments, context)

    async def recorded_perform(work: Any, context: Any, **more: Any) -> Any:
        RECORDER(RunKey(context.tenant, context.run), context.call, context.key)
        return await perform(work, context, **more)

    tool_calls.execute = recorded_execute
    run_context.perform = recorded_perform


def _fail_at(fault: str) -> None:
    """SIGKILL or SIGSTOP itself at the n-th write or effect. ``count`` only leaves a line for each write."""
    where, _, number = fault.partition(":")
    left = int(number or 0)

    def here(*names: str) -> bool:
        nonlocal left
        left -= where in names
        return where in names and left == 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def note(subject: str) -> None:
        with Path(WRITES).open("a") as file:
            file.write(f"{subject}\n")

    publish = storage.publish

    async def deadly(connection: Any, subject: str, payload: bytes, *, headers: Any) -> Any:
        if here("before"):
            die()
        if here("stored"):
            await connection.publish(subject, payload, headers=headers)
            await connection.barrier()
            die()
        ack = await publish(connection, subject, payload, headers=headers)
        if here("freeze"):
            os.kill(os.getpid(), signal.SIGSTOP)
        if here("after"):
            die()
        if where == "count":
            note(subject)
        return ack

    def die_if(name: str) -> None:
        if here(name):
            die()

    storage.publish = deadly
    RECORDER.then = functools.partial(die_if, "during")
    RECORDER.amid = functools.partial(die_if, "amid")
