"""Pure: the world of the effects model: its rules, its setups, and what a state of it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from callboard.actors.fold import fold
from callboard.actors.receipt import SettledBy, receipt
from callboard.actors.state import RunState
from callboard.bus.messages import Outcome, Record
from callboard.bus.subjects import RunKey

from .journals import AT, Fold
from .programs import Program, function

KEY: Final = RunKey("default", "r0")


def settled_early(state: RunState) -> SettledBy | None:
    """Why the product's receipt says that a kill is settled at the instant of its acceptance, None if it does not."""
    return receipt(state, KEY, accepted_at=AT, now=AT).settled_by


@dataclass(frozen=True)
class Rules:
    """The defaults are the protocol; every other value is a mutant."""

    append: Literal["compare_and_set", "plain"] = "compare_and_set"
    intents: bool = True
    window: Literal["from_publish", "from_answer", "none"] = "from_publish"
    start: Literal["at_the_check", "after_a_pause"] = "at_the_check"
    """The check of the window and the start of the effect are one thing, or the process may pause in between."""
    kill: Literal["journal", "hint"] = "journal"
    receipt: Literal["fold", "blind"] = "fold"
    settled: Literal["windows_closed", "accepted"] = "windows_closed"
    no_answer: Literal["reread", "assume_stored"] = "reread"
    memory: Literal["kept", "lost"] = "kept"
    """An owner that reads again after a lost answer still knows which effects it has started, or forgets it."""
    refused: Literal["fold", "repeat"] = "fold"
    """What an owner does whose append was refused: fold what came and decide again, or repeat the record."""
    confirms: Literal["last_owner", "anybody"] = "last_owner"
    """Who appends ``run.settled`` after a kill."""
    early: Callable[[RunState], SettledBy | None] = settled_early
    """Why a kill is settled although start windows may be open: from the receipt at the instant of the kill."""
    fold: Fold = fold


@dataclass(frozen=True)
class Setup:
    """A program, the faults that may happen to it, and the rules that it runs under."""

    name: str
    program: Program = function("s1", "s2")
    rules: Rules = Rules()
    workers: int = 2
    claims: int = 2
    crashes: int = 1
    lost: int = 1
    signals: int = 0
    kills: bool = True
    misses: int = 1
    """Start windows that an owner misses and goes on from; after one more it gives up."""
    together: bool = False
    """Several events in one record: the claim or a result together with what follows from it."""
    confirms: bool = False
    """The owner stops at the hint of a kill, says what came too late, and appends ``run.settled``."""


class Worker(NamedTuple):
    """``token`` 0: no claim. ``armed``: intents written, not started; ``running``: started, without a result."""

    pc: Literal["idle", "ready", "act", "stop"] = "idle"
    token: int = 0
    view: int = 0
    armed: tuple[str, ...] = ()
    open: bool = False
    paused: bool = False
    """The window was found open, and the process paused before the start."""
    running: tuple[str, ...] = ()


class World(NamedTuple):
    """The whole system."""

    journal: int
    workers: tuple[Worker, ...]
    claims: int
    crashes: int
    lost: int
    signals: int
    misses: int
    killed: Literal["no", "accepted", "settled"] = "no"
    hinted: bool = False
    starts: tuple[int, ...] = ()
    reports: frozenset[Outcome | None] = frozenset()
    bad: str = ""


class Plan(NamedTuple):
    """The next record of an owner, and the effects that it is the intent of."""

    entry: Record
    arms: tuple[str, ...]


def become(world: World, old: Worker, new: Worker) -> World:
    """``old`` is ``new``. Workers are interchangeable, so their order says nothing."""
    workers = list(world.workers)
    workers.remove(old)
    return world._replace(workers=tuple(sorted((*workers, new))))


def said(entry: Record) -> str:
    """The types of an entry's events, with the call they are about."""
    return " + ".join(f"{event.type} {getattr(event, 'call', '')}".strip() for event in entry.events)
