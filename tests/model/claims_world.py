"""Pure: the world of the claims model: its rules, its setups, and what a state of it holds.

A task is a number that says what it is: its run, the signal it resumes for (0: an original), and which copy.
Tasks with the same content published in another order are the same tasks; that alone halves the states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, NamedTuple

from callboard.actors.claim import ClaimVerdict, TaskClaim, judge
from callboard.actors.fold import fold
from callboard.actors.state import RunState
from callboard.bus.messages import Record, Wait
from callboard.supervisors.dispatch import Duty, concerns, duties

from .journals import NEW, Fold

Groups = tuple[tuple[Wait, ...], ...]


class DutiesRule(NamedTuple):
    """What a dispatcher's rule is asked about."""

    run: str
    sequence: int
    record: Record
    state: RunState


def owed(asked: DutiesRule) -> tuple[Duty, ...]:
    """The product's rule. The header names the parent as the event does."""
    return duties(asked.run, asked.sequence, asked.record, asked.state)


def family_of(state: RunState) -> str:
    """What an owner writes into the header of its own terminal."""
    alone = state.created is not None and state.created.parent is None and not state.unfinished
    return "none" if alone else ""


@dataclass(frozen=True)
class Rules:
    """The defaults are the protocol, with the product's functions; every other value is a mutant (or an option)."""

    judge: Callable[[RunState, TaskClaim], ClaimVerdict] = judge
    duties: Callable[[DutiesRule], tuple[Duty, ...]] = owed
    concerns: Callable[[tuple[str, ...] | None, str], bool] = concerns
    family: Callable[[RunState], str] = family_of
    fold: Fold = fold
    starts: Literal["blind", "reads_first", "blind_and_plain"] = "blind"
    """An original task claims with expectation 0 and without reading; or it reads; or it expects nothing at all."""
    acknowledges: Literal["after_append", "after_claim"] = "after_append"
    fenced: Literal["stops", "acknowledges"] = "stops"
    owner_appends: Literal["compare_and_set", "plain", "plain_suspension"] = "compare_and_set"
    hands_over: Literal["released_first", "only_acknowledges", "acknowledges_first"] = "released_first"
    worker_reads: Literal["to_signal", "anything"] = "to_signal"
    dispatcher_reads: Literal["to_event", "anything"] = "to_event"
    dispatcher_acknowledges: Literal["last", "first"] = "last"
    children: Literal["published_again", "published_once"] = "published_again"
    suspends: Literal["after_publishing", "at_once"] = "after_publishing"
    orphans: Literal["no_check", "before", "before_and_after"] = "no_check"
    one_task_per_run: Literal["no", "refused_is_retried", "refused_is_done"] = "no"


@dataclass(frozen=True)
class Setup:
    """What the runs wait for, which faults may happen how often, and the rules."""

    name: str
    rules: Rules = Rules()
    waits: tuple[tuple[tuple[str, ...], ...], ...] = ((("A",),),)
    """Per run: groups of signals; the run ends when one group is there, and every child has finished."""
    kids: tuple[tuple[int, ...], ...] = ((),)
    signals: tuple[tuple[int, str], ...] = ((0, "A"),)
    """Will come, at any time."""
    kills: tuple[int, ...] = ()
    """Runs that somebody may kill, once each, at any time."""
    fails: tuple[int, ...] = ()
    """Runs whose owner may fail them at any time."""
    together: bool = False
    """The claim is in one record with what follows from it."""
    workers: int = 2
    dispatchers: int = 1
    crashes: int = 1
    redeliveries: int = 1
    """While the holder lives."""
    duplicates: int = 0
    """The original task published again."""
    repeats: int = 0
    """A signal that is sent again."""
    lost: int = 0
    """Appends that are stored and whose answer is lost."""
    dispatcher_crashes: int = 0
    stale: int = 0
    """Reads that see an old journal."""
    drains: int = 0
    """Owners that hand over."""
    expiry: bool = False
    """The duplicate window may have ended whenever something is published again."""
    losses: int = 0
    """The queue loses an owner's task ..."""
    sweeps: bool = False
    """... and somebody appends ``run.released`` for it,"""
    early: int = 0
    """or does so although the owner lives."""
    removes_killed: bool = False
    """Somebody removes the queued task of a killed run."""
    hangs: bool = False
    """A child waits for what never comes: the goal is only that the children of a run that is over are over."""
    at_rest: bool = True
    """Check R1 and R2 in every state."""
    live: bool = True
    start: tuple[Record, ...] = ()
    """The journal of run 0 at the start, with these tasks in the queue."""
    queue: frozenset[int] = field(default_factory=lambda: frozenset({task_of(0)}))


class Worker(NamedTuple):
    """``view``: how far it has read; ``claim``: sequence of its claim; ``out``: children whose tasks it published."""

    pc: Literal["idle", "got", "read", "seen", "orphan", "own", "recheck", "ack", "ack_and_own", "release"] = "idle"
    task: int = 0
    view: int = 0
    claim: int = 0
    out: tuple[int, ...] = ()


class Slot(NamedTuple):
    """A dispatcher: the entry that it handles (``entry`` 0: none), and what it still owes for it."""

    entry: int = 0
    todo: tuple[tuple[str, int], ...] = ()


class World(NamedTuple):
    """The whole system. ``pending``: entries that the dispatchers have not acknowledged."""

    journals: tuple[int, ...]
    queue: frozenset[int]
    published: frozenset[int]
    workers: tuple[Worker, ...]
    slots: tuple[Slot, ...]
    pending: frozenset[int]
    signals: frozenset[tuple[int, str]]
    kills: frozenset[int]
    crashes: int
    redeliveries: int
    duplicates: int
    repeats: int
    lost: int
    dispatcher_crashes: int
    stale: int
    drains: int
    losses: int
    early: int
    bad: str = ""


def start(setup: Setup, journal: int = NEW) -> World:
    """The world of a setup before anything happened. ``journal`` is run 0's."""
    return World(
        journals=(journal, *(NEW for _ in setup.waits[1:])),
        queue=setup.queue,
        published=setup.queue,
        workers=(Worker(),) * setup.workers,
        slots=(Slot(),) * setup.dispatchers,
        pending=frozenset(),
        signals=frozenset(setup.signals),
        kills=frozenset(setup.kills),
        crashes=setup.crashes,
        redeliveries=setup.redeliveries,
        duplicates=setup.duplicates,
        repeats=setup.repeats,
        lost=setup.lost,
        dispatcher_crashes=setup.dispatcher_crashes,
        stale=setup.stale,
        drains=setup.drains,
        losses=setup.losses,
        early=setup.early,
    )


def task_of(run: int, resume: int = 0, copy: int = 1) -> int:
    """A task as a number: never 0."""
    return run * 10_000 + resume * 100 + copy


def run_of(task: int) -> int:
    return task // 10_000


def resume_of(task: int) -> int:
    return task // 100 % 100


def entry_of(run: int, sequence: int) -> int:
    """A journal entry as a number: never 0."""
    return run * 100 + sequence


@cache
def shown(task: int) -> str:
    resume, copy = resume_of(task), task % 100
    what = f"resume@{resume}" if resume else "original"
    return f"t{task}({what} of run{run_of(task)}{f', copy {copy}' if copy > 1 else ''})"
