"""Pure: a circuit as the whole fleet shares it, and the counts of one worker that may open it.

closed -> open            a worker's own counts
open -> half_open         one worker takes the lease of the probe, by compare-and-set
half_open -> ramp         the probe went well
half_open -> open         it did not: longer than before
ramp -> closed            time has passed without two failures in a row
ramp -> open              it has not
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

from pydantic import AwareDatetime, JsonValue, ValidationError

from callboard.bus.values import Message
from callboard.config.guards import Breaker

Phase: TypeAlias = Literal["closed", "open", "half_open", "ramp"]
Cause: TypeAlias = Literal["", "streak", "failures", "slow", "attempts"]
"""``attempts``: a call has one attempt left, and nothing went well since its first."""

LEASE: Final = 6.0
"""Seconds after which the probe of a worker that says nothing goes to another one."""
RAMP: Final = ((2.0, 0.1), (4.0, 0.5))
"""Until so many seconds after the probe, that share of the calls is let through; then all."""
RAMP_STREAK: Final = 2
"""Failures in a row that open a circuit again that is closing."""
LAST_ATTEMPT_STREAK: Final = 3
"""Failures in a row that open a circuit for the sake of a call that has one attempt left."""
LAST_RESORT: Final = 30.0
"""A run without another model waits for this one: it is asked at least as often as this, in seconds."""
IDLE: Final = 600.0
"""Seconds without a call after which a worker forgets a circuit; what matters to others is in the bucket."""
CLOSED_FOR: Final = 3_600.0
OTHERS_FOR: Final = 86_400.0
"""Seconds after which the bucket forgets a circuit that is closed, or one that nobody has called since."""
_AGAIN: Final = 1.0
_JITTER: Final = 0.2
_SLICES: Final = 12
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Circuit(Message):
    """A circuit in the bucket. ``trips`` counts how often it opened without having closed in between.

    ``until``: of ``open`` when the probe is due, of ``half_open`` the end of its lease, of ``ramp`` when it closes.
    """

    phase: Phase = "closed"
    cause: Cause = ""
    trips: int = 0
    since: AwareDatetime = _NEVER
    until: AwareDatetime = _NEVER
    holder: str = ""


class Slice(NamedTuple):
    """What ended within one twelfth of the window."""

    number: int
    calls: int = 0
    failed: int = 0
    slow: int = 0


class Counts(NamedTuple):
    """What one worker saw lately: the window in slices, the last of them by itself, and how many failed in a row."""

    past: tuple[Slice, ...] = ()
    last: Slice = Slice(0)
    streak: int = 0
    amiss: int = 0
    """How many were slow, or failed, in the ``past``."""

    @property
    def is_well(self) -> bool:
        """Was nothing amiss? So it is mostly."""
        return not (self.amiss or self.last.failed or self.last.slow)

    @property
    def total(self) -> Slice:
        """The whole window."""
        whole = (*self.past, self.last)
        return Slice(
            0, sum(each.calls for each in whole), sum(each.failed for each in whole), sum(each.slow for each in whole)
        )

    def evidence(self) -> Mapping[str, JsonValue]:
        """For people."""
        total = self.total
        return {"calls": total.calls, "failed": total.failed, "slow": total.slow, "in_a_row": self.streak}


def parsed(value: bytes) -> Circuit:
    """The circuit in the bucket; what is none is as if it were not there."""
    try:
        return Circuit.model_validate_json(value)
    except ValidationError:
        return Circuit()


def lasts(circuit: Circuit, now: datetime) -> float:
    """Seconds for which the bucket has to know it if it does not change."""
    if circuit.phase == "closed":
        return CLOSED_FOR
    return max(0.0, (circuit.until - now).total_seconds()) + OTHERS_FOR


def ended_at(counts: Counts, settings: Breaker) -> datetime:
    """When the last call had ended at the latest."""
    if not counts.last.calls:
        return _NEVER
    return datetime.fromtimestamp((counts.last.number + 1) * settings.window / _SLICES, UTC)


def count(counts: Counts, what: Literal["good", "slow", "failed"], now: datetime, settings: Breaker) -> Counts:
    """``counts`` with one more end."""
    index = int(now.timestamp() / (settings.window / _SLICES))
    past, (number, calls, failed, slow), streak, amiss = counts
    if number != index:  # a new slice: the oldest ones go
        past = tuple(each for each in (*past, counts.last) if index - _SLICES < each.number < index)
        calls, failed, slow, amiss = 0, 0, 0, sum(each.failed + each.slow for each in past)
    if what == "good":
        return Counts(past, Slice(index, calls + 1, failed, slow), 0, amiss)
    if what == "slow":
        return Counts(past, Slice(index, calls + 1, failed, slow + 1), 0, amiss)
    return Counts(past, Slice(index, calls + 1, failed + 1, slow), streak + 1, amiss)


def tripped(counts: Counts, settings: Breaker) -> Cause:
    """Why these counts open a circuit, ``""`` if they do not."""
    total = counts.total
    if counts.streak >= settings.consecutive:
        return "streak"
    if total.calls < settings.calls:
        return ""
    if total.failed >= total.calls * settings.failures:
        return "failures"
    return "slow" if total.slow >= total.calls * settings.slow else ""


def opened(
    circuit: Circuit, cause: Cause, now: datetime, *, chance: float, settings: Breaker, longest: float
) -> Circuit:
    """Open, each time twice as long, up to ``longest`` seconds and a little more by ``chance`` (0 to 1)."""
    trips = circuit.trips + 1
    seconds = min(settings.open_for * 2 ** min(trips - 1, 30), settings.open_at_most, longest)
    until = now + timedelta(seconds=seconds * (1 + _JITTER * chance))
    return Circuit(phase="open", cause=cause or circuit.cause, trips=trips, since=now, until=until)


def leased(circuit: Circuit, holder: str, now: datetime) -> Circuit:
    """``holder`` makes the probe, or goes on making it."""
    since = circuit.since if circuit.phase == "half_open" and circuit.holder == holder else now
    change = {"phase": "half_open", "holder": holder, "since": since, "until": now + timedelta(seconds=LEASE)}
    return circuit.model_copy(update=change)


def undecided(circuit: Circuit, now: datetime) -> Circuit:
    """The probe said nothing: another one, soon."""
    until = now + timedelta(seconds=_AGAIN)
    return circuit.model_copy(update={"phase": "open", "holder": "", "since": now, "until": until})


def ramped(circuit: Circuit, now: datetime) -> Circuit:
    """The probe went well."""
    until = now + timedelta(seconds=RAMP[-1][0])
    return circuit.model_copy(update={"phase": "ramp", "holder": "", "since": now, "until": until})


def closed(now: datetime) -> Circuit:
    """All is well again."""
    return Circuit(since=now, until=now)


def step(circuit: Circuit, now: datetime) -> tuple[float, datetime]:
    """Of a circuit that is closing: the share of calls that it lets through, and until when."""
    passed = (now - circuit.since).total_seconds()
    end, share = next(((end, share) for end, share in RAMP if passed < end), RAMP[-1])
    return share, circuit.since + timedelta(seconds=end)
