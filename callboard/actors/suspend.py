"""Shell: leaving a run. Whatever will wake it is stored before the suspension is."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio

from callboard.actors.code import Ports
from callboard.actors.contents import unpack
from callboard.actors.decide import DEADLINE
from callboard.actors.effects import within_deadline
from callboard.actors.inherited import handed_down
from callboard.actors.owner import Owner
from callboard.actors.pauses import in_force
from callboard.actors.spawning import lineage
from callboard.actors.state import ready
from callboard.bus.messages import ChildSpawned, Parent, Record, RunSuspended, Task, TimerSet, Wait
from callboard.bus.subjects import RunKey, TaskAddress
from callboard.errors import QueueFull

Idle = Callable[[], AbstractAsyncContextManager[None]]
"""Entered while a run waits for room in the queue: its slot is free meanwhile, so that the queue drains."""


async def suspend(owner: Owner, waits: tuple[tuple[Wait, ...], ...], *, ports: Ports, idle: Idle) -> bool:
    """Suspend until one group of ``waits`` has arrived. False: a signal came first, decide again."""
    created = owner.view.created
    if created is not None and created.deadline is not None:
        if DEADLINE not in owner.view.timers:
            owner.defer(TimerSet(timer=DEADLINE, at=created.deadline))
        waits = (*waits, (Wait(kind="timer", name=DEADLINE),))
    await owner.flush()
    if not await publish_children(owner, ports=ports, idle=idle):
        return False
    for name in sorted({wait.name for group in waits for wait in group if wait.kind == "timer"}):
        timer = owner.state.timers.get(name)
        if timer is not None and not timer.fired:
            await ports.timers.schedule(owner.key, name, timer.at)
    if ready(owner.state, waits):
        return False
    return await owner.conclude(RunSuspended(waits=waits))


async def publish_children(owner: Owner, *, ports: Ports, idle: Idle) -> bool:
    """Publish what is not published yet of the tasks of spawned children. False: the deadline came first."""
    if owner.view.published.union(owner.sent).issuperset(owner.view.unfinished):
        return True
    with anyio.move_on_after(within_deadline(owner, math.inf, ports)) as in_time:
        for child in owner.view.unfinished:
            if child not in owner.sent | owner.view.published:
                await owner.flush()
                await publish_child(owner, owner.state.children[child], ports=ports, idle=idle)
    return not in_time.cancelled_caught


async def publish_child(owner: Owner, child: ChildSpawned, *, ports: Ports, idle: Idle) -> None:
    """Publish a child's task unless this owner or a suspension before it already has. Waits for room in the queue.

    What holds its parent holds it too: of a pause behind its spawning the dispatcher takes care.
    """
    if child.child in owner.sent or child.child in owner.state.published:
        return
    if pauses := handed_down(owner.key.run, owner.state, in_force(owner.state, ports.clock.now())):
        record = Record(id=ports.clock.new_id(), at=ports.clock.now(), events=pauses)
        await ports.journals.signal(RunKey(owner.key.tenant, child.child), record)
    created = owner.view.created
    task = Task(
        input=await unpack(child.input, ports.blobs),
        parent=Parent(run=owner.key.run, call=child.call),
        depth=1 if created is None else created.depth + 1,
        deadline=None if created is None else created.deadline,
        budget=child.budget,
        lineage=lineage(created),
    )
    address = TaskAddress(owner.key.tenant, child.agent, child.lane, child.child)
    while True:
        try:
            await ports.tasks.publish(address, task, dedup=f"{owner.key.tenant}/{child.child}")
            break
        except QueueFull as full:
            async with idle():
                await anyio.sleep(full.retry_after or 1.0)
    owner.sent |= {child.child}
