"""Pure: an explicit-state model checker. Breadth first, so that every counterexample is a shortest one.

A model says what may happen next (any interleaving), what must never be true (safety), and what must remain
reachable **without a further fault** (liveness). In a finite graph the last is the same as: after finitely many
faults, and with strong fairness, the goal is reached. A state that breaks it is doomed: nothing healthy saves it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)
STUCK: Final = "STUCK no fault-free continuation reaches the goal"


class Step(NamedTuple, Generic[S]):
    """One thing that may happen: what it is called, the state after it, and whether it is a fault."""

    label: str
    after: S
    fault: bool = False


@dataclass(frozen=True)
class System(Generic[S]):
    """A transition system. ``goal`` None: only safety is checked."""

    start: S
    steps: Callable[[S], Iterable[Step[S]]]
    broken: Callable[[S], str]
    """The violated property's name and what is wrong, ``""`` if all hold."""
    goal: Callable[[S], bool] | None = None


@dataclass(frozen=True)
class Verdict:
    """What the checker found, in ``seconds`` of CPU. ``complete``: every reachable state was seen.

    ``trace`` is the way to the violation.
    """

    states: int
    depth: int
    seconds: float
    complete: bool
    problem: str = ""
    trace: tuple[str, ...] = ()

    @property
    def proved(self) -> bool:
        """No violation, and there is no state that was not looked at."""
        return self.complete and not self.problem


@dataclass
class _Graph(Generic[S]):
    """The states found so far, in the order of their discovery; predecessors only over fault-free steps."""

    system: System[S]
    found: dict[S, int]
    came: list[int]
    depths: list[int]
    before: list[list[int]]
    goals: list[int]

    def trace(self, last: int) -> tuple[str, ...]:
        """The labels from the start to ``last``; taken again from the model, which is cheaper than to keep them."""
        states = list(self.found)
        path = [last]
        while path[-1]:
            path.append(self.came[path[-1]])
        path.reverse()
        return tuple(
            next(step.label for step in self.system.steps(states[here]) if step.after == states[there])
            for here, there in pairwise(path)
        )

    def doomed(self) -> int | None:
        """The first state from which no fault-free path leads to a goal."""
        live = bytearray(len(self.came))
        todo = self.goals
        for state in todo:
            live[state] = 1
        while todo:
            for earlier in self.before[todo.pop()]:
                if not live[earlier]:
                    live[earlier] = 1
                    todo.append(earlier)
        doomed = (state for state in range(len(live)) if not live[state])
        first = next(doomed, None)
        return first if first != 0 else self._dead_end()

    def _dead_end(self) -> int:
        """Where it ends if all is doomed from the start: the first state that nothing healthy leaves, else the last."""
        left = {earlier for reached in self.before for earlier in reached}
        return next((state for state in range(len(self.came)) if state not in left), len(self.came) - 1)


def explore(system: System[S], *, max_states: int = 3_000_000) -> Verdict:
    """Visit every reachable state, or stop at the first violation or at ``max_states``."""
    started = time.process_time()
    collecting = gc.isenabled()
    gc.disable()  # millions of small tuples and not one cycle: the collector only costs time
    try:
        graph, problem, at, complete = _search(system, max_states)
        if complete and not problem and system.goal is not None and (doomed := graph.doomed()) is not None:
            problem, at = STUCK, doomed
        return Verdict(
            states=len(graph.came),
            depth=graph.depths[-1],
            seconds=time.process_time() - started,
            complete=complete,
            problem=problem,
            trace=graph.trace(at) if problem else (),
        )
    finally:
        if collecting:
            gc.enable()


def _search(system: System[S], max_states: int) -> tuple[_Graph[S], str, int, bool]:
    steps, broken, goal = system.steps, system.broken, system.goal
    found = {system.start: 0}
    queue, came, depths, before, goals = [system.start], [0], [0], [[]], []
    graph = _Graph(system, found, came, depths, before, goals)
    if problem := broken(system.start):
        return graph, problem, 0, False
    if goal is not None and goal(system.start):
        goals.append(0)
    for here, state in enumerate(queue):  # the list grows while it is read
        for _, after, fault in steps(state):
            there = found.get(after)
            if there is None:
                there = found[after] = len(came)
                came.append(here)
                depths.append(depths[here] + 1)
                before.append([])
                queue.append(after)
                if problem := broken(after):
                    return graph, problem, there, False
                if goal is not None and goal(after):
                    goals.append(there)
            if goal is not None and not fault:
                before[there].append(here)
        if len(came) > max_states:
            return graph, "", 0, False
    return graph, "", 0, True
