"""Pure: tasks, claims, suspensions, the dispatcher, children and the kill of a tree, as a transition system.

The product's ``judge``, ``fold``, ``ready``, ``duties`` and ``concerns`` decide; here is only the environment, and the
order in which a worker and a dispatcher do what those say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from callboard.actors.claim import Claim, Spent, TaskClaim
from callboard.actors.state import RunState, ready
from callboard.bus.messages import (
    ChildSpawned,
    KnownEvent,
    Parent,
    Problem,
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunKilled,
    RunReleased,
    RunSuspended,
    SignalReceived,
    Wait,
)
from callboard.supervisors.dispatch import SIGNALS_THAT_WAKE, KillChild, PublishResume, TellParent, finished

from .claims_world import (
    DutiesRule,
    Groups,
    Setup,
    Slot,
    Worker,
    World,
    entry_of,
    resume_of,
    run_of,
    shown,
    start,
    task_of,
)
from .explore import Step, System
from .journals import AT, NEW, Journals, record

RELEASED = record("", RunReleased())
KILLED = record("", RunKilled(by="somebody"))
FAILED = RunFailed(problem=Problem(kind="any", message="failed"))
Steps = Iterator[Step[World]]


def signal(name: str) -> Record:
    return record("", SignalReceived(name=name))


class Claims:
    """The transition system of a setup."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.rules = setup.rules
        self.journals = Journals(setup.rules.fold)
        self.parents = {kid: run for run, kids in enumerate(setup.kids) for kid in kids}
        self.waits: tuple[Groups, ...] = tuple(self._groups(run) for run in range(len(setup.waits)))
        self._owed: list[tuple[int, Record | None]] = []
        self._todo: dict[tuple[int, int], tuple[int, ...]] = {}
        self._rest: dict[int, tuple[int, tuple[int, ...]]] = {}

    def _groups(self, run: int) -> Groups:
        children = tuple(Wait(kind="child", name=f"r{kid}") for kid in self.setup.kids[run])
        return tuple(
            (*(Wait(kind="signal", name=name) for name in group), *children) for group in self.setup.waits[run]
        )

    def system(self) -> System[World]:
        journal = NEW
        for entry in self.setup.start:
            journal = self.journals.append(journal, entry)
        goal = (self.tree_over if self.setup.hangs else self.all_over) if self.setup.live else None
        return System(start(self.setup, journal), self.steps, self.broken, goal)

    # ---- the bus
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

    # ---- what may happen
    def steps(self, world: World) -> Steps:
        if world.bad:
            return
        for worker in dict.fromkeys(world.workers):
            yield from self._worker(world, worker)
        for slot in dict.fromkeys(world.slots):
            yield from self._dispatcher(world, slot)
        yield from self._outside(world)

    def _outside(self, world: World) -> Steps:
        for run, name in world.signals:
            sent = self.append(world, run, signal(name))
            yield Step(f"signal {name} to run{run}", sent._replace(signals=world.signals - {(run, name)}))
            if world.repeats:
                yield Step(
                    f"signal {name} to run{run}, again later", sent._replace(repeats=world.repeats - 1), fault=True
                )
        for run in world.kills:  # names no parent: whoever can publish can kill, in any language
            killed = self.append(world, run, KILLED)
            yield Step(f"KILL run{run}", killed._replace(kills=world.kills - {run}), fault=True)
        if world.duplicates:
            task = task_of(0, 0, 2 + self.setup.duplicates - world.duplicates)
            again = world._replace(queue=world.queue | {task}, published=world.published | {task})
            yield Step("the original task AGAIN", again._replace(duplicates=world.duplicates - 1), fault=True)
        if self.setup.losses or self.setup.sweeps:
            yield from self._lossy_queue(world)
        if self.setup.removes_killed:
            for task in world.queue:
                state = self.state(world, run_of(task))
                if state.terminal is not None and not state.owner:
                    yield Step(
                        f"somebody REMOVES {shown(task)}", world._replace(queue=world.queue - {task}), fault=True
                    )

    def _lossy_queue(self, world: World) -> Steps:
        for run in range(len(world.journals)):
            state = self.state(world, run)
            if not state.owner or state.suspended or state.terminal is not None:
                continue
            lost = state.task not in world.queue
            if world.losses and not lost:
                less = world._replace(queue=world.queue - {state.task}, losses=world.losses - 1)
                yield Step(f"the queue LOSES {shown(state.task)}", less, fault=True)
            if self.setup.sweeps and (lost or world.early):
                released = self.append(world, run, RELEASED)
                early = world.early if lost else world.early - 1
                yield Step(f"the sweeper releases run{run}", released._replace(early=early), fault=not lost)

    # ---- a worker
    def _worker(self, world: World, me: Worker) -> Steps:
        rules, task, run = self.rules, me.task, run_of(me.task)
        name = f"w({shown(task)})"
        if world.crashes and me.pc != "idle":
            yield Step(f"{name} CRASHES", become(world, me, Worker())._replace(crashes=world.crashes - 1), fault=True)
        match me.pc:
            case "idle":
                yield from self._deliver(world, me)
            case "got" if rules.orphans != "no_check" and run in self.parents:
                over = self.state(world, self.parents[run]).terminal is not None
                yield Step(f"{name} reads its parent", become(world, me, me._replace(pc="orphan" if over else "read")))
            case "got" if rules.starts == "blind_and_plain" and not resume_of(task):
                yield from self._claim(world, me, name)
            case "got" if rules.starts == "blind" and not resume_of(task) and world.journals[run] == NEW:
                yield from self._claim(world, me, name)
            case "got" | "read":
                least = resume_of(task) if rules.worker_reads == "to_signal" else 0
                for after, view, how in self.reads(world, run, least):
                    seen = become(after, me, me._replace(pc="seen", view=view))
                    yield Step(f"{name} reads run{run} up to @{view}{how}", seen, fault=bool(how))
            case "seen":
                yield from self._judge(world, me, name)
            case "orphan":
                killed = self.append(world, run, self._killed_by(self.parents[run]))
                yield Step(f"{name} kills the orphan run{run}", become(killed, me, me._replace(pc="ack")))
            case "recheck":
                over = self.state(world, self.parents[run]).terminal is not None
                yield Step(
                    f"{name} reads its parent again", become(world, me, me._replace(pc="orphan" if over else "own"))
                )
            case "own":
                yield from self._own(world, me, name)
            case "ack":
                done = become(world, me, Worker())
                yield Step(f"{name} ACKNOWLEDGES", done._replace(queue=world.queue - {task}))
            case "ack_and_own":
                owning = become(world, me, me._replace(pc="own"))
                yield Step(f"{name} ACKNOWLEDGES, and goes on", owning._replace(queue=world.queue - {task}))
            case "release":
                yield Step(f"{name} hands run{run} over", become(self.append(world, run, RELEASED), me, Worker()))

    def _killed_by(self, parent: int) -> Record:
        return record("", RunKilled(by="orphan check", parent=f"r{parent}"))

    def _deliver(self, world: World, me: Worker) -> Steps:
        held = {worker.task for worker in world.workers}
        for task in world.queue:
            got = become(world, me, Worker("got", task))
            if task not in held:
                yield Step(f"a worker gets {shown(task)}", got)
            elif world.redeliveries:
                again = got._replace(redeliveries=world.redeliveries - 1)
                yield Step(f"another worker gets {shown(task)} while its holder lives", again, fault=True)

    def _judge(self, world: World, me: Worker, name: str) -> Steps:
        run = run_of(me.task)
        state = self.journals.state(self.journals.up_to(world.journals[run], me.view))
        parent = Parent(run=f"r{self.parents[run]}") if run in self.parents else None
        held = TaskClaim(task=me.task, resume=resume_of(me.task), parent=None if resume_of(me.task) else parent)
        match self.rules.judge(state, held):
            case Spent(tell=None):
                yield Step(f"{name} is spent", become(world, me, me._replace(pc="ack")))
            case Spent(tell=Parent() as above):
                told = self.append(world, int(above.run[1:]), record("", finished(f"r{run}", state)))
                yield Step(f"{name} tells {above.run} that r{run} is over", become(told, me, me._replace(pc="ack")))
            case Claim() if me.view != self.journals.length(world.journals[run]):
                yield Step(f"{name}: claim refused", become(world, me, me._replace(pc="got", view=0)))
            case Claim():
                yield from self._claim(world, me, name)
            case other:
                raise AssertionError(f"no journal of this model is {other!r}")

    def _claim(self, world: World, me: Worker, name: str) -> Steps:
        rules, run = self.rules, run_of(me.task)
        journal = world.journals[run]
        at = self.journals.length(journal) + 1
        owner = f"o{at}"
        events: tuple[KnownEvent, ...] = (RunClaimed(task=me.task),)
        if self.journals.state(journal).created is None:
            above = Parent(run=f"r{self.parents[run]}") if run in self.parents else None
            events = (RunCreated(agent="agent", at=AT, parent=above), *events)
        if self.setup.together:
            state = self.journals.ahead(journal, record(owner, *events))
            events += self._next(run, state, frozenset(state.unfinished) - state.published)
        entry = record(owner, *events)
        claimed = self.append(world, run, entry, family=self._family(journal, entry))
        state = self.state(claimed, run)
        then = me._replace(pc="own", view=at, claim=at)
        if rules.acknowledges == "after_claim":
            then = then._replace(pc="ack_and_own")
        elif rules.orphans == "before_and_after" and run in self.parents:
            then = then._replace(pc="recheck")
        elif state.suspended or state.terminal is not None:
            then = me._replace(pc="ack", view=0)
        yield Step(f"{name} CLAIMS: {said(entry)}@{at}", become(claimed, me, then))
        if world.lost:
            lost = become(claimed._replace(lost=world.lost - 1), me, Worker("got", me.task))
            yield Step(f"{name} CLAIMS: {said(entry)}@{at}, the answer is LOST", lost, fault=True)

    def _family(self, journal: int, entry: Record) -> str:
        """The header of an owner's own terminal, by the state that the owner has at that record."""
        return self.rules.family(self.journals.ahead(journal, entry))

    def _next(self, run: int, state: RunState, unsent: Collection[object]) -> tuple[KnownEvent, ...]:
        """What the owner writes next; nothing while a child's task is still to be published."""
        missing = [kid for kid in self.setup.kids[run] if f"r{kid}" not in state.children]
        if missing:
            return tuple(ChildSpawned(child=f"r{kid}", call=f"c{kid}", agent="agent") for kid in missing)
        if unsent and self.rules.suspends == "after_publishing":
            return ()
        groups = self.waits[run]
        return (RunCompleted(),) if ready(state, groups) else (RunSuspended(waits=groups),)

    def _own(self, world: World, me: Worker, name: str) -> Steps:
        run, owner = run_of(me.task), f"o{me.claim}"
        seen = self.journals.up_to(world.journals[run], me.view)
        state = self.journals.state(seen)
        if state.owner != owner and state.terminal is None:
            fenced = me._replace(pc="ack", view=0, claim=0, out=()) if self.rules.fenced == "acknowledges" else Worker()
            yield Step(f"{name} is fenced", become(world, me, fenced))
            return
        if state.terminal is not None or state.suspended:
            yield Step(f"{name} sees run{run} {state.status}", become(world, me, Worker("ack", me.task)))
            return
        if world.drains:
            yield self._hand_over(world._replace(drains=world.drains - 1), me, name)
        if run in self.setup.fails:
            yield from self._write(world, me, name, (FAILED,))
        unsent = self._unsent(me, state, seen)
        if unsent:
            kid = min(unsent)
            for after, what, fault in self.publish(world, kid, 0):
                out = me._replace(out=tuple(sorted({*me.out, kid})))
                yield Step(f"{name} publishes {what}", become(after, me, out), fault)
        if events := self._next(run, state, unsent):
            yield from self._write(world, me, name, events)

    def _unsent(self, me: Worker, state: RunState, seen: int) -> frozenset[int]:
        """Spawned children whose task this owner has not published, and that are not known to be published."""
        kids = {int(child[1:]) for child in state.unfinished if child not in state.published} - {*me.out}
        if self.rules.children == "published_once":
            mine = {
                int(event.child[1:])
                for entry in self.journals.entries(seen)
                for event in entry.events
                if entry.owner == f"o{me.claim}" and isinstance(event, ChildSpawned)
            }
            kids &= mine
        return frozenset(kids)

    def _hand_over(self, world: World, me: Worker, name: str) -> Step[World]:
        run = run_of(me.task)
        if self.rules.hands_over == "only_acknowledges":
            return Step(f"{name} drains", become(world, me, Worker("ack", me.task)), fault=True)
        if self.rules.hands_over == "acknowledges_first":
            less = world._replace(queue=world.queue - {me.task})
            return Step(f"{name} drains, ACKNOWLEDGES", become(less, me, Worker("release", me.task)), fault=True)
        released = self.append(world, run, RELEASED)
        return Step(f"{name} drains, hands run{run} over", become(released, me, Worker("ack", me.task)), fault=True)

    def _write(self, world: World, me: Worker, name: str, events: tuple[KnownEvent, ...]) -> Steps:
        run = run_of(me.task)
        entry = record(f"o{me.claim}", *events)
        length = self.journals.length(world.journals[run])
        plain = self.rules.owner_appends == "plain" or (
            self.rules.owner_appends == "plain_suspension" and isinstance(events[0], RunSuspended)
        )
        if me.view != length and not plain:
            yield Step(f"{name}: {said(entry)} refused, reads again", become(world, me, me._replace(view=length)))
            return
        seen = self.journals.up_to(world.journals[run], me.view)
        done = self.append(world, run, entry, family=self._family(seen, entry))
        ends = isinstance(events[0], RunCompleted | RunFailed | RunSuspended)
        then = Worker("ack", me.task) if ends else me._replace(view=length + 1)
        yield Step(f"{name}: {said(entry)}@{length + 1}", become(done, me, then))
        if world.lost:
            lost = done._replace(lost=world.lost - 1)
            yield Step(f"{name}: {said(entry)}@{length + 1}, the answer is LOST", lost, fault=True)

    # ---- a dispatcher
    def _dispatcher(self, world: World, me: Slot) -> Steps:
        if not me.entry:
            yield from self._take(world, me)
            return
        if world.dispatcher_crashes:
            crashed = serve(world, me, Slot())._replace(dispatcher_crashes=world.dispatcher_crashes - 1)
            yield Step(f"dispatcher({me.entry}) CRASHES", crashed, fault=True)
        if not me.todo:
            acknowledged = serve(world, me, Slot())._replace(pending=world.pending - {me.entry})
            yield Step(f"dispatcher({me.entry}) acknowledges", acknowledged)
            return
        target, entry = self._owed[me.todo[0]]
        rest = Slot(me.entry, me.todo[1:])
        if entry is None:
            for after, what, fault in self.publish(world, target, me.entry % 100):
                yield Step(f"dispatcher({me.entry}) publishes {what}", serve(after, me, rest), fault)
        else:
            after = serve(self.append(world, target, entry), me, rest)
            yield Step(f"dispatcher({me.entry}): {said(entry)} to run{target}", after)

    def _take(self, world: World, me: Slot) -> Steps:
        busy = {slot.entry for slot in world.slots}
        for entry in world.pending:
            if entry in busy and len(world.slots) == 1:
                continue
            run, sequence = divmod(entry, 100)
            least = sequence if self.rules.dispatcher_reads == "to_event" else 0
            for read, view, how in self.reads(world, run, least):
                after = read
                if self.rules.dispatcher_acknowledges == "first":
                    after = after._replace(pending=after.pending - {entry})
                slot = Slot(entry, self._duties(world.journals[run], run, sequence, view))
                label = f"dispatcher takes run{run}@{sequence}, owes {len(slot.todo)}{how}"
                yield Step(label, serve(after, me, slot), fault=bool(how))

    def _duties(self, journal: int, run: int, sequence: int, view: int) -> tuple[int, ...]:
        seen = self.journals.up_to(journal, view)
        key = seen, entry_of(run, sequence)
        if key not in self._todo:
            asked = DutiesRule(f"r{run}", sequence, self.journals.entry(journal, sequence), self.journals.state(seen))
            self._todo[key] = tuple(self._number(run, duty) for duty in self.rules.duties(asked))
        return self._todo[key]

    def _number(self, run: int, duty: PublishResume | TellParent | KillChild) -> int:
        match duty:
            case PublishResume():
                owed: tuple[int, Record | None] = run, None
            case TellParent(parent, event):
                owed = int(parent[1:]), record("", event)
            case KillChild(child, event):
                owed = int(child[1:]), record("", event)
        if owed not in self._owed:
            self._owed.append(owed)
        return self._owed.index(owed)

    # ---- what must hold
    def broken(self, world: World) -> str:
        if world.bad or not self.setup.at_rest:
            return world.bad
        for run, journal in enumerate(world.journals):
            task, late = self._at_rest(journal)
            if task and task not in world.queue and not self.setup.sweeps:
                return f"R1 run{run} has an owner, and its task is gone from the queue: a crash now loses the run"
            if late and not any(entry_of(run, sequence) in world.pending for sequence in late):
                suspended = self.journals.state(journal).suspended
                if not any(run_of(task) == run and resume_of(task) >= suspended for task in world.queue):
                    return f"R2 run{run} is suspended, what it waits for is there @{late}, and nothing will wake it"
        return ""

    def _at_rest(self, journal: int) -> tuple[int, tuple[int, ...]]:
        """The owner's task of a running run (else 0), and the signals behind the suspension of a ready one."""
        if journal not in self._rest:
            state, task, late = self.journals.state(journal), 0, tuple[int, ...]()
            if state.owner and state.terminal is None and not state.suspended:
                task = state.task
            elif state.owner and state.terminal is None and ready(state, state.waits):
                late = tuple(
                    sequence
                    for sequence, entry in enumerate(self.journals.entries(journal), 1)
                    if sequence >= state.suspended and any(event.type in SIGNALS_THAT_WAKE for event in entry.events)
                )
            self._rest[journal] = task, late
        return self._rest[journal]

    def tree_over(self, world: World) -> bool:
        """Every child of a run that is over is over, also one that never started."""
        return all(self._children_over(world, run) for run in range(len(world.journals)))

    def all_over(self, world: World) -> bool:
        """The run is over, its children are, and nothing is left in the queue or with the dispatchers."""
        over = self.state(world, 0).terminal is not None and self.tree_over(world)
        return over and not world.queue and not world.pending

    def _children_over(self, world: World, run: int) -> bool:
        state = self.state(world, run)
        return state.terminal is None or all(
            self.state(world, int(child[1:])).terminal is not None for child in state.children
        )


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
