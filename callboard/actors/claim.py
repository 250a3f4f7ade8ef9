"""Pure: may the worker that holds this task claim the run? The answer rests on reasons that stay true.

Model-checked; the obvious simpler rules lose runs. A task that may not claim is spent: acknowledging it is safe,
because no later entry of the journal can make it claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from callboard.actors.state import RunState
from callboard.bus.messages import Parent


@dataclass(frozen=True, slots=True)
class TaskClaim:
    """What a task message brings to the decision: its sequence in the queue, and the signal that it resumes for."""

    task: int
    resume: int = 0
    """Journal sequence of the signal, 0: an original task."""
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Append ``run.claimed`` by compare-and-set; refused means: read again, and ask again."""

    creates: bool


@dataclass(frozen=True, slots=True)
class Spent:
    """Acknowledge the task; before that, if ``tell`` is set, append ``child.finished`` to that parent."""

    tell: Parent | None = None


@dataclass(frozen=True, slots=True)
class NotForUs:
    """The journal was written by a newer version: give the task back for a newer worker."""

    version: int


ClaimVerdict: TypeAlias = Claim | Spent | NotForUs


def judge(state: RunState, task: TaskClaim) -> ClaimVerdict:
    """Claim, spent, or not for us. ``state`` is folded at least up to ``task.resume``."""
    if state.terminal is not None:
        return Spent(tell=None if state.created is not None else task.parent)
    if state.foreign:
        return NotForUs(state.foreign)
    if not state.owner:
        return Claim(creates=True) if task.resume == 0 else Spent()
    if not state.suspended:
        return Claim(creates=False) if task.task == state.task else Spent()
    return Claim(creates=False) if task.resume and task.resume >= state.suspended else Spent()
