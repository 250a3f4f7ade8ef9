"""Journals for tests: short ways to write them down, and hypothesis strategies that make them up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product

from hypothesis import settings
from hypothesis import strategies as st

from callboard.bus.messages import (
    SIGNALS,
    TERMINAL,
    Amount,
    BudgetRaised,
    ChildFinished,
    ChildSpawned,
    Content,
    ContextRelieved,
    GuardDenied,
    Message,
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    OutputRejected,
    Parent,
    Prefix,
    Problem,
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunKilled,
    RunPaused,
    RunReleased,
    RunResumed,
    RunSettled,
    RunSteered,
    RunSuspended,
    SignalReceived,
    TimerFired,
    TimerSet,
    ToolCall,
    ToolInDoubt,
    ToolLateResult,
    ToolRequested,
    ToolResolved,
    ToolReturned,
    UnknownEvent,
    Usage,
    Wait,
)
from callboard.bus.ports import Stored

few = settings(max_examples=50, deadline=None)
"""Enough for properties over whole journals; ``make test`` has ten seconds for all of them."""
T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PROBLEM = Problem(kind="broken", message="it broke")
FREE = SIGNALS | {"run.settled", "tool.late_result", "model.late_usage"}
"""What others append: no owner token."""


def journal(*entries: Message | Sequence[Message] | tuple[str, Message | Sequence[Message]]) -> tuple[Stored, ...]:
    """Entries at sequences 1, 2, … An owner's events carry the token ``o1`` unless ``("o2", events)`` says another."""
    return extend((), *entries)


def extend(before: Sequence[Stored], *entries, step: int = 1) -> tuple[Stored, ...]:
    """``before`` and more entries behind it."""
    out = list(before)
    for entry in entries:
        owner, events = entry if isinstance(entry, tuple) and isinstance(entry[0], str) else ("o1", entry)
        events = (events,) if isinstance(events, Message | UnknownEvent) else tuple(events)
        sequence = (out[-1].sequence if out else 0) + step
        token = "" if all(event.type in FREE for event in events) else owner
        out.append(Stored(sequence, Record(id=f"i{sequence}", owner=token, events=events), at=at(sequence)))
    return tuple(out)


def at(sequence: float) -> datetime:
    """When the entry at ``sequence`` is stored: one second each."""
    return T0 + timedelta(seconds=sequence)


def created(**fields) -> RunCreated:
    """``run.created`` of agent ``a``."""
    return RunCreated(**{"agent": "a", "at": T0, **fields})


def claimed(task: int = 1, **fields) -> tuple[RunCreated, RunClaimed]:
    """The first record of a run: created and claimed by ``task``."""
    return (created(**fields), RunClaimed(task=task, worker="w1"))


# ---- strategies ---------------------------------------------------------------------------------------------------
def every(kind: type[Message], **fields: Sequence[object]) -> tuple[Message, ...]:
    """All ``kind`` with these values of its fields; made once, because validation is what costs."""
    return tuple(kind(**dict(zip(fields, values, strict=True))) for values in product(*fields.values()))


