"""Pure: the provider's rate limit: who asks too much within a minute waits, and each answer says what is left."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from callboard.testing.script import Wire


@dataclass(slots=True)
class Limit:
    """``requests`` and ``tokens`` (of the input) in each ``window`` of seconds, of all models together."""

    requests: int = 1_000_000
    tokens: int = 10_000_000_000
    window: float = 60.0
    _used: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]], init=False)
    _tokens: int = field(default=0, init=False)

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until a request of so many tokens is let in; at 0 it is, and counts."""
        while self._used and self._used[0][0] <= now - self.window:
            self._tokens -= self._used.popleft()[1]
        if len(self._used) < self.requests and self._tokens + tokens <= self.tokens:
            self._used.append((now, tokens))
            self._tokens += tokens
            return 0.0
        return max(self._reset(now), 0.001)

    def headers(self, wire: Wire, *, now: float, wall: datetime) -> dict[str, str]:
        """What the provider says beside an answer."""
        left = {
            "requests": (self.requests, self.requests - len(self._used)),
            "tokens": (self.tokens, self.tokens - self._tokens),
        }
        reset = self._reset(now)
        told: dict[str, str] = {}
        for what, (most, remaining) in left.items():
            if wire == "anthropic":
                of = f"anthropic-ratelimit-{'input-tokens' if what == 'tokens' else what}"
                at = (wall + timedelta(seconds=reset)).strftime("%Y-%m-%dT%H:%M:%SZ")
                told |= {f"{of}-limit": str(most), f"{of}-remaining": str(remaining), f"{of}-reset": at}
            else:
                told[f"x-ratelimit-limit-{what}"] = str(most)
                told[f"x-ratelimit-remaining-{what}"] = str(remaining)
                told[f"x-ratelimit-reset-{what}"] = _duration(reset)
        return told

    def _reset(self, now: float) -> float:
        """Until the oldest request leaves the window."""
        return self._used[0][0] + self.window - now if self._used else 0.0


def _duration(seconds: float) -> str:
    """As OpenAI writes it: ``120ms``, ``6.5s``, ``1m0s``."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"
