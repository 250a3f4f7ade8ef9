"""Pure: tasks, claims, suspensions, the dispatcher, children and the kill of a tree, as a transition system.

The product's ``judge``, ``fold``, ``ready``, ``duties`` and ``concerns`` decide; here is only the environment, and the
order in which a worker and a dispatcher do what those say.
"""

from __future__ import annotations

from callboard.actors.state import ready
from callboard.supervisors.dispatch import SIGNALS_THAT_WAKE

from .claims_bus import KILLED, RELEASED, Bus, Steps, signal
from .claims_dispatcher import Dispatchers
from .claims_worker import Workers
from .claims_world import (
    Setup,
    World,
    entry_of,
    resume_of,
    run_of,
    shown,
    start,
    task_of,
)
from .explore import Step, System
from .journals import NEW


class Claims:
    """The transition system of a setup."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.bus = Bus(setup)
        self.workers = Workers(self.bus)
        self.dispatchers = Dispatchers(self.bus)
        self._rest: dict[int, tuple[int, tuple[int, ...]]] = {}

    def system(self) -> System[World]:
        journal = NEW
        for entry in self.setup.start:
            journal = self.bus.journals.append(journal, entry)
        goal = (self.tree_over if self.setup.hangs else self.all_over) if self.setup.live else None
        return System(start(self.setup, journal), self.steps, self.broken, goal)

    # ---- what may happen
    def steps(self, world: World) -> Steps:
        if world.bad:
            return
        for worker in dict.fromkeys(world.workers):
            yield from self.workers.steps(world, worker)
        for slot in dict.fromkeys(world.slots):
            yield from self.dispatchers.steps(world, slot)
        yield from self._outside(world)

    def _outside(self, world: World) -> Steps:
        for run, name in world.signals:
            sent = self.bus.append(world, run, signal(name))
            yield Step(f"signal {name} to run{run}", sent._replace(signals=world.signals - {(run, name)}))
            if world.repeats:
                yield Step(
                    f"signal {name} to run{run}, again later", sent._replace(repeats=world.repeats - 1), fault=True
                )
        for run in world.kills:  # names no parent: whoever can publish can kill, in any language
            killed = self.bus.append(world, run, KILLED)
            yield Step(f"KILL run{run}", killed._replace(kills=world.kills - {run}), fault=True)
        if world.duplicates:
            task = task_of(0, 0, 2 + self.setup.duplicates - world.duplicates)
            again = world._replace(queue=world.queue | {task}, published=world.published | {task})
            yield Step("the original task AGAIN", again._replace(duplicates=world.duplicates - 1), fault=True)
        if self.setup.losses or self.setup.sweeps:
            yield from self._lossy_queue(world)
        if self.setup.removes_killed:
            for task in world.queue:
                state = self.bus.state(world, run_of(task))
                if state.terminal is not None and not state.owner:
                    yield Step(
                        f"somebody REMOVES {shown(task)}", world._replace(queue=world.queue - {task}), fault=True
                    )

    def _lossy_queue(self, world: World) -> Steps:
        for run in range(len(world.journals)):
            state = self.bus.state(world, run)
            if not state.owner or state.suspended or state.terminal is not None:
                continue
            lost = state.task not in world.queue
            if world.losses and not lost:
                less = world._replace(queue=world.queue - {state.task}, losses=world.losses - 1)
                yield Step(f"the queue LOSES {shown(state.task)}", less, fault=True)
            if self.setup.sweeps and (lost or world.early):
                released = self.bus.append(world, run, RELEASED)
                early = world.early if lost else world.early - 1
                yield Step(f"the sweeper releases run{run}", released._replace(early=early), fault=not lost)

    # ---- what must hold
    def broken(self, world: World) -> str:
        if world.bad or not self.setup.at_rest:
            return world.bad
        for run, journal in enumerate(world.journals):
            task, late = self._at_rest(journal)
            if task and task not in world.queue and not self.setup.sweeps:
                return f"R1 run{run} has an owner, and its task is gone from the queue: a crash now loses the run"
            if late and not any(entry_of(run, sequence) in world.pending for sequence in late):
                suspended = self.bus.journals.state(journal).suspended
                if not any(run_of(task) == run and resume_of(task) >= suspended for task in world.queue):
                    return f"R2 run{run} is suspended, what it waits for is there @{late}, and nothing will wake it"
        return ""

    def _at_rest(self, journal: int) -> tuple[int, tuple[int, ...]]:
        """The owner's task of a running run (else 0), and the signals behind the suspension of a ready one."""
        if journal not in self._rest:
            state, task, late = self.bus.journals.state(journal), 0, tuple[int, ...]()
            if state.owner and state.terminal is None and not state.suspended:
                task = state.task
            elif state.owner and state.terminal is None and ready(state, state.waits):
                late = tuple(
                    sequence
                    for sequence, entry in enumerate(self.bus.journals.entries(journal), 1)
                    if sequence >= state.suspended and any(event.type in SIGNALS_THAT_WAKE for event in entry.events)
                )
            self._rest[journal] = task, late
        return self._rest[journal]

    def tree_over(self, world: World) -> bool:
        """Every child of a run that is over is over, also one that never started."""
        return all(self._children_over(world, run) for run in range(len(world.journals)))

    def all_over(self, world: World) -> bool:
        """The run is over, its children are, and nothing is left in the queue or with the dispatchers."""
        over = self.bus.state(world, 0).terminal is not None and self.tree_over(world)
        return over and not world.queue and not world.pending

    def _children_over(self, world: World, run: int) -> bool:
        state = self.bus.state(world, run)
        return state.terminal is None or all(
            self.bus.state(world, int(child[1:])).terminal is not None for child in state.children
        )
