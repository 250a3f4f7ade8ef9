"""Pure: what a run may spawn: how deep, how many children, how fast, and how often the same agent may come again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from callboard.actors.allowance import slice_of
from callboard.actors.state import RunState
from callboard.bus.messages import ChildSpawned, Content, Problem, RunCreated, ToolCall, ToolReturned
from callboard.bus.subjects import Lane
from callboard.config.spec import AgentSpec, Limits

RATE_WINDOW: Final = timedelta(seconds=60)
_LONGEST_LINEAGE: Final = 64
"""As many agents as a task may name."""
_HINT: Final = "do the work yourself"


def delegated(
    state: RunState, spec: AgentSpec, asked: ToolCall, *, child: str, now: datetime, beside: int
) -> ChildSpawned | ToolReturned:
    """What becomes of a delegation that the model asks for: the child ``child``, or why not, for the model to read.

    ``beside``: children that the same turn has spawned.
    """
    arguments = asked.arguments if isinstance(asked.arguments, dict) else {}
    agent, work = arguments.get("agent"), arguments.get("task")
    if not isinstance(agent, str) or agent not in spec.team or not isinstance(work, str) or not work:
        hint = f"give agent (one of {', '.join(spec.team) or 'nobody'}) and task (a text)"
        wrong = Problem(kind="bad_arguments", message=f"got {asked.arguments!r}"[:2_000], hint=hint)
        return ToolReturned(call=asked.id, problem=wrong)
    limits = spec.limits
    problem = refused(state, limits, agent, beside=beside) or too_fast(state, limits, now, beside=beside)
    if problem is not None:
        return ToolReturned(call=asked.id, problem=problem)
    return ChildSpawned(child=child, call=asked.id, agent=agent, input=Content(value=work), lane=_lane(state), at=now)


def child_of(
    state: RunState,
    spec: AgentSpec,
    named: tuple[str, str],
    *,
    agent: str,
    given: Content,
    lane: Lane | None,
    at: datetime,
) -> ChildSpawned:
    """The child of a function's run, ``named`` by its id and its call, with its slice of the budget."""
    child, call = named
    share = slice_of(state, spec.guards.budget, 1)
    return ChildSpawned(
        child=child, call=call, agent=agent, input=given, lane=lane or _lane(state), at=at, budget=share
    )


def _lane(state: RunState) -> Lane:
    return "normal" if state.created is None else state.created.lane


def refused(state: RunState, limits: Limits, agent: str, *, beside: int = 0) -> Problem | None:
    """Why this run may never spawn a child of ``agent``. ``beside``: children that are spawned in the same breath."""
    depth = 1 if state.created is None else state.created.depth + 1
    children, above = len(state.children) + beside, lineage(state.created)
    if depth > limits.depth:
        message = f"delegation is {depth} deep, {limits.depth} is allowed (limits.depth)"
        return Problem(kind="too_deep", message=message, hint=_HINT)
    if (times := above.count(agent)) > limits.cycles:
        chain = " -> ".join((*above, agent))
        message = (
            f"{agent!r} would come again below itself, time {times}, {limits.cycles} allowed (limits.cycles): {chain}"
        )
        return Problem(kind="delegation_cycle", message=message, hint=_HINT)
    if children >= limits.children:
        message = f"this run has spawned {children} children, {limits.children} are allowed (limits.children)"
        return Problem(kind="too_many_children", message=message, hint=_HINT)
    return None


def free_at(state: RunState, limits: Limits, now: datetime, *, beside: int = 0) -> datetime | None:
    """When this run may spawn again if it has spawned too fast; None: now."""
    known = (child.at for child in state.children.values() if child.at is not None)
    recent = [*sorted(at for at in known if at > now - RATE_WINDOW), *[now] * beside]
    return None if len(recent) < limits.spawn_rate else recent[-limits.spawn_rate] + RATE_WINDOW


def too_fast(state: RunState, limits: Limits, now: datetime, *, beside: int = 0) -> Problem | None:
    """Why this run may not spawn a child just now."""
    if (free := free_at(state, limits, now, beside=beside)) is None:
        return None
    message = f"this run has spawned {limits.spawn_rate} children within a minute (limits.spawn_rate)"
    hint = f"do the work yourself, or delegate again in {max(1, round((free - now).total_seconds()))} s"
    return Problem(kind="spawn_rate", message=message, hint=hint)


def lineage(created: RunCreated | None) -> tuple[str, ...]:
    """The agents above a child of this run, the topmost first."""
    return () if created is None else (*created.lineage, created.agent)[-_LONGEST_LINEAGE:]
