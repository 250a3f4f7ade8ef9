"""Pure: the messages of the bus. They are the contract: fields are only ever added, unknown ones are ignored.

A journal is a sequence of records; a record is one message with one or more events (several events in one record
are one write). Money is an integer of micro-dollars, durations are seconds (``float``), instants are aware UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias, cast

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    StringConstraints,
    Tag,
)

from callboard.bus.subjects import TOKEN, Lane

VERSION: Final = 1
Token: TypeAlias = Annotated[str, StringConstraints(pattern=f"^{TOKEN}$")]
Effect: TypeAlias = Literal["pure", "idempotent", "at_most_once", "critical"]
DoubtPolicy: TypeAlias = Literal["ask", "verify", "continue", "fail"]
Outcome: TypeAlias = Literal["completed", "failed", "killed"]


class Message(BaseModel):
    """Base of everything that crosses the bus."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")


class Blob(Message):
    """Content that lives in the object store, by hash. ``size`` in bytes of its JSON."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: int


class Content(Message):
    """A JSON value, or (``blob`` set) the reference to one; ``value`` is then a preview that may be cut."""

    value: JsonValue = None
    blob: Blob | None = None


class Problem(Message):
    """Why something did not work, for people and programs. ``kind`` is a short word, ``hint`` says what to do."""

    kind: str
    message: str
    hint: str = ""


class Parent(Message):
    """Who spawned a run: the parent's run id (same tenant) and its call."""

    run: Token
    call: str = ""


class ToolCall(Message):
    """A tool call that a model asked for. ``id`` is unique in the run."""

    id: str
    name: str
    arguments: JsonValue = None


class Usage(Message):
    """What a model call used. Tokens, normalised: ``input_tokens`` excludes what was read from a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd_micros: int = 0


class Wait(Message):
    """One thing a suspended run waits for, e.g. ``child``/run id, ``timer``/name, ``signal``/name, ``resolution``/call."""

    kind: Literal["child", "timer", "signal", "resolution"]
    name: str


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
    """The run holds nothing until all of ``waits`` has arrived."""

    type: Literal["run.suspended"] = "run.suspended"
    waits: tuple[Wait, ...] = ()


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


OwnerEvent: TypeAlias = (
    RunCreated | RunClaimed | ModelRequested | ModelResponded | ModelFailed | ToolRequested | ToolReturned
    | ToolInDoubt | TimerSet | ChildSpawned | RunSuspended | RunCompleted | RunFailed
)  # fmt: skip
Signal: TypeAlias = (
    RunKilled | RunReleased | RunSteered | ChildFinished | TimerFired | SignalReceived | ToolResolved
)  # fmt: skip
Information: TypeAlias = ToolLateResult | RunSettled | UnknownEvent
KnownEvent: TypeAlias = OwnerEvent | Signal | ToolLateResult | RunSettled

KNOWN: Final[dict[str, type[Message]]] = {
    kind.model_fields["type"].default: kind
    for kind in (
        RunCreated, RunClaimed, ModelRequested, ModelResponded, ModelFailed, ToolRequested, ToolReturned, ToolInDoubt,
        TimerSet, ChildSpawned, RunSuspended, RunCompleted, RunFailed, RunKilled, RunReleased, RunSteered,
        ChildFinished, TimerFired, SignalReceived, ToolResolved, ToolLateResult, RunSettled,
    )
}  # fmt: skip
TERMINAL: Final = frozenset({"run.completed", "run.failed", "run.killed"})
SIGNALS: Final = frozenset(
    {"run.killed", "run.released", "run.steered", "child.finished", "timer.fired", "signal.received", "tool.resolved"}
)


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
    | Annotated[ToolRequested, Tag("tool.requested")]
    | Annotated[ToolReturned, Tag("tool.returned")]
    | Annotated[ToolInDoubt, Tag("tool.in_doubt")]
    | Annotated[TimerSet, Tag("timer.set")]
    | Annotated[ChildSpawned, Tag("child.spawned")]
    | Annotated[RunSuspended, Tag("run.suspended")]
    | Annotated[RunCompleted, Tag("run.completed")]
    | Annotated[RunFailed, Tag("run.failed")]
    | Annotated[RunKilled, Tag("run.killed")]
    | Annotated[RunReleased, Tag("run.released")]
    | Annotated[RunSteered, Tag("run.steered")]
    | Annotated[ChildFinished, Tag("child.finished")]
    | Annotated[TimerFired, Tag("timer.fired")]
    | Annotated[SignalReceived, Tag("signal.received")]
    | Annotated[ToolResolved, Tag("tool.resolved")]
    | Annotated[ToolLateResult, Tag("tool.late_result")]
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

    ``key`` is an idempotency key: two tasks with the same tenant, agent and key are one run.
    """

    input: JsonValue
    run: Token | None = None
    key: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    deadline: AwareDatetime | None = None
    parent: Parent | None = None
    depth: Annotated[int, Field(ge=0, le=64)] = 0


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
