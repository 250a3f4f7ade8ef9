"""Pure: the receipt of a kill. It says which of two things holds: accepted, or settled.

*Accepted*: the bus acknowledged the kill; the owner can record nothing more. *Settled*: no effect of the run starts
from then on. Until ``settled_at`` is set, an effect whose intent was written before the kill may still start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from pydantic import JsonValue

from callboard.actors.state import RunState
from callboard.bus.messages import Outcome, RunKilled
from callboard.bus.ports import Stored
from callboard.bus.subjects import RunKey
from callboard.errors import Bug

START_WINDOW: Final = 0.3
"""Seconds from the publish of an intent within which its effect may start."""
MARGIN: Final = 0.2
"""Seconds on top of the start window, for a worker that was interrupted between its check and the start."""

SettledBy: TypeAlias = Literal["never_started", "suspended", "owner", "window"]


@dataclass(frozen=True, slots=True)
class Earlier:
    """A kill that came before. ``at`` is when the bus stored it, ``by`` and ``reason`` are what it said."""

    at: datetime | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a run that was killed. ``settled_at`` is None as long as an effect may still start.

    ``in_doubt`` names the calls of which nobody knows whether they took effect, ``running`` what the owner could
    not stop. ``earlier`` is the kill that ended the run if this one found it killed.
    """

    run: str
    tenant: str
    accepted_at: datetime
    settled_at: datetime | None
    settled_by: SettledBy | None
    outcome: Outcome
    in_doubt: tuple[str, ...]
    running: tuple[str, ...]
    earlier: Earlier | None = None

    @property
    def killed(self) -> bool:
        """Did a kill end the run? If not, it was over before: the kill came too late."""
        return self.outcome == "killed"

    def as_json(self) -> dict[str, JsonValue]:
        """The receipt as JSON; instants are ISO 8601."""
        return {
            "run": self.run,
            "tenant": self.tenant,
            "accepted_at": self.accepted_at.isoformat(),
            "settled_at": None if self.settled_at is None else self.settled_at.isoformat(),
            "settled_by": self.settled_by,
            "outcome": self.outcome,
            "killed": self.killed,
            "in_doubt": list(self.in_doubt),
            "running": list(self.running),
            "earlier": self._earlier(),
        }

    def _earlier(self) -> JsonValue:
        if self.earlier is None:
            return None
        at = None if self.earlier.at is None else self.earlier.at.isoformat()
        return {"at": at, "by": self.earlier.by, "reason": self.earlier.reason}


def earlier_kill(entries: Sequence[Stored], state: RunState, record: str) -> Earlier | None:
    """The kill that ended a run, if it is another one than that in the record with this id."""
    if state.outcome != "killed":
        return None
    kills = (
        (entry, event)
        for entry in entries
        if entry.record is not None
        for event in entry.record.events
        if isinstance(event, RunKilled)
    )
    entry, event = next(kills)
    if entry.record is not None and entry.record.id == record:
        return None
    return Earlier(entry.at, f"guard {event.guard}" if event.guard else event.by, event.reason)


def receipt(
    state: RunState, key: RunKey, *, accepted_at: datetime, now: datetime, window: float = START_WINDOW
) -> Receipt:
    """The receipt at ``now`` of a kill that was accepted at ``accepted_at``. ``state`` is folded at least up to it.

    ``window`` is the workers' start window in seconds.
    """
    if state.outcome is None:
        raise Bug(
            f"receipt of {key} from a state at sequence {state.sequence} that has no terminal: fold the kill first"
        )
    settled_by, settled_at = _settled(state, accepted_at, now, window)
    return Receipt(
        run=key.run,
        tenant=key.tenant,
        accepted_at=accepted_at,
        settled_at=settled_at,
        settled_by=settled_by,
        outcome=state.outcome,
        in_doubt=state.in_doubt,
        running=state.settled.running if state.settled is not None else (),
    )


def _settled(
    state: RunState, accepted_at: datetime, now: datetime, window: float
) -> tuple[SettledBy | None, datetime | None]:
    closed = accepted_at + timedelta(seconds=window + MARGIN)
    # An earlier owner, fenced a moment ago, may still be within the window of its intent: no later one knows.
    known = state.claims <= 1
    if known and (at_rest := _at_rest(state)) is not None:
        return at_rest, accepted_at
    if known and state.settled is not None:
        return "owner", max(accepted_at, min(now, closed))
    return ("window", closed) if now >= closed else (None, None)


def _at_rest(state: RunState) -> SettledBy | None:
    """Why nothing could start any more when the kill came, None if something could.

    A call without an outcome is the exception to everything: a worker that lost the run a moment ago (a release, a
    takeover) may still be within the start window of its intent.
    """
    if state.foreign:
        return None
    if not state.owner:
        return "never_started"
    if any(call.status not in ("done", "failed") for call in state.calls.values()):
        return None
    if state.outcome != "killed":
        return "owner"
    return "suspended" if state.suspended else None
