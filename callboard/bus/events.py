"""Pure: the events of a journal, past-tense facts. ``messages`` has their union and the record they travel in.

The owner's events are appended by compare-and-set, signals by anybody, information by whoever has it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from callboard.bus.subjects import Lane
from callboard.bus.values import (
    Content,
    DoubtPolicy,
    Effect,
    Message,
    Outcome,
    Parent,
    Problem,
    Token,
    ToolCall,
    Usage,
    Wait,
)


# ---- events of the owner ------------------------------------------------------------------------------------------
class RunCreated(Message):
    """The run exists. ``spec`` is the agent spec it keeps to its end; ``deadline`` is inherited by children."""

    type: Literal["run.created"] = "run.created"
    agent: Token
    lane: Lane = "normal"
    input: Content = Content()
    parent: Parent | None = None
    depth: int = 0
    deadline: AwareDatetime | None = None
    spec: JsonValue = None
    digest: str = ""
    at: AwareDatetime


class RunClaimed(Message):
    """A worker owns the run from here on. ``task`` is the stream sequence of the task message that it holds."""

    type: Literal["run.claimed"] = "run.claimed"
    task: int
    worker: str = ""


class ModelRequested(Message):
    """Intent: a model call may start within the start window. ``attempt`` counts from 1."""

    type: Literal["model.requested"] = "model.requested"
    call: str
    attempt: int = 1
    model: str = ""


class ModelResponded(Message):
    """A model call ended well. ``stop`` is the normalised stop reason."""

    type: Literal["model.responded"] = "model.responded"
    call: str
    text: Content = Content(value="")
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    stop: str = "end"


class ModelFailed(Message):
    """A model call failed. Retried (``retry_at``) when that is set, else the run ends."""

    type: Literal["model.failed"] = "model.failed"
    call: str
    attempt: int = 1
    problem: Problem
    retry_at: AwareDatetime | None = None


class ToolRequested(Message):
    """Intent: a tool call (or a function worker's step) may start within the start window.

    ``key`` is the idempotency key, the same on every attempt. ``in_doubt`` is the policy after a crash.
    """

    type: Literal["tool.requested"] = "tool.requested"
    call: str
    tool: str
    effect: Effect = "at_most_once"
    key: str = ""
    attempt: int = 1
    in_doubt: DoubtPolicy = "continue"


class ToolReturned(Message):
    """A tool call ended: with ``result``, or with a ``problem`` that the model can read."""

    type: Literal["tool.returned"] = "tool.returned"
    call: str
    result: Content = Content()
    problem: Problem | None = None


class ToolInDoubt(Message):
    """A call that must not run twice was open when its worker was lost. Its policy decides what follows."""

    type: Literal["tool.in_doubt"] = "tool.in_doubt"
    call: str
    policy: DoubtPolicy


class TimerSet(Message):
    """A durable timer: due at ``at``."""

    type: Literal["timer.set"] = "timer.set"
    timer: Token
    at: AwareDatetime


class ChildSpawned(Message):
    """Intent: the child's task is published after this, and again by a new owner."""

    type: Literal["child.spawned"] = "child.spawned"
    child: Token
    call: str
    agent: Token
    input: Content = Content()
    lane: Lane = "normal"


class RunSuspended(Message):
    """The run holds nothing until all waits of one of the groups have arrived."""

    type: Literal["run.suspended"] = "run.suspended"
    waits: tuple[tuple[Wait, ...], ...] = ()


class RunCompleted(Message):
    """Terminal: the run has a result."""

    type: Literal["run.completed"] = "run.completed"
    result: Content = Content()


class RunFailed(Message):
    """Terminal: the run ended without a result."""

    type: Literal["run.failed"] = "run.failed"
    problem: Problem


# ---- signals: anybody appends them --------------------------------------------------------------------------------
class RunKilled(Message):
    """Terminal: somebody ended the run. ``parent`` names the run whose end took this one with it."""

    type: Literal["run.killed"] = "run.killed"
    reason: str = ""
    by: str = ""
    parent: Token | None = None


class RunReleased(Message):
    """The owner's task is gone, or the owner hands the run over: it counts as a suspension at its own sequence."""

    type: Literal["run.released"] = "run.released"
    reason: str = ""


class RunSteered(Message):
    """A note that the agent reads before its next turn."""

    type: Literal["run.steered"] = "run.steered"
    text: str
    by: str = ""


class ChildFinished(Message):
    """A child is over."""

    type: Literal["child.finished"] = "child.finished"
    child: Token
    outcome: Outcome
    result: Content = Content()
    problem: Problem | None = None


class TimerFired(Message):
    """A durable timer is due."""

    type: Literal["timer.fired"] = "timer.fired"
    timer: Token


class SignalReceived(Message):
    """A named value from outside (an approval, an answer). The first one of a name wins."""

    type: Literal["signal.received"] = "signal.received"
    name: Token
    value: JsonValue = None
    by: str = ""


class ToolResolved(Message):
    """Somebody (a person, the tool's ``verify`` hook) says what became of a call in doubt."""

    type: Literal["tool.resolved"] = "tool.resolved"
    call: str
    decision: Literal["done", "retry", "fail"]
    value: JsonValue = None
    by: str = ""


# ---- information: changes nothing ---------------------------------------------------------------------------------
class ToolLateResult(Message):
    """Information: a result that came after the terminal."""

    type: Literal["tool.late_result"] = "tool.late_result"
    call: str
    result: Content = Content()
    problem: Problem | None = None


class RunSettled(Message):
    """Information: the owner has stopped everything of a killed run; ``running`` names what it could not stop."""

    type: Literal["run.settled"] = "run.settled"
    running: tuple[str, ...] = ()


class UnknownEvent(BaseModel):
    """An event of a newer version: kept, and ignored by the fold."""

    model_config = ConfigDict(frozen=True, extra="allow")
    type: str
