"""Pure: journal -> state. Total: late, duplicate, foreign or unknown entries leave the state as it is.

The rules: the first terminal event wins and everything after it is information; an owner event whose token is not
the last claim's, or that comes during a suspension, is ignored; so is a claim of a run that was never created; a
signal seen twice counts once; unknown event types are ignored; an unknown major version marks the state as
``foreign``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, assert_never

from callboard.actors import accounts, asking, inherited, relief
from callboard.actors.state import Call, RunState, Timer
from callboard.bus.messages import (
    SIGNALS,
    TERMINAL,
    VERSION,
    BudgetRaised,
    ChildFinished,
    ChildSpawned,
    Content,
    ContextRelieved,
    Event,
    GuardDenied,
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    OutputRejected,
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
    ToolInDoubt,
    ToolLateResult,
    ToolRequested,
    ToolResolved,
    ToolReturned,
    Usage,
)
from callboard.bus.ports import Stored

EMPTY = RunState()
_NOTES: Final = frozenset({"run.steered", "budget.raised"})
"""These have nothing but their record's id to tell their repetition by."""


def replay(entries: Iterable[Stored], state: RunState = EMPTY) -> RunState:
    """Fold ``entries`` behind ``state``."""
    for entry in entries:
        state = fold(state, entry.sequence, entry.record)
    return state


def fold(state: RunState, sequence: int, record: Record | None) -> RunState:
    """Fold one entry; ``record`` is None for one that does not validate. Entries already folded change nothing."""
    if sequence <= state.sequence:
        return state
    state = state.evolve(sequence=sequence, entries=state.entries + 1)
    if record is None:
        return state
    if record.v != VERSION:
        return state if state.terminal is not None else state.evolve(foreign=state.foreign or record.v)
    repeated = record.id in state.notes
    told = False
    for event in record.events:
        notes = event.type in _NOTES
        told = told or notes
        if not (repeated and notes):
            state = _apply(state, sequence, record.owner, event)
    return state.evolve(notes=state.notes | {record.id}) if told else state


def foresee(state: RunState, owner: str, events: Iterable[Event]) -> RunState:
    """``state`` as it will be once its ``owner`` has written ``events``."""
    state = state.evolve(sequence=state.sequence + 1, entries=state.entries + 1)
    for event in events:
        state = _apply(state, state.sequence, owner, event)
    return state


def _apply(state: RunState, sequence: int, owner: str, event: Event) -> RunState:
    if state.terminal is not None:
        return _information(state, event)
    if event.type in SIGNALS:
        return _signal(state, sequence, event)
    match event:
        case RunCreated() if state.created is None and owner:
            return state.evolve(created=event)
        case RunClaimed() if owner and state.created is not None:
            return state.evolve(owner=owner, claim=sequence, task=event.task, worker=event.worker,
                suspended=0, waits=(), attempts=state.attempts + 1, claims=state.claims + 1,
                accounts=accounts.claimed(state.accounts),
            )  # fmt: skip
        case _ if state.owns(owner) and owner:
            return _owned(state, sequence, owner, event)
        case _:
            return state


def _information(state: RunState, event: Event) -> RunState:
    match event:
        case RunSettled() if state.settled is None:
            return state.evolve(settled=event)
        case ToolLateResult():
            return state.evolve(late=state.late | {event.call})
        case ModelLateUsage():
            late = accounts.model_late(state.accounts, event.call, event.attempt, event.usage)
            return state.evolve(accounts=late)
        case _:
            return state


def _signal(state: RunState, sequence: int, event: Event) -> RunState:
    match event:
        case RunKilled():
            return state.evolve(terminal=event, ended=sequence)
        case RunReleased() if state.owner and not state.suspended:
            return state.evolve(suspended=sequence, waits=(), attempts=0)
        case RunSteered():
            return state.evolve(turns=(*state.turns, event))
        case RunPaused():
            return inherited.paused(state, sequence, event)
        case RunResumed():
            return inherited.resumed(state, event)
        case BudgetRaised():
            denied = None if state.denied and state.denied.guard == "budget" and not state.wrapped else state.denied
            return state.evolve(accounts=accounts.raised(state.accounts, event.more), denied=denied)
        case ChildFinished() if event.child not in state.finished:
            child = state.children.get(event.child)
            books = accounts.child_finished(state.accounts, child.budget if child else None, event.spent)
            return state.evolve(finished={**state.finished, event.child: event}, accounts=books)
        case TimerFired() if (timer := state.timers.get(event.timer)) is not None and not timer.fired:
            return state.evolve(timers={**state.timers, event.timer: replace(timer, fired=True)})
        case SignalReceived() if event.name not in state.signals:
            return state.evolve(signals={**state.signals, event.name: event})
        case ToolResolved() if (call := state.calls.get(event.call)) is not None and call.status == "doubt":
            return _put(state, _resolved(call, event))
        case _:
            return state


def _resolved(call: Call, event: ToolResolved) -> Call:
    match event.decision:
        case "done":
            return call.evolve(status="done", result=Content(value=event.value), problem=None)
        case "retry":
            return call.evolve(status="retry")
        case "fail":
            who = event.by or "somebody"
            problem = Problem(kind="resolved_failed", message=f"{who} said that this call failed: {event.value}")
            return call.evolve(status="done", problem=problem)
        case _:
            assert_never(event.decision)


