"""Shell: the processes of a deployment: a worker, a supervisor, and ``up``, which has all of them below it."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio

from callboard.actors.actor import Run
from callboard.actors.code import AgentCode
from callboard.app.bus_at import BusAt
from callboard.app.guards import Guarding
from callboard.app.node import WorkerSettings, supervisor_child, worker_child
from callboard.bus.bus import open_bus
from callboard.config.providers import Providers
from callboard.log import get_logger
from callboard.supervisors.process import beat, process_child
from callboard.supervisors.supervisor import supervisor
from callboard.supervisors.tree import ChildSpec, SupervisorSpec

log = get_logger(__name__)
_MARGIN_SECONDS: Final = 1.0
"""What a worker gets on top of its grace before it is cut off: its bus may be away."""
_GRACE_SECONDS: Final = 3.0
"""What a process gets to end by itself before it is killed."""

_READY_SECONDS: Final = 120.0
"""For a process. A worker imports libraries for six seconds of CPU, of which a busy or small machine may give little:
one that was started again too early would never get there."""


def process_name() -> str:
    """What this process is called on the bus."""
    return f"{socket.gethostname().partition('.')[0]}-{os.getpid()}"


def spare_collections() -> None:
    """Let the garbage collector skip what is loaded by now, which stays for ever, and look less often at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def run_worker(
    at: BusAt, agents: Mapping[str, AgentCode], settings: WorkerSettings, *, guarding: Guarding, providers: Providers
) -> None:
    """Work until SIGTERM or SIGINT, then finish or hand over what is held. A second signal ends the process at once.

    Raises ``BusUnreachable`` or ``BusRefused`` if there is no bus at the start; later it waits for it to come back.
    """
    await probe(at)
    leaving = anyio.Event()
    tree = supervisor(
        SupervisorSpec((ChildSpec("worker", restart="transient"),)),
        {"worker": worker_child(at, agents, settings, leaving, guarding=guarding, providers=providers)},
    )
    await serve(tree, leaving, linger=settings.grace + _MARGIN_SECONDS)


async def run_supervisor(at: BusAt) -> None:
    """Dispatch and sweep until SIGTERM or SIGINT. Any number of these share the work."""
    await probe(at)
    tree = supervisor(SupervisorSpec((ChildSpec("supervisor"),)), {"supervisor": supervisor_child(at, process_name())})
    await serve(tree, anyio.Event(), linger=0.0)


async def up(at: BusAt, commands: Mapping[str, tuple[Sequence[str], int]], *, told: Callable[[], None]) -> None:
    """A supervisor in this process, and processes, kept running until a signal.

    ``commands`` are, by what they are called, the command and how many of it. They end together: a worker that leaves
    starts nothing that a guard would have to see. ``told`` is called when all of them are ready.
    """
    processes = {
        f"{kind}-{number}": process_child(command, grace=_GRACE_SECONDS)
        for kind, (command, count) in commands.items()
        for number in range(1, count + 1)
    }
    children = {"supervisor": supervisor_child(at, process_name()), **processes}
    specs = (ChildSpec("supervisor"), *(ChildSpec(name, ready_within=_READY_SECONDS) for name in processes))
    spec = SupervisorSpec(specs, max_restarts=3 * len(children))
    await serve(supervisor(spec, children), anyio.Event(), linger=0.0, told=told)


async def serve(tree: Run, leaving: anyio.Event, *, linger: float, told: Callable[[], None] | None = None) -> None:
    """Run ``tree`` until it ends, or ``linger`` seconds after a signal; beat for the supervisor of this process."""
    spare_collections()
    ready = anyio.Event()

    async def beats() -> None:
        await ready.wait()
        if told is not None:
            told()
        await beat()

    async def leave() -> None:
        await _signalled(leaving)
        await anyio.sleep(linger)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        group.start_soon(beats)
        await tree(ready)
        group.cancel_scope.cancel()


async def _signalled(leaving: anyio.Event) -> None:
    """Return at the first signal; a second one ends the process wherever it is."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        first = await anext(signals)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os._exit(128 + number))
    log.info("leaving", signal=signal.Signals(first).name)  # from here on the second one ends it
    leaving.set()


async def probe(at: BusAt) -> None:
    """A bus that is not there at the start is the user's mistake, not a fault to be waited out."""
    async with open_bus(at.urls, subjects=at.subjects, name=process_name()):
        log.info("bus found", url=", ".join(at.urls), prefix=at.subjects.prefix)
