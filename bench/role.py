"""Shell: what a child process of the benchmark is: ``python -m bench.role ROLE …``.

Worker and dispatcher are the children that ``callboard worker`` and ``callboard supervisor`` start, nothing less.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from importlib import import_module

import anyio

from bench import echo, floor
from bench.closed import CLOSED
from bench.code import agents
from bench.guards import HOSTED
from callboard.actors.actor import running
from callboard.actors.worker import Worker
from callboard.app.bus_at import BusAt
from callboard.app.guarding import guard_child
from callboard.app.guards import Guarding
from callboard.app.node import WorkerSettings, ports, supervisor_child, worker_child
from callboard.app.process import spare_collections
from callboard.bus.bus import open_bus
from callboard.bus.subjects import Subjects
from callboard.guards.hosted import Hosted
from callboard.log import configure

_ON_BY_DEFAULT = Guarding()


async def _work(url: str, name: str, slots: str = "100", guarding: Guarding = _ON_BY_DEFAULT) -> None:
    settings = WorkerSettings(name, slots=int(slots))
    async with running(worker_child(BusAt((url,)), agents(), settings, anyio.Event(), guarding=guarding)):
        print("ready", flush=True)
        await anyio.sleep_forever()


async def _ask(url: str, name: str, slots: str, address: str) -> None:
    """A worker whose agents ask the fake provider."""
    from bench import bare  # noqa: PLC0415 - what asks models is larger than what does not
    from bench.conversation import asking  # noqa: PLC0415 - as above

    settings, given = WorkerSettings(name, slots=int(slots)), bare.providers(address)
    async with running(worker_child(BusAt((url,)), asking(), settings, anyio.Event(), providers=given)):
        print("ready", flush=True)
        await anyio.sleep_forever()


def _from(module: str) -> Callable[..., Awaitable[None]]:
    """The ``serve`` of a module that only this role needs."""

    async def serve(*arguments: str) -> None:
        await import_module(module).serve(*arguments)

    return serve


async def _work_unguarded(url: str, name: str, prefix: str) -> None:
    subjects = Subjects(prefix)
    async with open_bus(url, subjects=subjects, name=name) as bus, anyio.create_task_group() as group:
        group.start_soon(Worker(agents(), ports(bus), name=name, ack_wait=bus.ack_wait).run, anyio.Event())
        print("ready", flush=True)
        await anyio.sleep_forever()


async def _dispatch(url: str, name: str, prefix: str = "cb") -> None:
    async with running(supervisor_child(BusAt((url,), Subjects(prefix)), name)):
        print("ready", flush=True)
        await anyio.sleep_forever()


def _guards(hosted: Sequence[Hosted]) -> Callable[..., Awaitable[None]]:
    async def serve(url: str, name: str) -> None:
        async with running(guard_child(BusAt((url,)), hosted, name=name)):
            print("ready", flush=True)
            await anyio.sleep_forever()

    return serve


_ROLES: Mapping[str, Callable[..., Awaitable[None]]] = {
    "worker": _work,
    "bare": _work_unguarded,
    "dispatcher": _dispatch,
    "guard": _guards(HOSTED),
    "watcher": _guards(CLOSED),
    "watched": partial(_work, guarding=Guarding(CLOSED)),
    "floor": floor.serve,
    "echo": echo.serve,
    "asking": _ask,
    "noted": _from("bench.noted"),
    "provider": _from("bench.provider"),
    "sdk": _from("bench.bare"),
}


def main() -> None:
    """Live as the role that the arguments name, until killed."""
    configure(json=False, level="warning")
    kind, *arguments = sys.argv[1:]
    spare_collections()
    anyio.run(_ROLES[kind], *arguments)


if __name__ == "__main__":
    main()
