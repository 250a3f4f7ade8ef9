"""Shell: the runs of a deployment at a glance, from their journals, and from the queue those without one yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import Final, Literal, TypeAlias, assert_never

import anyio
from pydantic import JsonValue

from callboard.actors.accounts import Tally
from callboard.actors.fold import EMPTY, replay
from callboard.actors.state import RunState
from callboard.app.held import Hold, holds, who
from callboard.app.queued import QueuedTask, queued_tasks
from callboard.app.waiting import said_of_holds
from callboard.bus.bus import Bus
from callboard.bus.messages import ModelResponded, RunCompleted, RunFailed, RunKilled
from callboard.bus.subjects import RunKey

Status: TypeAlias = Literal["queued", "running", "suspended", "completed", "failed", "killed"]
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in one line. ``why`` is the reason of an end that is no success, or of what holds the run up.

    ``guard`` is the one that ended it; ``warm``: it only fills a prompt cache. Tokens and cost are what is known to be
    used, and, at its end, what may be.
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
    warm: bool = False
    holds: tuple[Hold, ...] = ()

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
            "warm": self.warm,
            "holds": [hold.as_json() for hold in self.holds],
        }


async def summaries(bus: Bus, *, tenant: str | None, status: Status | None, limit: int) -> tuple[RunSummary, ...]:
    """Newest first. Journals are read from the latest on until there are ``limit`` runs of that status."""
    last = {entry.key: entry.at async for entry in bus.scan(tenant)}
    found: list[RunSummary] = []
    states: dict[RunKey, RunState] = {}
    now = bus.clock.now()
    if status in (None, "queued"):
        waiting = {task.key: task for task in await queued_tasks(bus, tenant) if task.key not in last}
        found += [_queued(task) for task in waiting.values()]
    latest = sorted(last, key=lambda key: last[key], reverse=True)
    for start in range(0, len(latest), _AT_ONCE):
        if len(found) >= limit and status != "queued":
            break
        read = await _read(bus, latest[start : start + _AT_ONCE])
        states.update(read)
        found += [
            each
            for key, state in read
            if (each := summary(key, state, last[key], now=now)).status == status or not status
        ]
    found.sort(key=lambda each: str(each.created or each.updated), reverse=True)  # aware UTC: the text sorts like time
    return await _with_holds(bus, found[:limit], states, tenant)


async def _with_holds(
    bus: Bus, found: Sequence[RunSummary], states: Mapping[RunKey, RunState], tenant: str | None
) -> tuple[RunSummary, ...]:
    """The same with the closed guards that they wait for: their journals do not say that."""
    going = [each.created or each.updated for each in found if each.status in ("queued", "running", "suspended")]
    since = min((at for at in going if at is not None), default=None)
    if since is None:
        return tuple(found)
    said = await said_of_holds(bus, tenant, since)

    def told(each: RunSummary) -> RunSummary:
        key = RunKey(each.tenant, each.run)
        if key not in said:
            return each
        held = holds(states.get(key, EMPTY), now=bus.clock.now(), said=said[key])
        return replace(each, holds=held, why=each.why or (str(held[0]) if held else ""))

    return tuple(map(told, found))


def summary(
    key: RunKey, state: RunState, updated: datetime | None, *, now: datetime, held: tuple[Hold, ...] | None = None
) -> RunSummary:
    """A state in one line. ``held`` is what holds it back, if more is known of that than the state says."""
    created, spent = state.created, _spent(state)
    held = holds(state, now=now) if held is None else held
    return RunSummary(
        run=key.run,
        tenant=key.tenant,
        agent="" if created is None else created.agent,
        status=state.status,
        why=why(state) or (str(held[0]) if held else ""),
        created=None if created is None else created.at,
        updated=updated,
        turns=sum(1 for turn in state.turns if isinstance(turn, ModelResponded)),
        tokens=spent.input_tokens + spent.output_tokens,
        cost_usd_micros=spent.usd_micros,
        attempts=state.claims,
        parent=created.parent.run if created is not None and created.parent is not None else "",
        guard=state.terminal.guard if isinstance(state.terminal, RunFailed | RunKilled) else "",
        warm=created is not None and created.warm,
        holds=held,
    )


def why(state: RunState) -> str:
    """Why a run ended without a result; empty for all others."""
    match state.terminal:
        case RunFailed(problem=problem):
            return f"{problem.kind}: {problem.message}"
        case RunKilled(reason=reason):
            return f"killed by {who(state.terminal)}: {reason or 'no reason given'}"
        case RunCompleted() | None:
            return ""
        case _:
            assert_never(state.terminal)


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
