"""Pure: what counts against a limit, what a call may need of it, and what is too large for it."""

from __future__ import annotations

from callboard.actors.charges import answered_tokens
from callboard.actors.state import RunState
from callboard.bus.messages import Usage
from callboard.config.guards import RateLimit
from callboard.models.port import ChatRequest
from callboard.models.tokens import Calibration, new_size, size_of
from callboard.models.vocabulary import counter_of


def needed(request: ChatRequest, state: RunState, known: Calibration) -> int:
    """Input tokens that a call may need: those that its run's last call had, and what nobody has counted yet."""
    counter, last = counter_of(request.model), answered_tokens(state, request) or 0
    size = new_size(request, counter) if last else size_of(request, counter)
    return last + known.estimate(request.model.label, size, counter)


def observe(request: ChatRequest, usage: Usage, known: Calibration) -> None:
    """Learn from an answered call."""
    counter = counter_of(request.model)
    read = usage.input_tokens + usage.cached_tokens + usage.written_tokens
    known.observe(request.model.label, size=size_of(request, counter), tokens=read, counter=counter)


def counted(usage: Usage, provider: str) -> tuple[int, int] | None:
    """Tokens in and out that count against a limit; None: nobody knows. Anthropic lets what it read from a cache go."""
    free = usage.cached_tokens if provider == "anthropic" else 0
    inputs = usage.input_tokens + usage.written_tokens + usage.cached_tokens
    return (inputs - free, usage.output_tokens) if inputs or usage.output_tokens else None


def too_large(limit: RateLimit, inputs: int, outputs: int) -> str:
    """Why a call that may need so many tokens never fits ``limit``, ``""`` if it does."""
    for noun, needed, allowed in (("input", inputs, limit.input_tokens), ("output", outputs, limit.output_tokens)):
        if allowed is not None and needed > allowed:
            return (
                f"may need {needed:,} {noun} tokens, and rate_limits allows {allowed:,} a minute: "
                "it is sent when nothing else was for a minute, and may be refused"
            )
    return ""
