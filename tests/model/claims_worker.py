"""Pure: a worker of the claims model: it gets a task, asks the product's ``judge``, owns the run, and leaves it."""

from __future__ import annotations

from collections.abc import Collection

from callboard.actors.claim import Claim, Spent, TaskClaim
from callboard.actors.state import RunState, ready
from callboard.bus.messages import (
    ChildSpawned,
    KnownEvent,
    Parent,
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunKilled,
    RunSuspended,
    Wait,
)
from callboard.supervisors.dispatch import finished

from .claims_bus import FAILED, RELEASED, Bus, Steps, become, said
from .claims_world import (
    Groups,
    Worker,
    World,
    resume_of,
    run_of,
    shown,
)
from .explore import Step
from .journals import AT, NEW, record


class Workers:
    """What a worker may do next. All of them are alike."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.waits: tuple[Groups, ...] = tuple(self._groups(run) for run in range(len(bus.setup.waits)))

    def _groups(self, run: int) -> Groups:
        children = tuple(Wait(kind="child", name=f"r{kid}") for kid in self.bus.setup.kids[run])
        return tuple(
            (*(Wait(kind="signal", name=name) for name in group), *children) for group in self.bus.setup.waits[run]
        )

    def steps(self, world: World, me: Worker) -> Steps:
        rules, task, run = self.bus.rules, me.task, run_of(me.task)
        name = f"w({shown(task)})"
        if world.crashes and me.pc != "idle":
            yield Step(f"{name} CRASHES", become(world, me, Worker())._replace(crashes=world.crashes - 1), fault=True)
        match me.pc:
            case "idle":
                yield from self._deliver(world, me)
            case "got" if rules.orphans != "no_check" and run in self.bus.parents:
                over = self.bus.state(world, self.bus.parents[run]).terminal is not None
                yield Step(f"{name} reads its parent", become(world, me, me._replace(pc="orphan" if over else "read")))
            case "got" if rules.starts == "blind_and_plain" and not resume_of(task):
                yield from self._claim(world, me, name)
            case "got" if rules.starts == "blind" and not resume_of(task) and world.journals[run] == NEW:
                yield from self._claim(world, me, name)
            case "got" | "read":
                least = resume_of(task) if rules.worker_reads == "to_signal" else 0
                for after, view, how in self.bus.reads(world, run, least):
                    seen = become(after, me, me._replace(pc="seen", view=view))
                    yield Step(f"{name} reads run{run} up to @{view}{how}", seen, fault=bool(how))
            case "seen":
                yield from self._judge(world, me, name)
            case "orphan":
                killed = self.bus.append(world, run, self._killed_by(self.bus.parents[run]))
                yield Step(f"{name} kills the orphan run{run}", become(killed, me, me._replace(pc="ack")))
            case "recheck":
                over = self.bus.state(world, self.bus.parents[run]).terminal is not None
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
                yield Step(f"{name} hands run{run} over", become(self.bus.append(world, run, RELEASED), me, Worker()))

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
        state = self.bus.journals.state(self.bus.journals.up_to(world.journals[run], me.view))
        parent = Parent(run=f"r{self.bus.parents[run]}") if run in self.bus.parents else None
        held = TaskClaim(task=me.task, resume=resume_of(me.task), parent=None if resume_of(me.task) else parent)
        match self.bus.rules.judge(state, held):
            case Spent(tell=None):
                yield Step(f"{name} is spent", become(world, me, me._replace(pc="ack")))
            case Spent(tell=Parent() as above):
                told = self.bus.append(world, int(above.run[1:]), record("", finished(f"r{run}", state)))
                yield Step(f"{name} tells {above.run} that r{run} is over", become(told, me, me._replace(pc="ack")))
            case Claim() if me.view != self.bus.journals.length(world.journals[run]):
                yield Step(f"{name}: claim refused", become(world, me, me._replace(pc="got", view=0)))
            case Claim():
                yield from self._claim(world, me, name)
            case other:
                raise AssertionError(f"no journal of this model is {other!r}")

    def _claim(self, world: World, me: Worker, name: str) -> Steps:
        rules, run = self.bus.rules, run_of(me.task)
        journal = world.journals[run]
        at = self.bus.journals.length(journal) + 1
        owner = f"o{at}"
        events: tuple[KnownEvent, ...] = (RunClaimed(task=me.task),)
        if self.bus.journals.state(journal).created is None:
            above = Parent(run=f"r{self.bus.parents[run]}") if run in self.bus.parents else None
            events = (RunCreated(agent="agent", at=AT, parent=above), *events)
        if self.bus.setup.together:
            state = self.bus.journals.ahead(journal, record(owner, *events))
            events += self._next(run, state, frozenset(state.unfinished) - state.published)
        entry = record(owner, *events)
        claimed = self.bus.append(world, run, entry, family=self._family(journal, entry))
        state = self.bus.state(claimed, run)
        then = me._replace(pc="own", view=at, claim=at)
        if rules.acknowledges == "after_claim":
            then = then._replace(pc="ack_and_own")
        elif rules.orphans == "before_and_after" and run in self.bus.parents:
            then = then._replace(pc="recheck")
        elif state.suspended or state.terminal is not None:
            then = me._replace(pc="ack", view=0)
        yield Step(f"{name} CLAIMS: {said(entry)}@{at}", become(claimed, me, then))
        if world.lost:
            lost = become(claimed._replace(lost=world.lost - 1), me, Worker("got", me.task))
            yield Step(f"{name} CLAIMS: {said(entry)}@{at}, the answer is LOST", lost, fault=True)

    def _family(self, journal: int, entry: Record) -> str:
        """The header of an owner's own terminal, by the state that the owner has at that record."""
        return self.bus.rules.family(self.bus.journals.ahead(journal, entry))

    def _next(self, run: int, state: RunState, unsent: Collection[object]) -> tuple[KnownEvent, ...]:
        """What the owner writes next; nothing while a child's task is still to be published."""
        missing = [kid for kid in self.bus.setup.kids[run] if f"r{kid}" not in state.children]
        if missing:
            return tuple(ChildSpawned(child=f"r{kid}", call=f"c{kid}", agent="agent") for kid in missing)
        if unsent and self.bus.rules.suspends == "after_publishing":
            return ()
        groups = self.waits[run]
        return (RunCompleted(),) if ready(state, groups) else (RunSuspended(waits=groups),)

    def _own(self, world: World, me: Worker, name: str) -> Steps:
        run, owner = run_of(me.task), f"o{me.claim}"
        seen = self.bus.journals.up_to(world.journals[run], me.view)
        state = self.bus.journals.state(seen)
        if state.owner != owner and state.terminal is None:
            fenced = (
                me._replace(pc="ack", view=0, claim=0, out=()) if self.bus.rules.fenced == "acknowledges" else Worker()
            )
            yield Step(f"{name} is fenced", become(world, me, fenced))
            return
        if state.terminal is not None or state.suspended:
            yield Step(f"{name} sees run{run} {state.status}", become(world, me, Worker("ack", me.task)))
            return
        if world.drains:
            yield self._hand_over(world._replace(drains=world.drains - 1), me, name)
        if run in self.bus.setup.fails:
            yield from self._write(world, me, name, (FAILED,))
        unsent = self._unsent(me, state, seen)
        if unsent:
            kid = min(unsent)
            for after, what, fault in self.bus.publish(world, kid, 0):
                out = me._replace(out=tuple(sorted({*me.out, kid})))
                yield Step(f"{name} publishes {what}", become(after, me, out), fault)
        if events := self._next(run, state, unsent):
            yield from self._write(world, me, name, events)

    def _unsent(self, me: Worker, state: RunState, seen: int) -> frozenset[int]:
        """Spawned children whose task this owner has not published, and that are not known to be published."""
        kids = {int(child[1:]) for child in state.unfinished if child not in state.published} - {*me.out}
        if self.bus.rules.children == "published_once":
            mine = {
                int(event.child[1:])
                for entry in self.bus.journals.entries(seen)
                for event in entry.events
                if entry.owner == f"o{me.claim}" and isinstance(event, ChildSpawned)
            }
            kids &= mine
        return frozenset(kids)

    def _hand_over(self, world: World, me: Worker, name: str) -> Step[World]:
        run = run_of(me.task)
        if self.bus.rules.hands_over == "only_acknowledges":
            return Step(f"{name} drains", become(world, me, Worker("ack", me.task)), fault=True)
        if self.bus.rules.hands_over == "acknowledges_first":
            less = world._replace(queue=world.queue - {me.task})
            return Step(f"{name} drains, ACKNOWLEDGES", become(less, me, Worker("release", me.task)), fault=True)
        released = self.bus.append(world, run, RELEASED)
        return Step(f"{name} drains, hands run{run} over", become(released, me, Worker("ack", me.task)), fault=True)

    def _write(self, world: World, me: Worker, name: str, events: tuple[KnownEvent, ...]) -> Steps:
        run = run_of(me.task)
        entry = record(f"o{me.claim}", *events)
        length = self.bus.journals.length(world.journals[run])
        plain = self.bus.rules.owner_appends == "plain" or (
            self.bus.rules.owner_appends == "plain_suspension" and isinstance(events[0], RunSuspended)
        )
        if me.view != length and not plain:
            yield Step(f"{name}: {said(entry)} refused, reads again", become(world, me, me._replace(view=length)))
            return
        seen = self.bus.journals.up_to(world.journals[run], me.view)
        done = self.bus.append(world, run, entry, family=self._family(seen, entry))
        ends = isinstance(events[0], RunCompleted | RunFailed | RunSuspended)
        then = Worker("ack", me.task) if ends else me._replace(view=length + 1)
        yield Step(f"{name}: {said(entry)}@{length + 1}", become(done, me, then))
        if world.lost:
            lost = done._replace(lost=world.lost - 1)
            yield Step(f"{name}: {said(entry)}@{length + 1}, the answer is LOST", lost, fault=True)
