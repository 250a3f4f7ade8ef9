"""Pure: the messages of the bus. They are the contract: fields are only ever added, unknown ones are ignored.

A journal is a sequence of records; a record is one message with one or more events (several events in one record
are one write). Events and values have files of their own; everybody imports them from here. Money is an integer of
micro-dollars, durations are seconds (``float``), instants are aware UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias, cast

from pydantic import AwareDatetime, Discriminator, Field, JsonValue, StringConstraints, Tag

from callboard.bus.events import (
    ChildSpawned,
    ContextRelieved,
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    OutputRejected,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunSuspended,
    TimerSet,
    ToolInDoubt,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.signals import (
    BudgetRaised,
    ChildFinished,
    ModelLateUsage,
    RunKilled,
    RunPaused,
    RunReleased,
    RunResumed,
    RunSettled,
    RunSteered,
    SignalReceived,
    TimerFired,
    ToolLateResult,
    ToolResolved,
    UnknownEvent,
)
from callboard.bus.values import (
    VERSION,
    Amount,
    Blob,
    Caps,
    Content,
    DoubtPolicy,
    Effect,
    Message,
    Outcome,
    Parent,
    Prefix,
    Problem,
    Token,
    ToolCall,
    Usage,
    Wait,
)

__all__ = (
    "KNOWN",
    "SIGNALS",
    "TERMINAL",
    "VERSION",
    "Amount",
    "Blob",
    "BudgetRaised",
    "Caps",
    "ChildFinished",
    "ChildSpawned",
    "Content",
    "ContextRelieved",
    "DeadLetter",
    "DoubtPolicy",
    "Effect",
    "Event",
    "GuardDenied",
    "Information",
    "KnownEvent",
    "Message",
    "ModelFailed",
    "ModelLateUsage",
    "ModelRequested",
    "ModelResponded",
    "Outcome",
    "OutputRejected",
    "OwnerEvent",
    "Parent",
    "Prefix",
    "Problem",
    "Record",
    "Resume",
    "RunClaimed",
    "RunCompleted",
    "RunCreated",
    "RunFailed",
    "RunKilled",
    "RunPaused",
    "RunReleased",
    "RunResumed",
    "RunSettled",
    "RunSteered",
    "RunSuspended",
    "Signal",
    "SignalReceived",
    "Task",
    "TimerFired",
    "TimerSet",
    "Token",
    "ToolCall",
    "ToolInDoubt",
    "ToolLateResult",
    "ToolRequested",
    "ToolResolved",
    "ToolReturned",
    "UnknownEvent",
    "Usage",
    "Wait",
)

OwnerEvent: TypeAlias = (
    ContextRelieved
    | RunCreated | RunClaimed | ModelRequested | ModelResponded | ModelFailed | ToolRequested | ToolReturned
    | OutputRejected | GuardDenied | ToolInDoubt | TimerSet | ChildSpawned | RunSuspended | RunCompleted | RunFailed
)  # fmt: skip
Signal: TypeAlias = (
    RunKilled | RunReleased | RunSteered | RunPaused | RunResumed | BudgetRaised
    | ChildFinished | TimerFired | SignalReceived | ToolResolved
)  # fmt: skip
Information: TypeAlias = ToolLateResult | ModelLateUsage | RunSettled | UnknownEvent
KnownEvent: TypeAlias = OwnerEvent | Signal | ToolLateResult | ModelLateUsage | RunSettled

KNOWN: Final[dict[str, type[Message]]] = {
    kind.model_fields["type"].default: kind
    for kind in (
        ContextRelieved,
        RunCreated, RunClaimed, ModelRequested, ModelResponded, ModelFailed, ToolRequested, ToolReturned, GuardDenied,
        OutputRejected, ToolInDoubt, TimerSet, ChildSpawned, RunSuspended, RunCompleted, RunFailed, RunKilled,
        RunReleased, RunSteered, RunPaused, RunResumed, BudgetRaised, ChildFinished, TimerFired, SignalReceived,
        ToolResolved, ToolLateResult, ModelLateUsage, RunSettled,
    )
}  # fmt: skip
TERMINAL: Final = frozenset({"run.completed", "run.failed", "run.killed"})
SIGNALS: Final = frozenset(
    {
        "run.killed", "run.released", "run.steered", "run.paused", "run.resumed", "budget.raised", "child.finished",
        "timer.fired", "signal.received", "tool.resolved",
    }
)  # fmt: skip


def _tag(value: Any) -> str:
    kind: object = (
        cast("dict[str, object]", value).get("type") if isinstance(value, dict) else getattr(value, "type", None)
    )
    return kind if isinstance(kind, str) and kind in KNOWN else "unknown"


Event: TypeAlias = Annotated[
    Annotated[RunCreated, Tag("run.created")]
    | Annotated[RunClaimed, Tag("run.claimed")]
    | Annotated[ModelRequested, Tag("model.requested")]
    | Annotated[ModelResponded, Tag("model.responded")]
    | Annotated[ModelFailed, Tag("model.failed")]
    | Annotated[OutputRejected, Tag("output.rejected")]
    | Annotated[ContextRelieved, Tag("context.relieved")]
    | Annotated[ToolRequested, Tag("tool.requested")]
    | Annotated[ToolReturned, Tag("tool.returned")]
    | Annotated[GuardDenied, Tag("guard.denied")]
    | Annotated[ToolInDoubt, Tag("tool.in_doubt")]
    | Annotated[TimerSet, Tag("timer.set")]
    | Annotated[ChildSpawned, Tag("child.spawned")]
    | Annotated[RunSuspended, Tag("run.suspended")]
    | Annotated[RunCompleted, Tag("run.completed")]
    | Annotated[RunFailed, Tag("run.failed")]
    | Annotated[RunKilled, Tag("run.killed")]
    | Annotated[RunReleased, Tag("run.released")]
    | Annotated[RunSteered, Tag("run.steered")]
    | Annotated[RunPaused, Tag("run.paused")]
    | Annotated[RunResumed, Tag("run.resumed")]
    | Annotated[BudgetRaised, Tag("budget.raised")]
    | Annotated[ChildFinished, Tag("child.finished")]
    | Annotated[TimerFired, Tag("timer.fired")]
    | Annotated[SignalReceived, Tag("signal.received")]
    | Annotated[ToolResolved, Tag("tool.resolved")]
    | Annotated[ToolLateResult, Tag("tool.late_result")]
    | Annotated[ModelLateUsage, Tag("model.late_usage")]
    | Annotated[RunSettled, Tag("run.settled")]
    | Annotated[UnknownEvent, Tag("unknown")],
    Discriminator(_tag),
]


class Record(Message):
    """One journal entry. ``owner`` is the claim's token on owner events, empty on signals."""

    v: int = VERSION
    id: Token
    owner: str = ""
    at: AwareDatetime | None = None
    events: tuple[Event, ...] = Field(min_length=1)


class Task(Message):
    """A request for work, as published to ``cb.task.<tenant>.<agent>.<lane>[.<run>]``. Only ``input`` is required.

    ``key`` is an idempotency key: two tasks with the same tenant, agent and key are one run. ``warm``: it only
    fills the prompt cache of the agent's model.
    """

    input: JsonValue
    run: Token | None = None
    key: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    deadline: AwareDatetime | None = None
    parent: Parent | None = None
    depth: Annotated[int, Field(ge=0, le=64)] = 0
    budget: Caps | None = None
    lineage: Annotated[tuple[Token, ...], Field(max_length=64)] = ()
    warm: bool = False


class Resume(Message):
    """A task that wakes a suspended run: ``signal`` is the journal sequence of the signal it comes for."""

    resume: Annotated[int, Field(ge=1)]
    run: Token


class DeadLetter(Message):
    """What lies in CB_DEAD: the message that could not be run, why, and what to do. ``payload`` is base64, cut."""

    reason: str
    message: str
    subject: str
    payload: str = ""
    sequence: int = 0
    at: AwareDatetime
