"""Shell: the runs of a deployment at a glance, from their journals, and from the queue those without one yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Final, Literal, TypeAlias, assert_never

import anyio
from pydantic import JsonValue

from callboard.actors.accounts import Tally
from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.bus import storage
from callboard.bus.bus import Bus
from callboard.bus.codec import decode_task, run_key
from callboard.bus.messages import ModelResponded, RunCompleted, RunFailed, RunKilled, RunPaused, Task
from callboard.bus.subjects import RunKey, token
from callboard.config.times import instant
from callboard.errors import InvalidMessage

Status: TypeAlias = Literal["queued", "running", "suspended", "completed", "failed", "killed"]
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in one line. ``why`` is the reason of an end that is no success, or of what holds the run up.

    ``guard`` is the one that ended it. Tokens and cost are what is known to be used, and, at its end, what may be.
    """

    run: str
    tenant: str
    agent: str
    status: Status
    why: str
    created: datetime | None
    updated: datetime | None
    turns: int = 0
    tokens: int = 0
    cost_usd_micros: int = 0
    attempts: int = 0
    parent: str = ""
    guard: str = ""

    def as_json(self) -> dict[str, JsonValue]:
        """As JSON; instants are ISO 8601."""
        return {
            "run": self.run,
            "tenant": self.tenant,
            "agent": self.agent,
            "status": self.status,
            "why": self.why,
            "created": None if self.created is None else self.created.isoformat(),
            "updated": None if self.updated is None else self.updated.isoformat(),
            "turns": self.turns,
            "tokens": self.tokens,
            "cost_usd_micros": self.cost_usd_micros,
            "attempts": self.attempts,
            "parent": self.parent,
            "guard": self.guard,
        }


async def summaries(bus: Bus, *, tenant: str | None, status: Status | None, limit: int) -> tuple[RunSummary, ...]:
    """Newest first. Journals are read from the latest on until there are ``limit`` runs of that status."""
    last = {entry.key: entry.at async for entry in bus.scan(tenant)}
    found: list[RunSummary] = []
    now = bus.clock.now()
    if status in (None, "queued"):
        waiting = {task.key: task for task in await queued_tasks(bus, tenant) if task.key not in last}
        found += [_queued(task) for task in waiting.values()]
    latest = sorted(last, key=lambda key: last[key], reverse=True)
    for start in range(0, len(latest), _AT_ONCE):
        if len(found) >= limit and status != "queued":
            break
        read = await _read(bus, latest[start : start + _AT_ONCE])
        found += [
            each
            for key, state in read
            if (each := summary(key, state, last[key], now=now)).status == status or not status
        ]
    found.sort(key=lambda each: str(each.created or each.updated), reverse=True)  # aware UTC: the text sorts like time
    return tuple(found[:limit])


def summary(key: RunKey, state: RunState, updated: datetime | None, *, now: datetime) -> RunSummary:
    """A state in one line."""
    created, spent = state.created, _spent(state)
    return RunSummary(
        run=key.run,
        tenant=key.tenant,
        agent="" if created is None else created.agent,
        status=state.status,
        why=why(state, now=now),
        created=None if created is None else created.at,
        updated=updated,
        turns=sum(1 for turn in state.turns if isinstance(turn, ModelResponded)),
        tokens=spent.input_tokens + spent.output_tokens,
        cost_usd_micros=spent.usd_micros,
        attempts=state.claims,
        parent=created.parent.run if created is not None and created.parent is not None else "",
        guard=state.terminal.guard if isinstance(state.terminal, RunFailed | RunKilled) else "",
    )


def why(state: RunState, *, now: datetime) -> str:
    """Why a run ended without a result, or what holds up one that has not ended; empty for all others."""
    match state.terminal:
        case RunFailed(problem=problem):
            return f"{problem.kind}: {problem.message}"
        case RunKilled(reason=reason):
            return f"killed by {_who(state.terminal)}: {reason or 'no reason given'}"
        case RunCompleted():
            return ""
        case None:
            return _held(state, now)
        case _:
            assert_never(state.terminal)


def _held(state: RunState, now: datetime) -> str:
    for pause in state.pauses.values():
        if pause.until is None or pause.until > now:
            until = "" if pause.until is None else f" until {instant(pause.until)}"
            return f"paused by {_who(pause)}{until}: {pause.reason or 'no reason given'}"
    denied = state.denied
    if denied is not None and denied.retry_at is not None:
        until = instant(denied.retry_at)
        return f"held by guard {denied.guard} until {until}: {denied.problem.message}"
    return ""


def _who(event: RunKilled | RunPaused) -> str:
    return f"guard {event.guard}" if event.guard else event.by or "somebody"


def _spent(state: RunState) -> Tally:
    """What its own calls used. A call under way counts when it is over, or was lost, and then in full."""
    books = state.accounts
    if state.terminal is not None:
        return books.own
    return reduce(Tally.minus, (held for _, held in books.pending.values()), books.own)


def _queued(task: QueuedTask) -> RunSummary:
    return RunSummary(task.key.run, task.key.tenant, task.agent, "queued", "", created=task.at, updated=task.at)


async def _read(bus: Bus, keys: list[RunKey]) -> list[tuple[RunKey, RunState]]:
    states: dict[RunKey, RunState] = {}

    async def one(key: RunKey) -> None:
        states[key] = replay(await bus.journals.read(key))

    async with anyio.create_task_group() as group:
        for key in keys:
            group.start_soon(one, key)
    return [(key, states[key]) for key in keys]


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """An original task that is in the queue: nobody has taken it up yet, or a worker holds it."""

    key: RunKey
    agent: str
    at: datetime


async def is_known(bus: Bus, key: RunKey) -> bool:
    """Does the run's journal say how it began, or is its task in the queue?"""
    subjects = bus.connection.subjects
    addressed = f"{subjects.prefix}.task.{key.tenant}.*.*.{key.run}"
    if await storage.last_of(bus.connection, subjects.stream("TASKS"), addressed) is not None:
        return True
    # A task leaves the queue only when its run has begun: the journal is read behind each look at the queue
    if await _has_begun(bus, key):
        return True
    return any(task.key == key for task in await queued_tasks(bus, key.tenant)) or await _has_begun(bus, key)


async def _has_begun(bus: Bus, key: RunKey) -> bool:
    return replay(await bus.journals.read(key)).created is not None


async def queued_tasks(bus: Bus, tenant: str | None) -> tuple[QueuedTask, ...]:
    """Every original task in the queue (of one tenant), oldest first."""
    subjects = bus.connection.subjects
    which = "*" if tenant is None else token(tenant, "tenant")
    everything = f"{subjects.prefix}.task.{which}.>"
    found: list[QueuedTask] = []
    for message in await storage.behind(bus.connection, subjects.stream("TASKS"), everything, after=0):
        try:
            address, body = subjects.parse_task(message.subject), decode_task(message.payload)
            key = run_key(address, body, sequence=message.sequence, stored_at=message.at)
        except InvalidMessage:
            continue  # whoever pulls it buries it
        if isinstance(body, Task):
            found.append(QueuedTask(key, address.agent, message.at))
    return tuple(found)
