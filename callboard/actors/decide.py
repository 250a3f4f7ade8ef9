"""Pure: what an agent's run does next. ``(state, spec, now) -> command``; the worker does it and folds the outcome.

``decide`` is only asked when no effect of the run is in flight in this process. An open intent is then either this
owner's own (its start window passed, or the answer was lost: it is armed again) or an earlier owner's (it is run
again if that is safe, else it is in doubt).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from callboard.actors.allowance import sliced
from callboard.actors.calling import call_model
from callboard.actors.commands import CallTools, Command, End, Suspend, Verify, Write, fail
from callboard.actors.ending import BROKEN, concluded, with_last_words
from callboard.actors.identity import child_id, idempotency_key
from callboard.actors.spawning import delegated
from callboard.actors.state import RunState
from callboard.bus.messages import (
    ChildSpawned,
    DoubtPolicy,
    Effect,
    GuardDenied,
    ModelResponded,
    OwnerEvent,
    Problem,
    RunFailed,
    ToolCall,
    ToolInDoubt,
    ToolRequested,
    ToolReturned,
    Wait,
)
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec, ToolSpec
from callboard.config.times import instant

MAX_ENTRIES: Final = 10_000
"""Records of one journal. The stream's own cap lies above it, so that a kill always fits."""
DEADLINE: Final = "deadline"
"""The timer that wakes a suspended run when it is out of time. Its server's word counts, whatever this clock says."""


def decide(state: RunState, spec: AgentSpec, now: datetime, *, run: RunKey) -> Command:
    """The next command of an agent's run. ``state`` has a claim, no terminal and no suspension."""
    command = _next(state, spec, now, run=run)
    return with_last_words(command, state) if isinstance(command, End) else command


def _next(state: RunState, spec: AgentSpec, now: datetime, *, run: RunKey) -> Command:
    if over := limit_reached(state, now):
        return over
    if lost := doubts(state):
        return Write(lost)
    if doubtful := _doubtful(state):
        return doubtful
    last = next((turn for turn in reversed(state.turns) if isinstance(turn, ModelResponded)), None)
    if state.denied is not None and (over := _denied(state, state.denied, last)):
        return over
    if last is None:
        return call_model(state, spec, now, run=run)
    if last.stop in BROKEN:
        return concluded(state, spec, last)
    if last.tool_calls and (pending := _pending(state, spec, last, now=now, run=run)):
        return pending
    if last.tool_calls or last.stop == "pause" or state.turns[-1] is not last:  # results to read, or a late note
        return call_model(state, spec, now, run=run)
    return concluded(state, spec, last)


def limit_reached(state: RunState, now: datetime) -> End | None:
    """The typed end of a run that is past its deadline or whose journal is full."""
    deadline = state.created.deadline if state.created is not None else None
    alarm = state.timers.get(DEADLINE)
    if deadline is not None and (now >= deadline or (alarm is not None and alarm.fired)):
        late = f"the deadline was {instant(deadline)}"
        return fail("deadline", late, "raise limits.deadline, or give the task a later one")
    if state.entries >= MAX_ENTRIES:
        return fail("journal_full", f"the journal has {state.entries} entries", "split the work into child runs")
    return None


def doubts(state: RunState) -> tuple[ToolInDoubt, ...]:
    """Open calls of an earlier owner that must not run twice: nobody knows whether they took effect."""
    return tuple(
        ToolInDoubt(call=call.call, policy=call.policy)
        for call in state.calls.values()
        if call.status == "open" and call.owner != state.owner and not call.repeatable
    )


def _denied(state: RunState, denied: GuardDenied, last: ModelResponded | None) -> End | None:
    """The typed end of a run whose next model call a guard denied for good, and that has nothing more to say."""
    if denied.retry_at is not None:
        return None
    wrapping = state.calls.get(denied.call) if state.wrapped else None
    said = wrapping is not None and wrapping.status == "done"
    failed = wrapping is not None and wrapping.status == "failed" and wrapping.retry_at is None
    if denied.wrap_up and not said and not failed:
        return None
    return End(RunFailed(problem=denied.problem, guard=denied.guard, partial=None if last is None else last.text))