def _owned(state: RunState, sequence: int, owner: str, event: Event) -> RunState:
    match event:
        case ModelRequested() | ToolRequested():
            return _requested(state, sequence, owner, event)
        case GuardDenied():
            return state.evolve(denied=_put_off(state.denied, event))
        case ModelResponded() | ModelFailed() | ToolReturned() | ToolInDoubt():
            return _ended(state, event)
        case OutputRejected() if all(known.call != event.call for known in state.rejected):
            return state.evolve(turns=(*state.turns, event))
        case ContextRelieved():
            return state.evolve(relief=relief.relieved(state.relief, event, len(state.turns)))
        case TimerSet() if event.timer not in state.timers:
            return state.evolve(timers={**state.timers, event.timer: Timer(event.at)})
        case ChildSpawned() if event.child not in state.children:
            books = state.accounts
            if event.child not in state.finished:
                books = accounts.child_spawned(books, event.budget)
            return state.evolve(children={**state.children, event.child: event}, accounts=books)
        case RunSuspended():
            return state.evolve(suspended=sequence, waits=event.waits, attempts=0, published=frozenset(state.children))
        case RunCompleted() | RunFailed():
            return state.evolve(terminal=event, ended=sequence)
        case _:
            return state


def _put_off(known: GuardDenied | None, event: GuardDenied) -> GuardDenied:
    """A last turn that another guard lets wait stays the last one."""
    if known is None or not known.wrap_up or event.retry_at is None:
        return event
    return known.model_copy(update={"retry_at": event.retry_at})


def _let(state: RunState, event: ModelRequested) -> RunState:
    """The state of a run whose guards have let this call start."""
    if event.wrap_up:
        return state.evolve(wrapped=True, denied=_started(state.denied))
    return state if state.denied is None else state.evolve(denied=None)


def _started(denied: GuardDenied | None) -> GuardDenied | None:
    if denied is None or denied.retry_at is None:
        return denied
    return denied.model_copy(update={"retry_at": None})


def _requested(state: RunState, sequence: int, owner: str, event: ModelRequested | ToolRequested) -> RunState:
    known = state.calls.get(event.call)
    if known is not None and known.status in ("done", "doubt"):
        return state
    again = known is not None and known.status == "open" and (known.owner, known.attempt) == (owner, event.attempt)
    match event:
        case ModelRequested():
            call = asking.requested(state, known, event, owner=owner, sequence=sequence, again=again)
            books = accounts.model_requested(state.accounts, event.call, event.attempt, event.reserved, again=again)
            state = _let(state, event)
            state = asking.begun(state, event)
        case ToolRequested():
            call = Call(
                call=event.call, kind="tool", status="open", owner=owner, sequence=sequence, attempt=event.attempt,
                name=event.tool, effect=event.effect, key=event.key, policy=event.in_doubt,
            )  # fmt: skip
            books = state.accounts if again else accounts.tool_requested(state.accounts)
        case _:
            assert_never(event)
    return state.evolve(calls={**state.calls, call.call: call}, accounts=books)


def _ended(state: RunState, event: ModelResponded | ModelFailed | ToolReturned | ToolInDoubt) -> RunState:
    call = state.calls.get(event.call)
    if isinstance(event, ToolInDoubt):
        if call is None or call.status not in ("open", "doubt"):
            return state
        return _put(state, call.evolve(status="doubt", policy=event.policy))
    if isinstance(event, ToolReturned) and call is None:  # refused before an intent: an unknown tool, a bad delegation
        refused = Call(call=event.call, kind="tool", status="done", owner=state.owner, sequence=state.sequence)
        return _put(state, refused.evolve(result=event.result, problem=event.problem))
    if call is None:
        return state
    refused_again = isinstance(event, ToolReturned) and call.status == "retry"  # before the intent, by a gate
    if call.status != "open" and not refused_again:
        return state
    match event:
        case ModelResponded():
            done = call.evolve(status="done", result=event.text, problem=None)
            books = accounts.model_ended(state.accounts, event.call, event.usage)
            turns = (*state.turns, event) if event.purpose == "turn" else state.turns
            return state.evolve(calls={**state.calls, call.call: done}, accounts=books,
                turns=turns, usage=_add(state.usage, event.usage), relief=relief.answered(state.relief, event.purpose),
            )  # fmt: skip
        case ModelFailed():
            books = accounts.model_ended(state.accounts, event.call, event.usage)
            less = relief.refused(state.relief, event, call.purpose)
            return _put(state, asking.failed(call, event)).evolve(accounts=books, relief=less)
        case ToolReturned():
            return _put(state, call.evolve(status="done", result=event.result, problem=event.problem))
        case _:
            assert_never(event)


def _put(state: RunState, call: Call) -> RunState:
    return state.evolve(calls={**state.calls, call.call: call})


def _add(left: Usage, right: Usage) -> Usage:
    return Usage(
        input_tokens=left.input_tokens + right.input_tokens,
        output_tokens=left.output_tokens + right.output_tokens,
        cached_tokens=left.cached_tokens + right.cached_tokens,
        cost_usd_micros=left.cost_usd_micros + right.cost_usd_micros,
        written_tokens=left.written_tokens + right.written_tokens,
    )


def terminal_of(record: Record) -> bool:
    """Does the record have a terminal event?"""
    return any(event.type in TERMINAL for event in record.events)
