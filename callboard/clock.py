"""Shell: the one source of time and chance. Everything else is handed a ``Clock``."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time and chance as a port, so that the simulation can own both."""

    def now(self) -> datetime:
        """Wall-clock instant, aware UTC. For instants that several machines compare (deadlines, timers)."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back. For durations inside one process (the start window)."""
        ...

    def new_id(self) -> str:
        """A fresh token of 20 characters that matches ``[A-Za-z0-9_-]{1,64}``."""
        ...


class SystemClock:
    """The machine's clock and the kernel's random numbers."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock

    def monotonic(self) -> float:
        return time.monotonic()

    def new_id(self) -> str:
        return secrets.token_hex(10)
