"""Shell: the processes of a deployment as children of a supervision tree: worker, supervisor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Final

import anyio

from callboard.actors.actor import Run, group_of_one, living
from callboard.actors.code import AgentCode, Ports
from callboard.actors.worker import Drain, Worker
from callboard.app.bus_at import BusAt
from callboard.app.gates import worker_gates
from callboard.app.guards import Guarding, guards_of
from callboard.app.warm import warm_caches
from callboard.bus.bus import Bus, open_bus
from callboard.bus.client import Connection
from callboard.bus.doorman import turn_away
from callboard.bus.messages import TERMINAL
from callboard.bus.service import Service, announced
from callboard.bus.subjects import RunKey
from callboard.config.providers import NO_PROVIDERS, Providers
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import BusUnreachable
from callboard.models.registry import OpenModels, opened_models
from callboard.supervisors.dispatcher import Dispatcher
from callboard.supervisors.supervisor import supervisor
from callboard.supervisors.sweeper import Sweeper
from callboard.supervisors.tree import ChildSpec, SupervisorSpec

SLOTS: Final = 100
_DEFAULT_GUARDING: Final = Guarding()
_SETTLED: Final = frozenset({*TERMINAL, "run.settled"})


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker works: its name, how many runs at the same time, how long (seconds) effects get when it leaves.

    ``warms``: it sees to it that prompt caches are warm when it starts.
    """

    name: str
    slots: int = SLOTS
    grace: float = 0.8
    warms: bool = False


def worker_child(
    at: BusAt,
    agents: Mapping[str, AgentCode],
    settings: WorkerSettings,
    leaving: anyio.Event,
    *,
    guarding: Guarding = _DEFAULT_GUARDING,
    providers: Providers = NO_PROVIDERS,
    models: OpenModels = opened_models,
) -> Run:
    """A worker on a connection of its own. Drains and ends on ``leaving``."""

    async def run(ready: anyio.Event) -> None:
        async with (
            group_of_one() as around,  # of all the rest, the runs stand below this alone
            open_bus(at.urls, subjects=at.subjects, name=settings.name) as bus,
            worker_gates(bus, guarding, worker=settings.name) as gates,
            models(providers, _needed(agents), _others(agents)) as source,
        ):
            asking = replace(ports(bus), gates=gates)
            worker = Worker(
                agents, asking, name=settings.name, slots=settings.slots, ack_wait=bus.ack_wait, open_model=source.open
            )
            about = {"prefix": at.subjects.prefix, "slots": str(settings.slots), **_about(agents, guarding)}
            async with (
                announced(bus.connection, _service("callboard-worker", settings.name, about)),
                living(worker, around),
                anyio.create_task_group() as group,
            ):
                group.start_soon(fail_when_closed, bus.connection)
                group.start_soon(_drain, worker, leaving, settings.grace)
                if settings.warms:
                    group.start_soon(partial(warm_caches, bus, agents, now=bus.clock.now()))
                ready.set()
                await worker.drained.wait()
                group.cancel_scope.cancel()

    return run


def _about(agents: Mapping[str, AgentCode], guarding: Guarding) -> Mapping[str, str]:
    """What a worker tells of itself beside the rest: what it serves, and which guards its runs have and wait for."""
    guards = guards_of(guarding, _specs(agents))
    waits_for = sorted(name for name, missing in guards.items() if missing == "closed")
    return {"agents": ",".join(sorted(agents)), "guards": ",".join(sorted(guards)), "waits_for": ",".join(waits_for)}


def supervisor_child(at: BusAt, name: str) -> Run:
    """The dispatcher, the sweeper and the doorman, on a connection of their own."""

    async def run(ready: anyio.Event) -> None:
        async with open_bus(at.urls, subjects=at.subjects, name=name) as bus:
            dispatcher = Dispatcher(bus.journals, bus.tasks, bus.feed, bus.due, bus.graveyard, bus.clock)
            sweeper = Sweeper(bus.journals, bus.tasks, lambda: _open_runs(bus), bus.clock)
            children: dict[str, Run] = {
                "dispatcher": dispatcher.run,
                "sweeper": sweeper.run,
                "doorman": lambda ready: turn_away(bus.connection, bus.graveyard, ready),
            }
            spec = SupervisorSpec(tuple(ChildSpec(child) for child in children))
            about = {"prefix": at.subjects.prefix}
            async with (
                announced(bus.connection, _service("callboard-supervisor", name, about)),
                anyio.create_task_group() as group,
            ):
                group.start_soon(fail_when_closed, bus.connection)
                await supervisor(spec, children)(ready)
                group.cancel_scope.cancel()

    return run


def _specs(agents: Mapping[str, AgentCode]) -> Iterator[AgentSpec]:
    for code in agents.values():
        yield code.spec
        yield from code.tenants.values()


def _needed(agents: Mapping[str, AgentCode]) -> Iterator[ModelChoice]:
    """Without these a worker does not start. The later ones of a chain may be passed over."""
    return (choice for code in agents.values() for choice in (code.spec.model, code.spec.summary) if choice)


def _others(agents: Mapping[str, AgentCode]) -> Iterator[ModelChoice]:
    return (choice for code in agents.values() for choice in code.spec.fallbacks)


def ports(bus: Bus) -> Ports:
    """What a worker needs of a bus."""
    return Ports(
        journals=bus.journals,
        tasks=bus.tasks,
        hints=bus.hints,
        timers=bus.timers,
        blobs=bus.blobs,
        graveyard=bus.graveyard,
        clock=bus.clock,
        tokens=bus.tokens,
    )


async def _open_runs(bus: Bus) -> AsyncGenerator[RunKey]:
    async for entry in bus.scan():
        if not _SETTLED.intersection(entry.events or ()):
            yield entry.key


async def fail_when_closed(connection: Connection) -> None:
    """Let a child fail whose connection is closed for good: its supervisor makes a new one."""
    await connection.closed()
    raise BusUnreachable("the connection to the bus was closed for good", retryable=True)


async def _drain(worker: Worker, leaving: anyio.Event, grace: float) -> None:
    await leaving.wait()
    worker.address.tell(Drain(grace))


def _service(kind: str, name: str, about: Mapping[str, str]) -> Service:
    return Service(name=kind, id=name, version=version("callboard"), metadata=about)
