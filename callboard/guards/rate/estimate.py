"""Pure: what counts against a limit, and what is too large for one."""

from __future__ import annotations

from callboard.bus.messages import Usage
from callboard.config.guards import RateLimit


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
