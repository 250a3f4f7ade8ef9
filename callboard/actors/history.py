"""Pure: the history checker. Did the journals, and what was seen of the world, keep the protocol's promises?

``check`` judges whatever it is given: a journal alone (``callboard runs verify``), or all journals with the physical
starts of effects, the receipts of kills and what is left in the queue (the chaos test). What cannot be judged from
it, and what a newer version wrote, is no violation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias

from callboard.actors.claim import Claim, TaskClaim, judge
from callboard.actors.fold import EMPTY, fold
from callboard.actors.receipt import Receipt
from callboard.actors.rules import Rule, judge_event, status
from callboard.actors.state import RunState, ready
from callboard.bus.messages import (
    VERSION,
    Event,
    ModelRequested,
    Parent,
    Record,
    ToolRequested,
    ToolResolved,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey

SKEW: Final = 0.05
"""Seconds that the clocks of server, workers and killers may differ."""


@dataclass(frozen=True, slots=True)
class EffectStart:
    """An effect was physically started: at ``at`` (seconds since the epoch), by process ``pid``."""

    run: RunKey
    call: str
    key: str
    at: float
    pid: int = 0


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """A task message that is still in the queue. ``resume`` is the signal that it resumes for, 0: an original."""

    sequence: int
    run: RunKey
    resume: int = 0
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class Counter:
    """What the ledger says of a budget that ``runs`` share: one ``unit`` of it."""

    tenant: str
    account: str
    unit: str
    spent: int
    held: int
    runs: frozenset[RunKey]


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule. ``sequence`` is the journal entry that shows it, 0 if it is not about one entry."""

    rule: Rule
    run: RunKey
    sequence: int
    message: str


Finding: TypeAlias = tuple[Rule, int, str]
Intent: TypeAlias = tuple[ToolRequested | ModelRequested, datetime | None]


@dataclass(slots=True)
class _Run:
    """A journal, read once: its fold, and what the fold does not keep."""

    state: RunState = EMPTY
    doubts: frozenset[str] = frozenset()
    """In doubt when the run ended."""
    intents: dict[str, list[Intent]] = field(default_factory=dict[str, list[Intent]])
    retries: dict[str, int] = field(default_factory=dict[str, int])
    found: list[Finding] = field(default_factory=list[Finding])


def check(
    journals: Mapping[RunKey, Sequence[Stored]],
    *,
    starts: Iterable[EffectStart] = (),
    receipts: Iterable[Receipt] = (),
    queued: Iterable[QueuedTask] = (),
    counters: Iterable[Counter] = (),
    at_rest: bool = False,
    skew: float = SKEW,
) -> tuple[Violation, ...]:
    """Every violation, by run and sequence.

    ``at_rest``: the journals and ``queued`` are complete, and nothing was going on when they were read: then no run
    may be open, except one that is suspended for something that has not come. ``counters`` are read at rest, of
    budgets that were there before their first run.
    """
    runs = {key: _read(entries) for key, entries in journals.items()}
    started: dict[RunKey, dict[str, list[EffectStart]]] = {}
    for start in sorted(starts, key=lambda each: each.at):
        started.setdefault(start.run, {}).setdefault(start.call, []).append(start)
    violations = [Violation(rule, key, at, text) for key, run in runs.items() for rule, at, text in run.found]
    for key, calls in started.items():
        for call, each in calls.items():
            found = _starts(runs.get(key, _Run()), call, each, skew)
            violations += [Violation(rule, key, at, text) for rule, at, text in found]
    for receipt in receipts:
        key = RunKey(receipt.tenant, receipt.run)
        found = _receipt(runs.get(key, _Run()), receipt, started.get(key, {}), skew)
        violations += [Violation(rule, key, at, text) for rule, at, text in found]
    violations += [found for counter in counters for found in _counted(runs, counter)]
    if at_rest:
        violations += _rest(runs, tuple(queued))
    return tuple(sorted(violations, key=lambda each: (str(each.run), each.sequence)))


# ---- one journal --------------------------------------------------------------------------------------------------
def _read(entries: Sequence[Stored]) -> _Run:
    run = _Run()
    for entry in entries:
        if entry.sequence <= run.state.sequence:
            continue
        record = entry.record
        if record is None or record.v != VERSION or run.state.foreign:
            run.state = fold(run.state, entry.sequence, record)
            continue
        for event in record.events:
            for rule, text in judge_event(run.state, record.owner, event):
                run.found.append((rule, entry.sequence, text))
            _step(run, entry, record, event)
    return run


def _step(run: _Run, entry: Stored, record: Record, event: Event) -> None:
    before = run.state
    alone = record.model_copy(update={"events": (event,)})
    run.state = after = fold(replace(before, sequence=entry.sequence - 1), entry.sequence, alone)
    if after.terminal is not None and before.terminal is None:
        run.doubts = frozenset(after.in_doubt)
    if isinstance(event, ToolRequested | ModelRequested):
        run.intents.setdefault(event.call, []).append((event, entry.at))
    if isinstance(event, ToolResolved) and status(before, event.call) == "doubt" and event.decision == "retry":
        run.retries[event.call] = run.retries.get(event.call, 0) + 1


