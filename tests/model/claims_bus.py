"""Pure: the bus of the claims model: journals, the task queue and the feed, with what they may do wrong."""

from __future__ import annotations

from collections.abc import Iterator

from callboard.actors.state import RunState
from callboard.bus.messages import (
    Problem,
    Record,
    RunClaimed,
    RunFailed,
    RunKilled,
    RunReleased,
    SignalReceived,
)

from .claims_world import (
    Setup,
    Slot,
    Worker,
    World,
    entry_of,
    run_of,
    shown,
    task_of,
)
from .explore import Step
from .journals import Journals, record

RELEASED = record("", RunReleased())
KILLED = record("", RunKilled(by="somebody"))
FAILED = RunFailed(problem=Problem(kind="any", message="failed"))
Steps = Iterator[Step[World]]


def signal(name: str) -> Record:
    return record("", SignalReceived(name=name))


class Bus:
    """What workers and dispatchers do to the world. Stateless but for the journals, which only ever grow."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.rules = setup.rules
        self.journals = Journals(setup.rules.fold)
        self.parents = {kid: run for run, kids in enumerate(setup.kids) for kid in kids}

    def state(self, world: World, run: int) -> RunState:
        return self.journals.state(world.journals[run])

    def append(self, world: World, run: int, entry: Record, *, family: str = "") -> World:
        """``entry`` behind the journal of ``run``; the dispatchers get it if its headers concern them."""
        journal = world.journals[run]
        after = self.journals.append(journal, entry)
        kinds = tuple(event.type for event in entry.events)
        pending = world.pending
        if self.rules.concerns(kinds, family):
            pending |= {entry_of(run, self.journals.length(after))}
        journals = (*world.journals[:run], after, *world.journals[run + 1 :])
        return world._replace(journals=journals, pending=pending, bad=world.bad or self._misplaced(journal, entry))

    def _misplaced(self, journal: int, entry: Record) -> str:
        state = self.journals.state(journal)
        if not entry.owner or state.terminal is not None:
            return ""
        claims = next((event for event in entry.events if isinstance(event, RunClaimed)), None)
        if claims is None and not state.owns(entry.owner):
            return "NOT-THE-OWNER a worker wrote that does not own the run"
        if claims is not None and state.owner and not state.suspended and claims.task != state.task:
            return "TWO-OWNERS a run was claimed for another task than its owner's"
        return ""

    def publish(self, world: World, run: int, resume: int) -> Iterator[tuple[World, str, bool]]:
        """Publish a task: what may become of it. Refused because of a task of the same run: nothing yet."""
        if self.rules.one_task_per_run != "no" and any(run_of(task) == run for task in world.queue):
            if self.rules.one_task_per_run == "refused_is_done":
                yield world, "refused: a task of the run is in the queue", False
            return
        copies = sum(1 for task in world.published if task // 100 == task_of(run, resume, 0) // 100)
        if copies:
            yield world, "a duplicate", False
        if not copies or self.setup.expiry:
            task = task_of(run, resume, copies + 1)
            yield (
                world._replace(queue=world.queue | {task}, published=world.published | {task}),
                shown(task),
                bool(copies),
            )

    def reads(self, world: World, run: int, least: int) -> Iterator[tuple[World, int, str]]:
        """How far a read may see: all there is, or (a fault) an old journal from ``least`` on."""
        newest = self.journals.length(world.journals[run])
        yield world, newest, ""
        if world.stale:
            for view in range(least, newest):
                yield world._replace(stale=world.stale - 1), view, f" STALE, of {newest}"


def become(world: World, old: Worker, new: Worker) -> World:
    """``old`` is ``new``. Workers are interchangeable, so their order says nothing."""
    workers = list(world.workers)
    workers.remove(old)
    return world._replace(workers=tuple(sorted((*workers, new))))


def serve(world: World, old: Slot, new: Slot) -> World:
    """``old`` is ``new``; dispatchers are interchangeable too."""
    slots = list(world.slots)
    slots.remove(old)
    return world._replace(slots=tuple(sorted((*slots, new))))


def said(entry: Record) -> str:
    return " + ".join(event.type for event in entry.events)
