"""Two interpreters for the pure run protocol: anything that a legal history may be, and one agent's run to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import strategies as st

from callboard.actors.claim import Claim, TaskClaim, judge
from callboard.actors.commands import Backoff, CallModel, CallTools, Command, End, Suspend, Verify, Write
from callboard.actors.decide import decide
from callboard.actors.fold import EMPTY, fold
from callboard.actors.history import EffectStart
from callboard.actors.state import RunState, ready
from callboard.bus.messages import (
    ChildFinished,
    ChildSpawned,
    Content,
    Message,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Record,
    RunClaimed,
    RunCompleted,
    RunKilled,
    RunReleased,
    RunSteered,
    RunSuspended,
    SignalReceived,
    ToolCall,
    ToolInDoubt,
    ToolRequested,
    ToolResolved,
    ToolReturned,
    Wait,
)
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec, Limits, ToolSpec
from tests.support.journals import PROBLEM, T0, at, created

KEY = RunKey("acme", "r1")


# ---- legal histories ----------------------------------------------------------------------------------------------
SIGNALS = (
    ChildFinished(child="c1", outcome="completed"),
    SignalReceived(name="x"),
    SignalReceived(name="y"),
    RunSteered(text="left"),
    RunReleased(),
    ToolResolved(call="t1", decision="done"),
    ToolResolved(call="t1", decision="retry"),
)
WAITS = (
    ((Wait(kind="signal", name="x"),),),
    ((Wait(kind="child", name="c1"), Wait(kind="signal", name="y")),),
    ((Wait(kind="signal", name="x"),), (Wait(kind="signal", name="y"),)),
)
INTENT = ToolRequested(call="t1", tool="pay", key="k")
SPAWNED = ChildSpawned(child="c1", call="t2", agent="b")


def _work(state: RunState, which: int) -> Message:
    """What the owner may write about its only call, a payment, or its only child."""
    call = state.calls.get("t1")
    if which % 3 == 0 or (call is not None and call.status in ("done", "doubt")):
        return SPAWNED
    if call is None or call.status == "retry":
        return INTENT
    if call.owner != state.owner or which % 3 == 1:
        return ToolInDoubt(call="t1", policy="ask")
    return ToolReturned(call="t1")


def legal(choices: Sequence[tuple[int, int]]) -> tuple[Stored, ...]:
    """A journal that the protocol can produce: claims by tasks that may claim, owner events by the owner."""
    entries: tuple[Stored, ...] = ()
    state = EMPTY
    for what, which in choices:
        if (record := _legal(state, what, which)) is not None:
            sequence = state.sequence + 1 + which % 2
            entries = (*entries, Stored(sequence, record, at=at(sequence)))
            state = fold(state, sequence, record)
    return entries


def _legal(state: RunState, what: int, which: int) -> Record | None:
    owned, sequence = state.owns(state.owner) and state.owner, state.sequence
    match what % 6:
        case 0 | 1:
            task = TaskClaim(task=100 + sequence, resume=sequence) if state.suspended else TaskClaim(state.task or 1)
            if not isinstance(judge(state, task), Claim):
                return None
            claim = RunClaimed(task=task.task)
            return Record(id="i", owner=f"o{sequence}", events=(claim,) if state.owner else (created(), claim))
        case 2 if owned and not ready(state, waits := WAITS[which % len(WAITS)]):
            return Record(id="i", owner=state.owner, events=(RunSuspended(waits=waits),))
        case 3 if owned:
            return Record(id="i", owner=state.owner, events=(_work(state, which),))
        case 4:
            return Record(id=f"s{sequence}", events=(SIGNALS[which % len(SIGNALS)],))
        case 5 if which == 0:
            return Record(id="i", events=(RunKilled(),))
        case 5 if which == 1 and owned:
            return Record(id="i", owner=state.owner, events=(RunCompleted(),))
        case _:
            return None


legal_journals = st.builds(
    lambda choices: legal([(0, 0), *choices]), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 11)), max_size=14)
)


# ---- one agent's run ----------------------------------------------------------------------------------------------
TOOLS = (
    ToolSpec(name="look", effect="pure"),
    ToolSpec(name="put", effect="idempotent"),
    ToolSpec(name="pay_ask", effect="at_most_once", in_doubt="ask"),
    ToolSpec(name="pay_go_on", effect="at_most_once", in_doubt="continue"),
    ToolSpec(name="pay_fail", effect="critical", in_doubt="fail"),
    ToolSpec(name="pay_verify", effect="critical", in_doubt="verify"),
    ToolSpec(name="delegate", kind="spawn"),
)
NAMES = (*(tool.name for tool in TOOLS), "dreamt")
LIMITS = Limits(turns=6, depth=2)


def spec(**fields) -> AgentSpec:
    """An agent with one tool of each kind."""
    return AgentSpec(**{"name": "a", "tools": TOOLS, "team": ("b",), "limits": LIMITS, **fields})


@dataclass
class Machine:
    """Executes the commands of ``decide``. ``chance(n)`` answers 0 … n-1: what the world does next."""

    chance: Callable[[int], int]
    agent: AgentSpec = field(default_factory=spec)
    deadline: datetime | None = None
    crashes: int = 3
    entries: list[Stored] = field(default_factory=list)
    state: RunState = EMPTY
    now: datetime = T0
    starts: list[EffectStart] = field(default_factory=list)
    commands: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    turns: int = 0

    def run(self, bound: int = 300) -> RunState:
        """Until the terminal is in the journal; more than ``bound`` commands are a failure."""
        self.claim(1, created(deadline=self.deadline))
        for _ in range(bound):
            command = decide(self.state, self.agent, self.now, run=KEY)
            self.commands[type(command).__name__] += 1
            self.execute(command)
            if self.state.terminal is not None:
                return self.state
        raise AssertionError(f"no end after {bound} commands: {self.commands}")

    def append(self, *events: Message, owner: str | None = None) -> None:
        self.now += timedelta(milliseconds=10)
        sequence = self.state.sequence + 1
        record = Record(id=f"i{sequence}", owner=self.state.owner if owner is None else owner, events=events)
        self.entries.append(Stored(sequence, record, at=self.now))
        self.state = fold(self.state, sequence, record)

    def claim(self, task: int, *before: Message) -> None:
        self.append(*before, RunClaimed(task=task), owner=f"o{self.state.sequence + 1}")

    def crashed(self) -> bool:
        if not self.crashes or self.chance(4):
            return False
        self.crashes -= 1
        self.claim(self.state.task)
        return True

    def execute(self, command: Command) -> None:
        match command:
            case CallModel(call, attempt):
                self.append(ModelRequested(call=call, attempt=attempt))
                if not self.crashed():
                    self.append(self.model(call, attempt))
            case CallTools(calls):
                self.tools(calls)
            case Write(events):
                self.append(*events)
            case Verify(calls):
                decision = ("done", "retry", "fail")[self.chance(3)]
                self.append(*(ToolResolved(call=call.call, decision=decision) for call in calls), owner="")
            case Suspend(waits):
                self.append(RunSuspended(waits=waits))
                self.arrive(waits)
                self.claim(self.state.sequence + 100)
            case Backoff(until):
                assert until > self.now
                self.now = until
            case End(event):
                self.append(event)

    def tools(self, calls: Sequence[tuple[ToolCall, ToolRequested]]) -> None:
        self.append(*(intent for _, intent in calls))
        for asked, intent in calls:
            if self.crashed():
                return
            self.starts.append(EffectStart(KEY, asked.id, intent.key, self.now.timestamp()))
            if self.crashed():
                return
            self.append(ToolReturned(call=asked.id, result=Content(value="ok")))

    def model(self, call: str, attempt: int) -> Message:
        if attempt < 3 and self.chance(4) == 0:
            again = self.now + timedelta(seconds=1) if self.chance(4) else None
            return ModelFailed(call=call, attempt=attempt, problem=PROBLEM, retry_at=again)
        asked: list[ToolCall] = []
        for _ in range(self.chance(4)):
            self.calls += 1
            arguments = {"agent": ("b", "nobody")[self.chance(2)], "task": "work"} if self.chance(5) else None
            asked.append(ToolCall(id=f"t{self.calls}", name=NAMES[self.chance(len(NAMES))], arguments=arguments))
        return ModelResponded(call=call, text=Content(value="fine"), tool_calls=tuple(asked))

    def arrive(self, waits: Sequence[Sequence[Wait]]) -> None:
        for wait in waits[0]:
            if wait.kind == "child":
                self.append(ChildFinished(child=wait.name, outcome="completed"), owner="")
            else:
                decision = ("done", "retry", "fail")[self.chance(3)]
                self.append(ToolResolved(call=wait.name, decision=decision), owner="")


def machines(**fields):
    """A ``Machine`` whose world is up to hypothesis."""
    answers = st.lists(st.integers(0, 59), min_size=4, max_size=40)
    return st.builds(lambda each: Machine(_Chance(each), **fields), answers)


class _Chance:
    """Answers from a list, over and over."""

    def __init__(self, answers: Sequence[int]) -> None:
        self._answers, self._asked = answers, 0

    def __call__(self, sides: int) -> int:
        self._asked += 1
        return (self._answers[self._asked % len(self._answers)] + self._asked // len(self._answers)) % sides
