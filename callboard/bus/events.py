"""Pure: the events of a run's owner, past-tense facts, appended by compare-and-set. ``signals`` has those of others."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, JsonValue

from callboard.bus.subjects import Lane
from callboard.bus.values import (
    Amount,
    Caps,
    Content,
    DoubtPolicy,
    Effect,
    Message,
    Parent,
    Prefix,
    Problem,
    Purpose,
    Token,
    ToolCall,
    Usage,
    Wait,
)


class RunCreated(Message):
    """The run exists. ``spec`` is the agent spec it keeps to its end; ``deadline`` is inherited by children.

    ``budget`` is the slice that its parent gave it; ``lineage`` has the agents above it, the topmost first.
    ``warm``: it only fills the prompt cache of its agent's model.
    """

    type: Literal["run.created"] = "run.created"
    agent: Token
    lane: Lane = "normal"
    input: Content = Content()
    parent: Parent | None = None
    depth: int = 0
    deadline: AwareDatetime | None = None
    budget: Caps | None = None
    lineage: tuple[str, ...] = ()
    warm: bool = False
    spec: JsonValue = None
    digest: str = ""
    at: AwareDatetime


class RunClaimed(Message):
    """A worker owns the run from here on. ``task`` is the stream sequence of the task message that it holds."""

    type: Literal["run.claimed"] = "run.claimed"
    task: int
    worker: str = ""


class ModelRequested(Message):
    """Intent: a model call may start within the start window. ``attempt`` counts from 1.

    ``reserved`` is the most it may cost; it is charged in full if nobody ever learns what the call used. ``wrap_up``:
    the last turn, which calls no tools, of a run whose budget is used up. ``priced_by``: where the price is from, and
    of which day; empty if nobody knows one. ``entry``: the model's place in the agent's models, ``instead``: why no
    earlier one was asked. Only a call for a ``turn`` is one of the agent's turns. ``prefix``: what prompt caches go by.
    """

    type: Literal["model.requested"] = "model.requested"
    call: str
    attempt: int = 1
    model: str = ""
    reserved: Amount = Amount()
    wrap_up: bool = False
    priced_by: str = ""
    entry: int = 0
    instead: str = ""
    purpose: Purpose = "turn"
    prefix: Prefix | None = None


class ModelResponded(Message):
    """A model call ended well. ``stop`` is the normalised stop reason, ``purpose`` that of its intent.

    ``blocks`` is a list: the answer as the provider said it, where it wants that back unchanged.
    """

    type: Literal["model.responded"] = "model.responded"
    call: str
    text: Content = Content(value="")
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    stop: str = "end"
    blocks: Content = Content()
    purpose: Purpose = "turn"


class ModelFailed(Message):
    """A model call failed. Retried (``retry_at``) when that is set, else the run ends. ``usage`` is what it used.

    ``replaced``: it had begun to speak, and the next attempt begins anew: who showed that takes it back. ``left``: the
    next attempt goes to another of the agent's models, and this one is not asked again in this call: until a guard puts
    the call off (``for_now``), or at all (``for_good``).
    """

    type: Literal["model.failed"] = "model.failed"
    call: str
    attempt: int = 1
    problem: Problem
    retry_at: AwareDatetime | None = None
    usage: Usage = Usage()
    replaced: bool = False
    left: Literal["", "for_now", "for_good"] = ""


class OutputRejected(Message):
    """The answer of ``call`` is not what the agent's ``output`` says: its ``problems`` are read, and it is asked anew.

    ``round`` counts from 1.
    """

    type: Literal["output.rejected"] = "output.rejected"
    call: str
    round: int = 1
    problems: str = ""


class ToolRequested(Message):
    """Intent: a tool call (or a function worker's step) may start within the start window.

    ``key`` is the idempotency key, the same on every attempt. ``in_doubt`` is the policy after a crash. ``timeout``:
    the seconds that it may take if neither the tool nor the agent's limits say so.
    """

    type: Literal["tool.requested"] = "tool.requested"
    call: str
    tool: str
    effect: Effect = "at_most_once"
    key: str = ""
    attempt: int = 1
    in_doubt: DoubtPolicy = "continue"
    timeout: float | None = None


class ToolReturned(Message):
    """A tool call ended: with ``result``, or with a ``problem`` that the model can read."""

    type: Literal["tool.returned"] = "tool.returned"
    call: str
    result: Content = Content()
    problem: Problem | None = None


class ContextRelieved(Message):
    """From here on the model reads less than the journal has, so that ``call`` fits into its ``window``.

    ``before`` and ``after`` are its tokens as estimated, ``window`` is 0 if nobody knows it. ``cleared``: calls whose
    results are a reference from here on; ``repeated``: the same, because they were made again later. ``summary``
    stands for all turns up to that of the call ``through``; people's notes among them stay as they are.
    """

    type: Literal["context.relieved"] = "context.relieved"
    call: str
    window: int = 0
    before: int = 0
    after: int = 0
    cleared: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    through: str = ""
    summary: Content = Content()


class GuardDenied(Message):
    """A guard did not let the next model call start. Asked again at ``retry_at`` if that is set, else the run ends.

    ``wrap_up``: it ends after one more turn, which calls no tools.
    """

    type: Literal["guard.denied"] = "guard.denied"
    guard: str
    call: str
    problem: Problem
    retry_at: AwareDatetime | None = None
    wrap_up: bool = False


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
    """Intent: the child's task is published after this, and again by a new owner. ``budget`` is its slice.

    ``at`` is when it was decided, by the owner's clock.
    """

    type: Literal["child.spawned"] = "child.spawned"
    child: Token
    call: str
    agent: Token
    input: Content = Content()
    lane: Lane = "normal"
    budget: Caps | None = None
    at: AwareDatetime | None = None


class RunSuspended(Message):
    """The run holds nothing until all waits of one of the groups have arrived."""

    type: Literal["run.suspended"] = "run.suspended"
    waits: tuple[tuple[Wait, ...], ...] = ()


class RunCompleted(Message):
    """Terminal: the run has a result."""

    type: Literal["run.completed"] = "run.completed"
    result: Content = Content()


class RunFailed(Message):
    """Terminal: the run ended without a result. ``guard`` ended it, ``partial`` is what it had by then."""

    type: Literal["run.failed"] = "run.failed"
    problem: Problem
    guard: str = ""
    partial: Content | None = None
