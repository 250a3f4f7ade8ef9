"""Shell: what all effects have in common: their time, their context, and what a refusal leaves in the journal."""

from __future__ import annotations

from callboard.actors.armed import Armed
from callboard.actors.code import Ports
from callboard.actors.gate import Refusal
from callboard.actors.owner import Owner
from callboard.actors.state import Call
from callboard.bus.messages import GuardDenied, ToolRequested
from callboard.tools.context import Earlier, ToolContext


def denied(call: str, refusal: Refusal) -> GuardDenied:
    """What a gate said no to, as a fact."""
    return GuardDenied(
        guard=refusal.guard, call=call, problem=refusal.problem, retry_at=refusal.retry_at, wrap_up=refusal.wrap_up
    )


def context_of(
    owner: Owner,
    of: ToolRequested | Call,
    *,
    timeout: float,
    window: Armed | None = None,
    earlier: Earlier | None = None,
) -> ToolContext:
    """What the code of a call is handed; ``timeout`` in seconds."""
    run, tenant = owner.key.run, owner.key.tenant
    return ToolContext(
        run=run,
        tenant=tenant,
        call=of.call,
        key=of.key,
        attempt=of.attempt,
        deadline=timeout,
        window=window,
        earlier=earlier,
    )


def within_deadline(owner: Owner, seconds: float, ports: Ports) -> float:
    """``seconds``, or what is left until the run's deadline if that is less (never below 0)."""
    created = owner.view.created
    if created is None or created.deadline is None:
        return seconds
    return max(0.0, min(seconds, (created.deadline - ports.clock.now()).total_seconds()))
