"""Pure: one run, its owners and its kill, as a transition system: claims, intents, start windows, effects, results.

The environment: any interleaving; a lease may end at any time, so that a live owner is fenced without knowing;
workers crash; answers are lost; signals arrive. Time is abstract: a start window closes at some point, and a kill
settles by time only when every window that was open has closed. An idle worker that reads is a redelivered task.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from callboard.actors.claim import Claim, judge
from callboard.actors.fold import terminal_of
from callboard.actors.state import RunState
from callboard.bus.messages import (
    ModelRequested,
    Record,
    RunKilled,
    RunSettled,
    SignalReceived,
    ToolLateResult,
    ToolRequested,
    ToolReturned,
)

from .effects_plan import TASK, Plans
from .effects_world import Plan, Setup, Worker, World, become, said
from .explore import Step, System
from .journals import NEW, Journals, record

KILL: Final = record("", RunKilled(by="somebody"))
SIGNAL: Final = record("", SignalReceived(name="note"))


class Effects:
    """The transition system of a setup."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.rules = setup.rules
        self.program = setup.program
        self.journals = Journals(setup.rules.fold)
        self.plans = Plans(self.journals, setup)

    def system(self) -> System[World]:
        setup = self.setup
        start = World(
            NEW, (Worker(),) * setup.workers, setup.claims, setup.crashes, setup.lost, setup.signals, setup.misses,
            starts=(0,) * len(self.program.calls),
        )  # fmt: skip
        return System(start, self.steps, self.broken)

    # ---- what may happen
    def steps(self, world: World) -> Iterator[Step[World]]:
        if world.bad:
            return
        for worker in dict.fromkeys(world.workers):
            yield from self._worker(world, worker)
        yield from self._outside(world)

    def _outside(self, world: World) -> Iterator[Step[World]]:
        journals, rules = self.journals, self.rules
        if world.signals:
            after = journals.append(world.journal, SIGNAL)
            yield Step("a signal", world._replace(journal=after, signals=world.signals - 1))
        if self.setup.kills and world.killed == "no" and world.journal != NEW:
            settled: Literal["accepted", "settled"] = "settled" if rules.settled == "accepted" else "accepted"
            if rules.kill == "journal":
                after = journals.append(world.journal, KILL)
                outcome = journals.state(after).outcome if rules.receipt == "fold" else "killed"
                killed = world._replace(journal=after, killed=settled, reports=world.reports | {outcome})
                yield Step(f"KILL accepted, the receipt says {outcome}", killed)
            else:
                killed = world._replace(killed=settled, reports=world.reports | {"killed"})
                yield Step("KILL by a core message, which is lost", killed)
                yield Step("KILL by a core message", killed._replace(hinted=True))
        if world.killed == "accepted":
            early = rules.early(journals.state(world.journal)) if rules.kill == "journal" else None
            if early or rules.window == "none" or not any(worker.open for worker in world.workers):
                why = f"receipt by {early}" if early else "every window is closed"
                yield Step(f"the kill is SETTLED: {why}", world._replace(killed="settled"))

    def _worker(self, world: World, me: Worker) -> Iterator[Step[World]]:
        name = f"o{me.token}" if me.token else "a worker"
        if me.pc == "stop":
            return
        if world.crashes and me != Worker():
            yield Step(f"{name} CRASHES", become(world, me, Worker())._replace(crashes=world.crashes - 1))
        if world.hinted:
            yield Step(f"{name} hears of the kill, stops", become(world, me, Worker("stop")))
        if self.setup.confirms and me.pc != "idle" and me.token and self.journals.state(world.journal).terminal:
            yield from self._stop(world, me, name)
        if me.pc == "idle":
            yield from self._idle(world, me, name)
        elif me.pc == "ready":
            yield from self._ready(world, me, name)
        else:
            yield from self._act(world, me, name)

    def _idle(self, world: World, me: Worker, name: str) -> Iterator[Step[World]]:
        if world.journal == NEW and world.claims:  # an original task claims with expectation 0, without reading
            token = self.setup.claims - world.claims + 1
            yield from self._append(
                world, me, f"o{token}", self.plans.next(NEW, token, claims=True), me._replace(token=token)
            )
        length = self.journals.length(world.journal)
        if length:
            yield Step(f"{name} reads up to @{length}", become(world, me, Worker("ready", me.token, length)))

    def _ready(self, world: World, me: Worker, name: str) -> Iterator[Step[World]]:
        seen = self.journals.up_to(world.journal, me.view)
        state = self.journals.state(seen)
        if state.terminal is not None:
            yield Step(f"{name} sees that the run is over", become(world, me, Worker("stop")))
        elif not me.token or state.owner != f"o{me.token}":
            if world.claims and isinstance(judge(state, TASK), Claim):
                token = self.setup.claims - world.claims + 1
                plan = self.plans.next(seen, token, claims=True)
                yield from self._append(world, me, f"o{token}", plan, me._replace(token=token))
        elif self.rules.window == "from_answer" and (mine := _own_open(state)):
            again = me._replace(pc="act", armed=mine, open=True)
            yield Step(f"{name} finds its own intent of {mine}", become(world, me, again))
        else:
            plan = self.plans.next(seen, me.token)
            if plan.arms and not self.rules.intents:
                ready = me._replace(pc="act", armed=plan.arms, open=True)
                yield Step(f"{name} goes on to {plan.arms}, without an intent", become(world, me, ready))
            else:
                yield from self._append(world, me, name, plan, me)

    def _act(self, world: World, me: Worker, name: str) -> Iterator[Step[World]]:
        rules = self.rules
        if me.open and rules.window != "none":
            yield Step(f"{name}'s start window closes", become(world, me, me._replace(open=False)))
        if me.open and rules.start == "after_a_pause":
            yield Step(
                f"{name}'s window is open, then it PAUSES", become(world, me, me._replace(open=False, paused=True))
            )
        elif me.open or me.paused:
            for call in me.armed:
                yield self._start(world, me, name, call)
        elif me.armed:  # decide again: an own intent is armed again
            then = me._replace(armed=()) if me.running else Worker("idle", me.token if world.misses else 0)
            missed = world._replace(misses=max(0, world.misses - 1))
            yield Step(f"{name} is too late to start {me.armed}", become(missed, me, then))
        for call in me.running:
            yield from self._result(world, me, name, call)

    def _start(self, world: World, me: Worker, name: str, call: str) -> Step[World]:
        place = self.program.calls.index(call)
        seen = self.journals.state(self.journals.up_to(world.journal, me.view)).calls.get(call)
        count = world.starts[place] + 1
        bad = ""
        if world.killed == "settled":
            bad = f"EFFECT-AFTER-SETTLED {call} started after the kill was settled"
        elif count > 1 and call in self.program.once:
            bad = f"EFFECT-TWICE {call} must not run twice, and did"
        elif not self._intended(world.journal, f"o{me.token}", call):
            bad = f"EFFECT-WITHOUT-INTENT {call} started without an intent of its owner in the journal"
        elif seen is not None and seen.status == "done":
            bad = f"EFFECT-REPEATED {call} started, although its owner knew the result"
        armed = tuple(other for other in me.armed if other != call)
        then = me._replace(
            armed=armed, open=me.open and bool(armed), paused=False, running=tuple(sorted((*me.running, call)))
        )
        starts = (*world.starts[:place], min(count, 1), *world.starts[place + 1 :])
        return Step(f"{name} STARTS {call}", become(world, me, then)._replace(starts=starts, bad=bad))

    def _intended(self, journal: int, owner: str, call: str) -> bool:
        return any(
            isinstance(event, ModelRequested | ToolRequested) and event.call == call
            for entry in self.journals.entries(journal)
            if entry.owner == owner
            for event in entry.events
        )

    def _result(self, world: World, me: Worker, name: str, call: str) -> Iterator[Step[World]]:
        rest = tuple(other for other in me.running if other != call)
        length = self.journals.length(world.journal)
        if me.view == length or self.rules.append == "plain":
            seen = self.journals.up_to(world.journal, me.view)
            plan = self.plans.next(seen, me.token, done=call, last=not rest and not me.armed)
            yield from self._append(world, me, name, plan, me._replace(running=rest))
            return
        state = self.journals.state(world.journal)
        if state.owns(f"o{me.token}"):
            yield Step(f"{name}: result of {call} refused, reads again", become(world, me, me._replace(view=length)))
        elif state.terminal is None or not self.setup.confirms:
            yield Step(f"{name}: result of {call} refused, is fenced or over", become(world, me, Worker()))

    def _stop(self, world: World, me: Worker, name: str) -> Iterator[Step[World]]:
        """At the hint of a kill: stop everything, say what came too late, confirm if that is true and ours to say."""
        journals, rules = self.journals, self.rules
        owner = f"o{me.token}"
        stopped = become(world, me, Worker("stop"))
        for call in me.running:
            if isinstance(result := self.program.result(call), ToolReturned):
                late = record(owner, ToolLateResult(call=call, result=result.result))
                after = journals.append(world.journal, late)
                yield Step(f"{name} says that {call} came too late", stopped._replace(journal=after))
        ours = journals.state(world.journal).owner == owner or rules.confirms == "anybody"
        if ours:
            after = journals.append(world.journal, record(owner, RunSettled()))
            yield Step(f"{name} stops and CONFIRMS", stopped._replace(journal=after))
        else:
            yield Step(f"{name} stops", stopped)

    def _append(self, world: World, me: Worker, name: str, plan: Plan, then: Worker) -> Iterator[Step[World]]:
        """The owner's append of ``plan``; ``then``: the worker after it, but for what the plan arms."""
        journals, rules = self.journals, self.rules
        length, what = journals.length(world.journal), said(plan.entry)
        claims = then.token != me.token
        if rules.append == "compare_and_set" and me.view != length:
            yield Step(f"{name}: {what} refused", become(world, me, Worker("idle", me.token)))
            if rules.refused == "fold" or claims:
                return
        after = journals.append(world.journal, plan.entry)
        done = world._replace(
            journal=after,
            claims=world.claims - claims,
            bad=world.bad or self._misplaced(world.journal, plan.entry, claims=claims),
        )
        stored = then._replace(view=length + 1)
        if terminal_of(plan.entry):
            ended = become(done, me, Worker("stop"))
            yield Step(
                f"{name}: {what}@{length + 1}", ended._replace(reports=done.reports | {journals.state(after).outcome})
            )
        else:
            busy = plan.arms or then.armed or then.running
            acting = stored._replace(
                pc="act" if busy else "ready", armed=then.armed or plan.arms, open=then.open or bool(plan.arms)
            )
            yield Step(f"{name}: {what}@{length + 1}", become(done, me, acting))
            if world.lost and rules.no_answer == "assume_stored":
                lost = become(world._replace(lost=world.lost - 1), me, acting._replace(view=length))
                yield Step(f"{name}: {what} NOT STORED, and no answer", lost)
        if world.lost and rules.no_answer == "reread":
            lost = become(done._replace(lost=world.lost - 1), me, self._after_no_answer(me, then))
            yield Step(f"{name}: {what}@{length + 1}, the answer is LOST", lost)

    def _after_no_answer(self, me: Worker, then: Worker) -> Worker:
        """It reads again, and arms again what it finds open; but it knows what it has started."""
        if self.rules.memory == "kept" and then.running:
            return then._replace(pc="act", view=me.view)
        return Worker("idle", then.token)

    def _misplaced(self, journal: int, entry: Record, *, claims: bool) -> str:
        state = self.journals.state(journal)
        if state.terminal is not None:
            return "RECORDED-AFTER-THE-END an owner appended behind the terminal"
        if not claims and state.owner != entry.owner:
            return "FENCED-WROTE a worker wrote that is not the last owner"
        for event in entry.events:
            if isinstance(event, ToolReturned) and (known := state.calls.get(event.call)) and known.status == "done":
                return f"RECORDED-TWICE {event.call} has two results"
        return ""

    # ---- what must hold
    def broken(self, world: World) -> str:
        if world.bad:
            return world.bad
        if len(world.reports) > 1:
            return f"TWO-OUTCOMES {', '.join(sorted(map(str, world.reports)))} were reported"
        state = self.journals.state(world.journal)
        if state.terminal is None:
            return ""
        for call, started in zip(self.program.calls, world.starts, strict=True):
            if started and call in self.program.once and not _accounted(state, call):
                return f"UNACCOUNTED {call} has started, and the ended run neither has its result nor is in doubt"
        return ""


def _own_open(state: RunState) -> tuple[str, ...]:
    return tuple(call.call for call in state.calls.values() if call.status == "open" and call.owner == state.owner)


def _accounted(state: RunState, call: str) -> bool:
    known = state.calls.get(call)
    return known is not None and (known.status == "done" or call in state.late or call in state.in_doubt)
