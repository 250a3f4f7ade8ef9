"""Pure: which circuit a call goes over, its key in the bucket, and what is said when one changes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from pydantic import JsonValue

from callboard.actors.gate import Ask
from callboard.bus.guard_messages import GuardEvent
from callboard.bus.guard_words import Action
from callboard.bus.messages import Problem
from callboard.config.guards import Breaker
from callboard.config.times import instant
from callboard.guards.breaker.circuit import LAST_ATTEMPT_STREAK, Cause, Circuit

GUARD: Final = "breaker"
ALL: Final = "_"
_NO_TOKEN: Final = re.compile(r"[^A-Za-z0-9_-]")
_READABLE: Final = 40
_ACTIONS: Final[Mapping[str, Action]] = {"open": "warn"}


class Line(NamedTuple):
    """What has a circuit: a model, for all tenants, or a tool of one tenant's runs. ``tenant`` ``_`` is all of them."""

    tenant: str
    kind: str
    name: str

    @property
    def key(self) -> tuple[str, ...]:
        """Its key in the bucket."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:10]
        return GUARD, self.tenant, self.kind, f"{_NO_TOKEN.sub('-', self.name)[:_READABLE]}-{digest}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def line(ask: Ask) -> Line | None:
    """The circuit of a call. A step has none: what it calls is the function's affair."""
    match ask.kind:
        case "model":
            return _line(ALL, "model", ask.name)
        case "tool":
            return _line(ask.key.tenant, "tool", ask.name)
        case _:
            return None


@lru_cache(maxsize=4_096)
def _line(tenant: str, kind: str, name: str) -> Line:
    return Line(tenant, kind, name)


def problem(at: Line, circuit: Circuit, until: datetime) -> Problem:
    """What a run is told that may not call."""
    why = {"failures": "too many of its calls failed", "slow": "most of its answers were very slow"}.get(
        circuit.cause, "it failed several times in a row"
    )
    message = f"the circuit of {at} is {circuit.phase.replace('_', ' ')}: {why}"
    if at.kind == "model":
        return Problem(kind="circuit_open", message=message, hint=f"it is asked again at {instant(until)}")
    return Problem(kind="circuit_open", message=message, hint="try it again later, or find another way")


def said(
    at: Line,
    circuit: Circuit,
    *,
    event: str,
    now: datetime,
    worker: str,
    settings: Breaker,
    counts: Mapping[str, JsonValue],
) -> GuardEvent:
    """The guard event of a change. ``event`` is its id."""
    reasons = {
        "open": f"the circuit of {at} opened ({circuit.cause}); the next probe is due at {instant(circuit.until)}",
        "half_open": f"one call probes {at}",
        "ramp": f"{at} answered the probe: calls are let through, ever more of them",
        "closed": f"the circuit of {at} is closed again",
    }
    return GuardEvent(
        id=event,
        at=now,
        guard=GUARD,
        action=_ACTIONS.get(circuit.phase, "observe"),
        mode=settings.mode,
        acted=settings.mode == "enforce",
        reason=reasons[circuit.phase],
        threshold=_threshold(circuit.cause, settings),
        data={
            "circuit": str(at),
            "state": circuit.phase,
            "cause": circuit.cause,
            "trips": circuit.trips,
            "until": circuit.until.isoformat(),
            "worker": worker,
            "counts": dict(counts),
        },
    )


def _threshold(cause: Cause, settings: Breaker) -> JsonValue:
    thresholds: dict[str, JsonValue] = {
        "streak": settings.consecutive,
        "attempts": LAST_ATTEMPT_STREAK,
        "failures": settings.failures,
        "slow": settings.slow,
    }
    return thresholds.get(cause)
