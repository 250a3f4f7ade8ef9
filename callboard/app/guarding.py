"""Shell: guards as a child of a supervision tree, and as a process of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import anyio

from callboard.actors.actor import Run
from callboard.app.bus_at import BusAt
from callboard.app.guards import Guarding
from callboard.app.node import fail_when_closed
from callboard.app.process import probe, process_name, serve
from callboard.bus.bus import open_bus
from callboard.bus.service import Service, announced
from callboard.config.alerts import Alerts
from callboard.config.guards import RateLimit
from callboard.guards.hosted import Hosted
from callboard.guards.sidecar.sidecar import Sidecar
from callboard.supervisors.supervisor import supervisor
from callboard.supervisors.tree import ChildSpec, SupervisorSpec


def guard_child(at: BusAt, hosted: Sequence[Hosted], *, name: str) -> Run:
    """Guards on a connection of their own. ``name`` tells this process from others that host the same guards."""

    async def run(ready: anyio.Event) -> None:
        async with open_bus(at.urls, subjects=at.subjects, name=name) as bus:
            sidecar = Sidecar(bus, hosted, replica=name)
            about = {"guards": ",".join(each.name for each in hosted), "prefix": at.subjects.prefix}
            service = Service(name="callboard-guard", id=name, version=version("callboard"), metadata=about)
            async with announced(bus.connection, service), anyio.create_task_group() as group:
                group.start_soon(fail_when_closed, bus.connection)
                await sidecar.run(ready)

    return run


def guards_child(at: BusAt, guarding: Guarding, *, name: str) -> Run:
    """Everything that a guard process does: it judges, and tells the webhooks. Each part restarts by itself."""
    children = {"guards": guard_child(at, guarding.hosted, name=name)}
    if guarding.alerts.webhooks:
        children["alerts"] = _alerts(at, guarding.alerts, name)
    if guarding.rate_limits:
        children["rate"] = _rate(at, guarding.rate_limits, name)
    return supervisor(SupervisorSpec(tuple(map(ChildSpec, children))), children)


async def run_guard(at: BusAt, guarding: Guarding) -> None:
    """Judge until SIGTERM or SIGINT. Any number of these share the runs."""
    await probe(at)
    await serve(guards_child(at, guarding, name=process_name()), anyio.Event(), linger=0.0)


def _rate(at: BusAt, limits: Mapping[str, RateLimit], name: str) -> Run:
    from callboard.guards.rate.limiter import rate_child  # noqa: PLC0415 - few have limits, all would wait for it

    async def run(ready: anyio.Event) -> None:
        async with (
            open_bus(at.urls, subjects=at.subjects, name=f"{name}-rate") as bus,
            anyio.create_task_group() as group,
        ):
            group.start_soon(fail_when_closed, bus.connection)
            await rate_child(bus, limits, name=name)(ready)

    return run


def _alerts(at: BusAt, alerts: Alerts, name: str) -> Run:
    from callboard.guards.alerts.alerting import alerts_child  # noqa: PLC0415 - few have webhooks, all would wait for it

    async def run(ready: anyio.Event) -> None:
        async with (
            open_bus(at.urls, subjects=at.subjects, name=f"{name}-alerts") as bus,
            anyio.create_task_group() as group,
        ):
            group.start_soon(fail_when_closed, bus.connection)
            await alerts_child(bus, alerts)(ready)

    return run
