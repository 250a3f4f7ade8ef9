"""Shell: what a child process of the benchmark is: ``python -m bench.role ROLE …``.

Worker and dispatcher are the children that ``callboard worker`` and ``callboard supervisor`` start, nothing less.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping

import anyio

from bench import bare, floor, noted, provider
from bench.code import agents
from bench.conversation import asking
from bench.guards import HOSTED
from callboard.actors.actor import running
from callboard.actors.worker import Worker
from callboard.app.guarding import guard_child
from callboard.app.node import BusAt, WorkerSettings, ports, supervisor_child, worker_child
from callboard.app.process import spare_collections
from callboard.bus.bus import open_bus
from callboard.bus.subjects import Subjects
from callboard.log import configure


async def _work(url: str, name: str, slots: str) -> None:
    settings = WorkerSettings(name, slots=int(slots))
    async with running(worker_child(BusAt((url,)), agents(), settings, anyio.Event())):
        print("ready", flush=True)
        await anyio.sleep_forever()


async def _ask(url: str, name: str, slots: str, address: str) -> None:
    """A worker whose agents ask the fake provider."""
    settings, given = WorkerSettings(name, slots=int(slots)), bare.providers(address)
    async with running(worker_child(BusAt((url,)), asking(), settings, anyio.Event(), providers=given)):
        print("ready", flush=True)
        await anyio.sleep_forever()


async def _work_unguarded(url: str, name: str, prefix: str) -> None:
    subjects = Subjects(prefix)
    async with open_bus(url, subjects=subjects, name=name, echo=False) as bus, anyio.create_task_group() as group:
        group.start_soon(Worker(agents(), ports(bus), name=name, ack_wait=bus.ack_wait).run, anyio.Event())
        print("ready", flush=True)
        await anyio.sleep_forever()


async def _dispatch(url: str, name: str, prefix: str = "cb") -> None:
    async with running(supervisor_child(BusAt((url,), Subjects(prefix)), name)):
        print("ready", flush=True)
        await anyio.sleep_forever()


async def _guard(url: str, name: str) -> None:
    async with running(guard_child(BusAt((url,)), HOSTED, name=name)):
        print("ready", flush=True)
        await anyio.sleep_forever()


_ROLES: Mapping[str, Callable[..., Awaitable[None]]] = {
    "worker": _work,
    "bare": _work_unguarded,
    "dispatcher": _dispatch,
    "guard": _guard,
    "floor": floor.serve,
    "asking": _ask,
    "noted": noted.serve,
    "provider": provider.serve,
    "sdk": bare.serve,
}


def main() -> None:
    """Live as the role that the arguments name, until killed."""
    configure(json=False, level="warning")
    kind, *arguments = sys.argv[1:]
    spare_collections()
    anyio.run(_ROLES[kind], *arguments)


if __name__ == "__main__":
    main()