CALLS = ("m1", "t1", "t2")
NAMES = ("x", "y")
CHILDREN = ("c1", "c2")
POLICIES = ("ask", "verify", "continue", "fail")
EFFECTS = ("pure", "idempotent", "at_most_once", "critical")
INSTANTS = (T0, T0 + timedelta(seconds=1))
CONTENTS = (Content(), Content(value={"n": 1}))
HELD, USED = Amount(usd_micros=9, input_tokens=4), Usage(input_tokens=3, cost_usd_micros=2)
PREFIXES = (None, Prefix(tools="t", system="s", history="h", messages=1))
CALLED = ((), (ToolCall(id="t1", name="x"),), (ToolCall(id="t1", name="x"), ToolCall(id="t2", name="y")))
X, Y = Wait(kind="signal", name="x"), Wait(kind="timer", name="y")
C1, T1, G = Wait(kind="child", name="c1"), Wait(kind="resolution", name="t1"), Wait(kind="go", name="x")
OWNER = (
    every(RunCreated, agent=("a",), at=INSTANTS, parent=(None, Parent(run="p1")), warm=(False, True)),
    every(RunClaimed, task=(1, 2, 3)),
    every(
        ModelRequested,
        call=CALLS,
        attempt=(1, 2),
        wrap_up=(False, True),
        reserved=(Amount(), HELD),
        priced_by=("", "config"),
        entry=(0, 1),
        instead=("", "its circuit is open"),
        purpose=("turn", "summary"),
        prefix=PREFIXES,
    ),
    every(
        ModelResponded,
        call=CALLS,
        text=CONTENTS,
        tool_calls=CALLED,
        usage=(Usage(), Usage(input_tokens=3)),
        blocks=CONTENTS,
        purpose=("turn", "summary"),
    ),
    every(
        ModelFailed,
        call=CALLS,
        problem=(PROBLEM,),
        retry_at=(None, *INSTANTS),
        usage=(Usage(), USED),
        replaced=(False, True),
        left=("", "for_now", "for_good"),
    ),
    every(
        ContextRelieved,
        call=("m1", "m2"),
        after=(0, 9),
        cleared=((), ("t1",)),
        repeated=((), ("t2",)),
        through=("", "m1"),
    ),
    every(ToolRequested, call=CALLS, tool=NAMES, effect=EFFECTS, key=("k",), in_doubt=POLICIES, timeout=(None, 600.0)),
    every(ToolReturned, call=CALLS, result=CONTENTS, problem=(None, PROBLEM)),
    every(ToolInDoubt, call=CALLS, policy=POLICIES),
    every(GuardDenied, guard=("g",), call=("m1", "m2"), problem=(PROBLEM,), retry_at=(None, T0), wrap_up=(False, True)),
    every(OutputRejected, call=("m1", "m2"), round=(1, 2), problems=("total: missing",)),
    every(TimerSet, timer=NAMES, at=INSTANTS),
    every(ChildSpawned, child=CHILDREN, call=CALLS, agent=("b",), at=(None, T0)),
    every(RunSuspended, waits=((), ((X,),), ((Y,), (C1,)), ((C1, X),), ((T1,),), ((G,),), ((),))),
    every(RunCompleted, result=CONTENTS),
    every(RunFailed, problem=(PROBLEM,)),
)
SIGNALLED = (
    every(RunKilled, reason=NAMES, by=NAMES, parent=(None, "p1")),
    every(RunReleased),
    every(RunSteered, text=NAMES),
    every(RunPaused, name=NAMES, until=(None, T0), parent=(None, "p1")),
    every(RunResumed, name=NAMES, parent=(None, "p1")),
    every(BudgetRaised, more=(Amount(usd_micros=1),)),
    every(ChildFinished, child=CHILDREN, outcome=("completed", "failed", "killed"), problem=(None, PROBLEM)),
    every(TimerFired, timer=NAMES),
    every(SignalReceived, name=NAMES, value=(0, 1)),
    every(ToolResolved, call=CALLS, decision=("done", "retry", "fail"), by=("", "me")),
)
INFORMATION = (
    every(ToolLateResult, call=CALLS),
    every(ModelLateUsage, call=CALLS, attempt=(1, 2), usage=(USED,)),
    every(RunSettled, running=((), ("t1",))),
    every(UnknownEvent, type=("run.dreamt",), depth=(1,)),
)


def pick(pools: Sequence[Sequence[Message]], n: int) -> Message:
    """The ``n``-th of them; every kind has the same share."""
    pool = pools[n % len(pools)]
    return pool[n // len(pools) % len(pool)]


def some(pools: Sequence[Sequence[Message]]):
    """A strategy for one of them."""
    return st.integers(0, len(pools) * 30).map(lambda n: pick(pools, n))


owner_events = some(OWNER)
signals = some(SIGNALLED)


def entry(n: int, twist: int) -> Record | None:
    """Any entry: mostly of ``o1``, one in eight by a stranger, one in sixteen of a newer version or no record at all.

    Two of three ends become something else, so that journals get long enough to be interesting.
    """
    event = pick((*OWNER, *SIGNALLED, *INFORMATION), n)
    if event.type in TERMINAL and twist % 3:
        event = pick((*OWNER[1:-2], *SIGNALLED[1:]), n + twist)
    if twist == 31:
        return None
    events = (event,) if twist % 4 else (event, pick((*OWNER[:-3], *SIGNALLED[1:]), n // 7 + twist))
    signal = event.type in FREE and twist % 2
    owner = "" if signal else "o2" if twist % 8 == 5 else "o1"
    return Record(v=2 if twist == 30 else 1, id=f"i{n % 3}", owner=owner, events=events)


def stored(bodies: Iterable[Record | None], *, after: int = 0) -> tuple[Stored, ...]:
    """The entries of ``bodies`` behind sequence ``after``."""
    return tuple(Stored(after + n, record) for n, record in enumerate(bodies, 1))


records = st.builds(entry, st.integers(0, 700), st.integers(0, 30))
seeds = st.lists(st.tuples(st.integers(0, 700), st.integers(0, 31)), max_size=24)
START = Record(id="i", owner="o1", events=claimed())
beginnings = st.sampled_from(((), (START,), (START,), (START,)))
journals = st.builds(lambda start, rest: stored((*start, *(entry(*each) for each in rest))), beginnings, seeds)
"""Anything that could lie in a journal: most of it nonsense, and none of it may surprise a fold."""
