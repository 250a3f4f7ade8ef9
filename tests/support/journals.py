"""Journals for tests: short ways to write them down, and hypothesis strategies that make them up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st

from callboard.bus.messages import (
    SIGNALS,
    ChildFinished,
    ChildSpawned,
    Content,
    Message,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Parent,
    Problem,
    Record,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunKilled,
    RunReleased,
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
FREE = SIGNALS | {"run.settled", "tool.late_result"}
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
owners = st.sampled_from(("", "o1", "o2"))
calls = st.sampled_from(("m1", "m2", "t1", "t2"))
names = st.sampled_from(("x", "y"))
children = st.sampled_from(("c1", "c2"))
tasks = st.integers(1, 4)
policies = st.sampled_from(("ask", "verify", "continue", "fail"))
effects = st.sampled_from(("pure", "idempotent", "at_most_once", "critical"))
outcomes = st.sampled_from(("completed", "failed", "killed"))
instants = st.integers(-5, 5).map(lambda n: T0 + timedelta(seconds=n))
problems = st.sampled_from((None, PROBLEM))
contents = st.sampled_from((Content(), Content(value="text"), Content(value={"n": 1})))
waits = st.lists(
    st.lists(
        st.one_of(
            st.builds(Wait, kind=st.just("child"), name=children),
            st.builds(Wait, kind=st.sampled_from(("timer", "signal")), name=names),
            st.builds(Wait, kind=st.just("resolution"), name=calls),
        ),
        max_size=2,
    ).map(tuple),
    max_size=2,
).map(tuple)
usages = st.builds(Usage, input_tokens=st.integers(0, 9), cost_usd_micros=st.integers(0, 9))
tool_calls = st.lists(st.builds(ToolCall, id=calls, name=names), max_size=2).map(tuple)
owner_events = st.one_of(
    st.builds(RunCreated, agent=st.just("a"), at=instants, parent=st.sampled_from((None, Parent(run="p1")))),
    st.builds(RunClaimed, task=tasks),
    st.builds(ModelRequested, call=calls, attempt=st.integers(1, 3)),
    st.builds(ModelResponded, call=calls, text=contents, tool_calls=tool_calls, usage=usages),
    st.builds(ModelFailed, call=calls, problem=st.just(PROBLEM), retry_at=st.none() | instants),
    st.builds(ToolRequested, call=calls, tool=names, effect=effects, key=calls, in_doubt=policies),
    st.builds(ToolReturned, call=calls, result=contents, problem=problems),
    st.builds(ToolInDoubt, call=calls, policy=policies),
    st.builds(TimerSet, timer=names, at=instants),
    st.builds(ChildSpawned, child=children, call=calls, agent=st.just("b")),
    st.builds(RunSuspended, waits=waits),
    st.builds(RunCompleted, result=contents),
    st.builds(RunFailed, problem=st.just(PROBLEM)),
)
waking = st.one_of(
    st.builds(RunReleased),
    st.builds(RunSteered, text=names),
    st.builds(ChildFinished, child=children, outcome=outcomes, result=contents, problem=problems),
    st.builds(TimerFired, timer=names),
    st.builds(SignalReceived, name=names, value=st.integers(0, 1)),
    st.builds(
        ToolResolved, call=calls, decision=st.sampled_from(("done", "retry", "fail")), by=st.sampled_from(("", "me"))
    ),
)
signals = waking | st.builds(RunKilled, reason=names, by=names, parent=st.sampled_from((None, "p1")))
information = st.one_of(
    st.builds(ToolLateResult, call=calls),
    st.builds(RunSettled, running=st.lists(calls, max_size=1).map(tuple)),
    st.builds(UnknownEvent, type=st.just("run.dreamt"), depth=st.integers(0, 3)),
)
events = owner_events | signals | information
ends = {"run.completed", "run.failed", "run.killed"}
mortal = st.lists(events, min_size=1, max_size=3).map(tuple)
immortal = st.lists(events.filter(lambda event: event.type not in ends), min_size=1, max_size=3).map(tuple)
"""Events of one record; ``immortal`` ones do not end the run, so that journals get long enough to be interesting."""


def records(of=immortal | immortal | immortal | mortal):
    """Any record, of a newer version too, by any owner."""
    return st.builds(
        Record, v=st.sampled_from((1,) * 30 + (2,)), id=st.sampled_from(("i1", "i2", "i3")), owner=owners, events=of
    )


bodies = st.lists(records() | records() | records() | st.none(), max_size=14)


def stored(bodies: Sequence[Record | None], *, after: int = 0, step: int = 1) -> tuple[Stored, ...]:
    """The entries of ``bodies`` behind sequence ``after``."""
    return tuple(Stored(after + step * n, record) for n, record in enumerate(bodies, 1))


starts = st.sampled_from(((), (Record(id="i", owner="o1", events=claimed()),)))
journals = st.builds(lambda start, rest: stored((*start, *rest)), starts, bodies)
"""Anything that could lie in a journal: most of it nonsense, and none of it may surprise a fold."""
