"""Shell: child runs as the code of a function sees them."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from callboard.actors.code import Ports
from callboard.actors.contents import unpack
from callboard.bus.messages import ChildFinished, Problem
from callboard.errors import RunFailed, RunKilled


@dataclass(frozen=True, slots=True)
class Child:
    """A spawned run: its id, and the agent that works on it."""

    id: str
    agent: str


async def result_of(child: Child, finished: ChildFinished, ports: Ports) -> JsonValue:
    """What the child returned. Raises ``RunFailed`` or ``RunKilled`` for one without a result."""
    problem = finished.problem or Problem(kind=finished.outcome, message=f"child run {child.id} {finished.outcome}")
    match finished.outcome:
        case "completed":
            return await unpack(finished.result, ports.blobs)
        case "failed":
            raise RunFailed(child.id, problem.kind, problem.message)
        case "killed":
            raise RunKilled(child.id, problem.message, problem.hint)
