"""Guards to try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from callboard.bus.messages import ModelResponded
from callboard.bus.subjects import RunKey
from callboard.guards.kit import Guard, Seen, Verdict


class Chatty(Guard[int]):
    """Warns, nudges and kills who answers too often."""

    name = "chatty"

    def __init__(self, limit: int = 3, *, wordy: bool = False) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}: give at least 1")
        self.limit = limit
        self.wordy = wordy

    def start(self, run: RunKey) -> int:
        return 0

    def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:
        if not isinstance(seen.event, ModelResponded):
            return state, ()
        count = state + 1
        if count > self.limit:
            reason = f"it has answered {count} times"
            return count, (Verdict("kill", reason, (seen.sequence,), threshold=self.limit, value=count),)
        if count == self.limit:
            return count, (Verdict("warn", "one more"), Verdict("nudge", "come to an end", (seen.sequence,)))
        return count, ()


class Sleepy(Guard[datetime | None]):
    """Kills runs in which nothing happens."""

    name = "sleepy"

    def __init__(self, seconds: float = 60) -> None:
        self.patience = timedelta(seconds=seconds)

    def start(self, run: RunKey) -> datetime | None:
        return None

    def observe(self, state: datetime | None, seen: Seen) -> tuple[datetime | None, Sequence[Verdict]]:
        return seen.at, ()

    def tick(self, state: datetime | None, now: datetime) -> tuple[datetime | None, Sequence[Verdict]]:
        if state is None or now - state < self.patience:
            return state, ()
        return state, (Verdict("kill", "nothing happens", value=(now - state).total_seconds()),)