# ---- the world ----------------------------------------------------------------------------------------------------
def _starts(run: _Run, call: str, starts: Sequence[EffectStart], skew: float) -> Iterator[Finding]:
    if run.state.foreign:
        return
    intents = run.intents.get(call, [])
    for count, start in enumerate(starts, 1):
        earlier = [each for each, at in intents if at is None or at.timestamp() <= start.at + skew]
        if len(earlier) < count:
            yield "intent", 0, f"{call}: start {count} (pid {start.pid}) has {len(earlier)} earlier intents"
        keys = {each.key for each in earlier if isinstance(each, ToolRequested)}
        if keys and start.key not in keys:
            yield "key", 0, f"{call}: started with key {start.key!r}, requested with {', '.join(map(repr, keys))}"
    known = run.state.calls.get(call)
    allowed = 1 + run.retries.get(call, 0)
    if known is not None and not known.repeatable and len(starts) > allowed:
        yield "at_most_once", known.sequence, f"{call} ({known.effect}) was started {len(starts)} times"


def _receipt(
    run: _Run, receipt: Receipt, started: Mapping[str, Sequence[EffectStart]], skew: float
) -> Iterator[Finding]:
    state = run.state
    if state.foreign:
        return
    if state.outcome != receipt.outcome:
        yield "receipt", state.ended, f"the receipt says {receipt.outcome}, the journal {state.outcome}"
    said = set(receipt.in_doubt)
    if not set(state.in_doubt) <= said or not said <= run.doubts:
        yield "receipt", state.ended, f"in doubt by the receipt {sorted(said)}, by the journal {sorted(run.doubts)}"
    if receipt.settled_by == "never_started" and state.owner:
        yield "receipt", state.claim, "the receipt says never started, the journal has a claim"
    if receipt.settled_by == "suspended" and not state.suspended:
        yield "receipt", state.ended, "the receipt says suspended, the run was owned when it ended"
    if receipt.settled_at is None:
        return
    settled = receipt.settled_at.timestamp() + skew
    for start in (each for starts in started.values() for each in starts if each.at > settled):
        late = start.at - receipt.settled_at.timestamp()
        yield "settled", state.ended, f"{start.call} was started (pid {start.pid}) {late:.3f} s after settled"


# ---- the ledger ---------------------------------------------------------------------------------------------------
def _counted(runs: Mapping[RunKey, _Run], counter: Counter) -> Iterator[Violation]:
    """Every charge is in the ledger once, and nothing is held."""
    states = [runs[key].state for key in counter.runs if key in runs]
    if any(state.foreign for state in states):
        return
    spent = sum(getattr(state.accounts.own, counter.unit) for state in states) if states else 0
    where = RunKey(counter.tenant, counter.account)
    if counter.spent != spent:
        what = "lost" if counter.spent < spent else "counted twice"
        yield Violation(
            "ledger", where, 0, f"{counter.spent} in the ledger, {spent} in the journals: charges are {what}"
        )
    if counter.held:
        yield Violation("ledger", where, 0, f"{counter.held} is held, and no call is under way")


# ---- at rest ------------------------------------------------------------------------------------------------------
def _rest(runs: Mapping[RunKey, _Run], queued: Sequence[QueuedTask]) -> Iterator[Violation]:
    for key, run in runs.items():
        state = run.state
        if state.foreign:
            continue
        tasks = [each for each in queued if each.run == key]
        for rule, sequence, text in (*_left_open(state, tasks), *_family(runs, key, state, queued)):
            yield Violation(rule, key, sequence, text)
    for task in queued:
        state = runs.get(task.run, _Run()).state
        verdict = judge(state, TaskClaim(task=task.sequence, resume=task.resume, parent=task.parent))
        if isinstance(verdict, Claim):
            yield Violation("queue", task.run, 0, f"task {task.sequence} may claim the run, and nobody took it")


def _left_open(state: RunState, tasks: Sequence[QueuedTask]) -> Iterator[Finding]:
    if not state.owner or state.terminal is not None:
        return
    if not state.suspended:
        if state.task not in {each.sequence for each in tasks}:
            yield "R1", state.claim, f"the run is open, and task {state.task} of its last claim is gone"
    elif ready(state, state.waits) and not any(each.resume >= state.suspended for each in tasks):
        yield "R2", state.suspended, "what the suspension waits for has come, and no resume task is queued"


def _family(
    runs: Mapping[RunKey, _Run], key: RunKey, state: RunState, queued: Sequence[QueuedTask]
) -> Iterator[Finding]:
    waiting = {each.run for each in queued}
    for child in state.unfinished:
        at = RunKey(key.tenant, child)
        below = runs[at].state if at in runs else EMPTY
        if state.terminal is None and below.terminal is not None:
            yield "family", below.ended, f"child {child} is {below.status}, and its parent was not told"
        elif state.terminal is None and state.suspended and not below.owner and at not in waiting:
            yield "family", state.suspended, f"child {child} was spawned, and has neither a claim nor a task"
        elif state.terminal is not None and below.terminal is None and not below.foreign:
            yield "family", state.ended, f"the run is {state.status}, and its child {child} is not over"
