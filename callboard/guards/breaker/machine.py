"""Pure: the breaker of one circuit in one worker: may this call start, and what does the end of that one change.

A worker opens a circuit alone, by its own counts. Everything else is the fleet's: what is in the bucket wins, and only
the one probe that somebody holds the lease of closes a circuit again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final, NamedTuple, TypeAlias, assert_never

from callboard.actors.state import Evolving
from callboard.config.guards import Breaker
from callboard.guards.breaker.circuit import (
    IDLE,
    LAST_ATTEMPT_STREAK,
    RAMP_STREAK,
    Cause,
    Circuit,
    Counts,
    closed,
    count,
    ended_at,
    leased,
    opened,
    ramped,
    step,
    tripped,
    undecided,
)
from callboard.guards.breaker.outcome import Outcome

_LOOK_AGAIN: Final = 5.0
"""Seconds after which to ask again while somebody else's probe is out."""
_SPREAD: Final = 1 / 3
"""Those who wait for a probe come back over this share of the time that the circuit was open: most find an answer."""


@dataclass(frozen=True)
class View(Evolving):
    """A circuit as worker ``me`` knows it: what is in the bucket at ``revision`` (or what it has just proposed).

    ``asked`` counts the calls since the circuit began to close, ``probing``: this worker has the probe, or asks for it.
    """

    me: str
    settings: Breaker
    longest: float
    circuit: Circuit = Circuit()
    revision: int = 0
    counts: Counts = Counts()
    asked: int = 0
    probing: bool = False


@dataclass(frozen=True, slots=True)
class Let:
    """The call may start. ``write``: tell the others first thing."""

    write: Circuit | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """It may not; ask again at ``until``."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """It is the probe if this can be put in the place of what is in the bucket, or if there is no bucket."""

    circuit: Circuit


class Over(NamedTuple):
    """How a call ended, ``seconds`` after it had started. ``probe``: it was the probe.

    ``last_but_one``: if its next attempt fails too, a run is lost.
    """

    what: Outcome
    seconds: float
    probe: bool
    last_but_one: bool = False


Decision: TypeAlias = Let | Hold | Claim
_LET: Final = Let()


def ask(view: View, now: datetime, *, chance: float) -> tuple[View, Decision]:
    """May a call start? ``chance`` (0 to 1) spreads those who have to wait."""
    circuit = view.circuit
    match circuit.phase:
        case "closed":
            return view, _LET
        case "ramp":
            if now >= circuit.until:
                done = closed(now)
                return view.evolve(circuit=done), Let(done)
            share, end = step(circuit, now)
            asked = view.evolve(asked=view.asked + 1)
            let = ceil(asked.asked * share) > ceil(view.asked * share)
            return asked, Let() if let else Hold(end + timedelta(seconds=chance))
        case "open" | "half_open":
            if not view.probing and now >= circuit.until:
                return view.evolve(probing=True), Claim(leased(circuit, view.me, now))
            if not view.probing and circuit.phase == "open":
                return view, Hold(circuit.until + (circuit.until - circuit.since) * (_SPREAD * chance))
            return view, Hold(now + timedelta(seconds=_LOOK_AGAIN * (1 + chance)))
        case _:
            assert_never(circuit.phase)


def idle(view: View, now: datetime) -> bool:
    """Is nothing lost if this worker forgets it?"""
    used = max(view.circuit.until, view.circuit.since, ended_at(view.counts, view.settings))
    return not view.probing and (now - used).total_seconds() > IDLE


def put(view: View, circuit: Circuit, revision: int | None) -> View:
    """``circuit`` is in the bucket, at ``revision``; None: there is no bucket, and it holds here."""
    if revision is not None and revision < view.revision:
        return view
    return view.evolve(circuit=circuit, revision=view.revision if revision is None else revision)


def unclaimed(view: View) -> View:
    """Somebody else was faster, or the call that should have been the probe is off."""
    return view.evolve(probing=False)


def renewed(view: View, now: datetime) -> Circuit | None:
    """The lease of this worker's probe, longer; None if it has none."""
    mine = view.probing and view.circuit.phase == "half_open" and view.circuit.holder == view.me
    return leased(view.circuit, view.me, now) if mine else None


def went_well(view: View, now: datetime) -> View | None:
    """One more call has, and that changes nothing else, as mostly: what ``over`` finds, at half its cost. Else None."""
    if view.circuit.phase != "closed":
        return None
    counts = count(view.counts, "good", now, view.settings)
    return view.evolve(counts=counts) if counts.is_well else None


def over(view: View, end: Over, now: datetime, *, chance: float) -> tuple[View, Circuit | None]:
    """A call has ended. What it changes, to be put into the bucket; it holds here at once."""
    if end.probe:
        return _probed(view, end, now, chance=chance)
    if end.what == "answered" or end.what == "nothing":  # noqa: PLR1714 - mypy narrows no tuple
        return view, None
    if view.circuit.phase != "closed" and _of_before(view.circuit, end, now):
        return view, None
    view = view.evolve(counts=count(view.counts, end.what, now, view.settings))
    cause = tripped(view.counts, view.settings) or _sooner(view, end)
    return _opened(view, cause, now, chance=chance) if cause else (view, None)


def _of_before(circuit: Circuit, end: Over, now: datetime) -> bool:
    """Did the call start before the circuit opened? Then it says nothing new."""
    return circuit.phase != "ramp" or now - timedelta(seconds=end.seconds) < circuit.since


def _sooner(view: View, end: Over) -> Cause:
    """Why a few failures in a row are enough already."""
    if view.circuit.phase == "ramp" and view.counts.streak >= RAMP_STREAK:
        return "streak"
    return "attempts" if end.last_but_one and view.counts.streak >= LAST_ATTEMPT_STREAK else ""


def _probed(view: View, end: Over, now: datetime, *, chance: float) -> tuple[View, Circuit | None]:
    held = renewed(view, now) is not None
    view = view.evolve(probing=False)
    if not held:
        return view, None  # the lease ran out: it is another's by now, or will be
    match end.what:
        case "nothing":
            new = undecided(view.circuit, now)
        case "failed":
            return _opened(view, "", now, chance=chance)
        case "slow" if view.circuit.cause == "slow":
            return _opened(view, "", now, chance=chance)
        case "good" | "slow" | "answered":
            new = ramped(view.circuit, now)
        case _:
            assert_never(end.what)
    return view.evolve(circuit=new, counts=Counts(), asked=0), new


def _opened(view: View, cause: Cause, now: datetime, *, chance: float) -> tuple[View, Circuit]:
    new = opened(view.circuit, cause, now, chance=chance, settings=view.settings, longest=view.longest)
    return view.evolve(circuit=new), new


def see(view: View, circuit: Circuit, revision: int) -> View:
    """What is in the bucket. Older news changes nothing."""
    if revision <= view.revision:
        return view
    turned = circuit.phase != view.circuit.phase
    fresh = turned and circuit.phase in ("ramp", "closed")
    return view.evolve(
        circuit=circuit,
        revision=revision,
        counts=Counts() if turned else view.counts,
        asked=0 if fresh else view.asked,
    )


def again(view: View, refused: Circuit, now: datetime, *, chance: float) -> Circuit | None:
    """What to put after ``refused`` was, because the bucket had moved on to ``view``; None: others have settled it.

    Not for what came of a probe: if that is refused, the lease was gone.
    """
    if refused.phase != "open" or view.circuit.phase not in ("closed", "ramp"):
        return None
    return opened(view.circuit, refused.cause, now, chance=chance, settings=view.settings, longest=view.longest)