def _doubtful(state: RunState) -> Command | None:
    open_doubts = tuple(call for call in state.calls.values() if call.status == "doubt")
    failing = next((call for call in open_doubts if call.policy == "fail"), None)
    if failing is not None:
        return fail(
            "in_doubt",
            f"{failing.name} ({failing.call}) was started by a worker that was lost",
            "look whether it took effect, then submit the task again or not",
        )
    verifiable = tuple(call for call in open_doubts if call.policy == "verify")
    return Verify(verifiable) if verifiable else None


def _pending(state: RunState, spec: AgentSpec, last: ModelResponded, *, now: datetime, run: RunKey) -> Command | None:
    """What the last turn's tool calls still need; None when all have their outcome."""
    writes: list[OwnerEvent] = []
    calls: list[tuple[ToolCall, ToolRequested]] = []
    waits: list[Wait] = []
    for asked in last.tool_calls:
        tool = spec.tool(asked.name)
        if tool is None:
            if asked.id not in state.calls:
                writes.append(_unknown_tool(spec, asked))
        elif tool.kind == "spawn":
            _delegate(state, spec, asked, now=now, run=run, writes=writes, waits=waits)
        else:
            _call(state, asked, tool, run=run, calls=calls, waits=waits)
    if writes:
        return Write(sliced(writes, state, spec.guards.budget))
    if calls:
        return CallTools(tuple(calls))
    return Suspend((tuple(waits),)) if waits else None


def _call(
    state: RunState, asked: ToolCall, tool: ToolSpec, *, run: RunKey,
    calls: list[tuple[ToolCall, ToolRequested]], waits: list[Wait],
) -> None:  # fmt: skip
    known = state.calls.get(asked.id)
    if known is None or known.status in ("open", "retry"):
        intent = request(state, asked.id, run=run, tool=tool.name, effect=tool.effect, in_doubt=tool.in_doubt)
        calls.append((asked, intent))
    elif known.status == "doubt" and known.policy == "ask":
        waits.append(Wait(kind="resolution", name=asked.id))


def request(
    state: RunState,
    call: str,
    *,
    run: RunKey,
    tool: str,
    effect: Effect,
    in_doubt: DoubtPolicy,
    timeout: float | None = None,
) -> ToolRequested:
    """The intent for a call: the same key on every attempt, a new attempt number if an earlier one may have started."""
    known = state.calls.get(call)
    armed_again = known is not None and known.status == "open" and known.owner == state.owner
    attempt = 1 if known is None else known.attempt if armed_again else known.attempt + 1
    key = idempotency_key(run, call)
    return ToolRequested(
        call=call, tool=tool, effect=effect, key=key, attempt=attempt, in_doubt=in_doubt, timeout=timeout
    )


def _delegate(
    state: RunState,
    spec: AgentSpec,
    asked: ToolCall,
    *,
    now: datetime,
    run: RunKey,
    writes: list[OwnerEvent],
    waits: list[Wait],
) -> None:
    child = child_id(run.run, asked.id)
    if child in state.children:
        if child not in state.finished:
            waits.append(Wait(kind="child", name=child))
        return
    if asked.id not in state.calls:
        beside = sum(isinstance(event, ChildSpawned) for event in writes)
        writes.append(delegated(state, spec, asked, child=child, now=now, beside=beside))


def _unknown_tool(spec: AgentSpec, asked: ToolCall) -> ToolReturned:
    known = ", ".join(tool.name for tool in spec.tools) or "none"
    return _refuse(asked, "unknown_tool", f"there is no tool {asked.name!r}", f"the tools are: {known}")


def _refuse(asked: ToolCall, kind: str, message: str, hint: str) -> ToolReturned:
    return ToolReturned(call=asked.id, problem=Problem(kind=kind, message=message[:2_000], hint=hint))
