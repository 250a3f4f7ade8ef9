"""Pure: what goes wrong in a simulated world, drawn from its seed. Most seeds have a few kinds of faults, not all."""

from __future__ import annotations

import random
from dataclasses import dataclass

_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of one world. Probabilities are for each operation; instants and durations are in virtual seconds."""

    until: float
    """Nothing new goes wrong from then on."""
    shuffled: bool
    workers: int
    dispatchers: int
    sweeps: bool
    slow: float
    """An operation takes 0.1 to 0.9 s, so that a start window may be missed."""
    lost: float
    """A request or its answer is lost: found out, tried again, or given up."""
    mute: float
    """The copy of an entry is lost on its way to a worker."""
    unacked: float
    """An acknowledgement or a heartbeat is lost."""
    early: float
    """A delivered message is delivered again although its holder lives."""
    full: float
    """The queue refuses a publisher."""
    forgetful: bool
    """Msg-Ids do not help."""
    twice: bool
    """The original task and signals are sent twice."""
    bare: bool
    """Signals come without headers, as from any NATS client."""
    crashes: tuple[int, ...]
    """The first workers die before their n-th callback."""
    freezes: tuple[tuple[int, float], ...]
    """The first workers stop before their n-th callback, for so long."""
    dispatcher_crashes: tuple[int, ...]
    outage: tuple[float, float] | None
    """The server is away: from, for how long."""
    kills: tuple[float, ...]
    drain: float | None
    """One worker is drained then."""
    steer: float | None
    lost_task: float | None
    """The queue loses a held task then; only the sweeper can help."""


def draw(rng: random.Random) -> Plan:
    """A plan."""

    def maybe(*values: float) -> float:
        return rng.choice(values) if rng.random() < _SHARE else 0.0

    def some(most: int, share: float = _SHARE) -> range:
        return range(rng.randint(1, most) if rng.random() < share else 0)

    sweeps = rng.random() < 0.2
    return Plan(
        until=rng.uniform(2.0, 5.0),
        shuffled=rng.random() < 0.8,
        workers=rng.choice((1, 2, 2, 3)),
        dispatchers=rng.choice((1, 1, 2)),
        sweeps=sweeps,
        slow=maybe(0.05, 0.15, 0.3),
        lost=maybe(0.02, 0.08),
        mute=rng.choice((0.0, 0.3, 1.0)),  # what is heard at once hides what happens to those who do not hear
        unacked=maybe(0.1, 0.4),
        early=maybe(0.1, 0.5),
        full=maybe(0.1, 0.4),
        forgetful=rng.random() < _SHARE,
        twice=rng.random() < _SHARE,
        bare=rng.random() < _SHARE,
        crashes=tuple(_moment(rng) for _ in some(3, 0.5)),
        freezes=tuple((_moment(rng), rng.choice((0.2, 0.45, 1.0, 3.0, 5.0)) * rng.uniform(0.8, 1.2)) for _ in some(2)),
        dispatcher_crashes=tuple(rng.randint(5, 150) for _ in some(2)),
        outage=(rng.uniform(0.0, 1.5), rng.uniform(0.3, 3.0)) if rng.random() < 0.15 else None,
        kills=tuple(rng.uniform(0.0, rng.choice((0.02, 0.3, 0.6, 3.0))) for _ in some(2, 0.4)),
        drain=rng.uniform(0.0, 1.0) if rng.random() < 0.15 else None,
        steer=rng.uniform(0.0, 1.0) if rng.random() < 0.15 else None,
        lost_task=rng.uniform(0.0, 1.0) if sweeps and rng.random() < 0.5 else None,
    )


def _moment(rng: random.Random) -> int:
    """Mostly while the run is carried on: a worker's first fifty callbacks start it."""
    return rng.randint(20, 60) if rng.random() < 0.3 else rng.randint(40, 320)
