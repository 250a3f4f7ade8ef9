"""Shell: the runs of a deployment at a glance, from their journals, and from the queue those without one yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

import anyio
from pydantic import JsonValue

from callboard.actors.fold import replay
from callboard.actors.state import RunState
from callboard.bus import storage
from callboard.bus.bus import Bus
from callboard.bus.codec import decode_task, run_key
from callboard.bus.messages import ModelResponded, RunFailed, RunKilled, Task
from callboard.bus.subjects import RunKey, token
from callboard.errors import InvalidMessage

Status: TypeAlias = Literal["queued", "running", "suspended", "completed", "failed", "killed"]
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in one line. ``why`` is the reason of an end that is no success."""

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
        }


async def summaries(bus: Bus, *, tenant: str | None, status: Status | None, limit: int) -> tuple[RunSummary, ...]:
    """Newest first. Journals are read from the latest on until there are ``limit`` runs of that status."""
    last = {entry.key: entry.at async for entry in bus.scan(tenant)}
    found: list[RunSummary] = []
    if status in (None, "queued"):
        waiting = {task.key: task for task in await queued_tasks(bus, tenant) if task.key not in last}
        found += [_queued(task) for task in waiting.values()]
    latest = sorted(last, key=lambda key: last[key], reverse=True)
    for start in range(0, len(latest), _AT_ONCE):
        if len(found) >= limit and status != "queued":
            break
        read = await _read(bus, latest[start : start + _AT_ONCE])
        found += [
            each for key, state in read if (each := summary(key, state, last[key])).status == status or not status
        ]
    found.sort(key=lambda each: str(each.created or each.updated), reverse=True)  # aware UTC: the text sorts like time
    return tuple(found[:limit])


def summary(key: RunKey, state: RunState, updated: datetime | None) -> RunSummary:
    """A state in one line."""
    created, usage = state.created, state.usage
    return RunSummary(
        run=key.run,
        tenant=key.tenant,
        agent="" if created is None else created.agent,
        status=state.status,
        why=why(state),
        created=None if created is None else created.at,
        updated=updated,
        turns=sum(1 for turn in state.turns if isinstance(turn, ModelResponded)),
        tokens=usage.input_tokens + usage.output_tokens + usage.cached_tokens,
        cost_usd_micros=usage.cost_usd_micros,
        attempts=state.claims,
        parent=created.parent.run if created is not None and created.parent is not None else "",
    )


def why(state: RunState) -> str:
    """Why a run ended without a result; empty for all others."""
    match state.terminal:
        case RunFailed(problem=problem):
            return f"{problem.kind}: {problem.message}"
        case RunKilled(reason=reason, by=by):
            return f"killed by {by or 'somebody'}: {reason or 'no reason given'}"
        case _:
            return ""


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


async def queued_tasks(bus: Bus, tenant: str | None) -> tuple[QueuedTask, ...]:
    """Every original task in the queue (of one tenant), oldest first."""
    subjects = bus.connection.subjects
    which = "*" if tenant is None else token(tenant, "tenant")
    everything = f"{subjects.prefix}.task.{which}.>"
    found: list[QueuedTask] = []
    for message in await storage.direct_batch(bus.connection, subjects.stream("TASKS"), everything, after=0):
        try:
            address, body = subjects.parse_task(message.subject), decode_task(message.payload)
            key = run_key(address, body, sequence=message.sequence, stored_at=message.at)
        except InvalidMessage:
            continue  # whoever pulls it buries it
        if isinstance(body, Task):
            found.append(QueuedTask(key, address.agent, message.at))
    return tuple(found)
