"""Pure: who may call next. One line for each provider's limit, with a queue for each tenant, taken in turn.

Nobody passes the one whose turn it is, however much it needs: a line with n tenants lets a call go after at most n
others for each that is in front of it in its own queue, and n for itself.

A provider counts a call when it arrives, and that may be long after it was let go: its worker is busy, its journal is
slow. So what a call takes is not earned again before it has begun: however late calls come, no more of them can come at
once than may go at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

from callboard.config.guards import RateLimit
from callboard.guards.rate.gcra import Bucket

HEARD: Final = 3.0
"""Seconds after which somebody who waits and has not asked again is gone."""
BEGIN: Final = 10.0
"""Seconds after which a call that was let go, and did not say that it begins, is taken to have begun."""
_T = TypeVar("_T")
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Want:
    """A call that wants to start: the tokens that it may need, and how many seconds it may take at most.

    ``reply`` is where to tell it. ``away``: nobody waits for the answer for so many seconds, since the run was put
    off. It keeps its place meanwhile, and its turn if that comes.
    """

    id: str
    tenant: str
    input_tokens: int
    output_tokens: int
    lease: float
    reply: str = ""
    away: float = 0.0

    def until(self, now: float) -> float:
        """When it is gone if it is not heard of again: as one that waits."""
        return now + HEARD + self.away


@dataclass(frozen=True, slots=True)
class Line:
    """The state of one limit. Instants are seconds of a monotonic clock.

    ``held`` has the calls under way, each with the instant at which its permit runs out, and ``coming`` those of them
    that have not begun, each with the instant from which it counts as begun; ``queues`` has those that wait, each with
    the instant at which it is forgotten. The first tenant's turn is next.
    """

    limit: RateLimit
    requests: Bucket | None = None
    inputs: Bucket | None = None
    outputs: Bucket | None = None
    frozen: float = -inf
    held: Mapping[str, tuple[Want, float]] = field(default_factory=lambda: _NONE)
    coming: Mapping[str, float] = field(default_factory=lambda: _NONE)
    queues: Mapping[str, tuple[tuple[Want, float], ...]] = field(default_factory=lambda: _NONE)

    @classmethod
    def of(cls, limit: RateLimit) -> Self:
        """A line on which nothing has happened."""
        return cls(limit, _bucket(limit.requests), _bucket(limit.input_tokens), _bucket(limit.output_tokens))

    def wait(self, want: Want, now: float) -> float:
        """Seconds until ``want`` may start if it is the next; after it for a permit when all are taken."""
        costs = ((self.requests, 1), (self.inputs, want.input_tokens), (self.outputs, want.output_tokens))
        waits = [bucket.wait(cost, now) for bucket, cost in costs if bucket is not None]
        if self.limit.concurrency is not None and len(self.held) >= self.limit.concurrency:
            waits.append(min(until for _, until in self.held.values()) - now)
        return max(0.0, self.frozen - now, *waits)


def join(line: Line, want: Want, now: float) -> Line:
    """``want`` waits, or goes on waiting. One that was let go is back, or goes away."""
    if want.id in line.held:
        return _let(line, want, now, back=want.until(now))
    mine = line.queues.get(want.tenant, ())
    place = next((at for at, (other, _) in enumerate(mine) if other.id == want.id), len(mine))
    queue = (*mine[:place], (want, want.until(now)), *mine[place + 1 :])
    return replace(line, queues={**line.queues, want.tenant: queue})


def next_up(line: Line, now: float) -> tuple[Line, Want | None, float]:
    """Let the next one start; None: look again in so many seconds (``inf``: nobody waits)."""
    line = _forget(line, now)
    if not line.queues:
        return line, None, inf
    tenant, ((want, until), *others) = next(iter(line.queues.items()))
    wait = line.wait(want, now)
    if wait > 0:
        return line, None, min(wait, HEARD)
    queues = {name: queue for name, queue in line.queues.items() if name != tenant}
    if others:
        queues[tenant] = tuple(others)
    line = _let(replace(line, queues=queues), want, now, back=until)
    return _taken(line, want, now), want, 0.0


def begun(line: Line, want: Want, now: float) -> Line:
    """A call is on its way to the provider, also one that this line has not let go, or so long ago."""
    line = _held_back(line, now)
    if want.id not in line.coming:
        line = _taken(_let(leave(line, want.id), want, now, back=now), want, now)
    return replace(line, coming=_without(line.coming, want.id))


def leave(line: Line, want: str) -> Line:
    """It waits no more."""
    left = {name: tuple(each for each in queue if each[0].id != want) for name, queue in line.queues.items()}
    return replace(line, queues={name: queue for name, queue in left.items() if queue})


def ended(line: Line, want: str, now: float, *, inputs: int | None, outputs: int | None, started: bool) -> Line:
    """A call is over. None: nobody knows how many tokens it used, so it is taken to have used what it might."""
    if want not in line.held:
        return leave(line, want)
    line = _held_back(line, now)
    was, _ = line.held[want]
    if not started:
        inputs = outputs = 0
    return replace(
        line,
        requests=_corrected(line.requests, 1, None if started else 0),
        inputs=_corrected(line.inputs, was.input_tokens, inputs),
        outputs=_corrected(line.outputs, was.output_tokens, outputs),
        held=_without(line.held, want),
        coming=_without(line.coming, want),
    )


def freeze(line: Line, until: float) -> Line:
    """The provider wants to hear nothing until then."""
    return replace(line, frozen=max(line.frozen, until))


def relimited(line: Line, limit: RateLimit) -> Line:
    """``line`` with other limits; what was taken stays taken."""
    if limit == line.limit:
        return line
    return replace(
        line,
        limit=limit,
        requests=_resized(line.requests, limit.requests),
        inputs=_resized(line.inputs, limit.input_tokens),
        outputs=_resized(line.outputs, limit.output_tokens),
    )


def _forget(line: Line, now: float) -> Line:
    queues = {
        name: kept
        for name, queue in line.queues.items()
        if (kept := tuple((want, until) for want, until in queue if until > now))
    }
    line = _held_back(replace(line, queues=queues), now)
    for want, until in tuple(line.held.values()):
        if until <= now and want.away:  # it never came back: nothing was started
            line = ended(line, want.id, now, inputs=None, outputs=None, started=False)
    held = {name: (want, until) for name, (want, until) in line.held.items() if until > now}
    return replace(line, held=held, coming={name: until for name, until in line.coming.items() if name in held})


def _let(line: Line, want: Want, now: float, *, back: float) -> Line:
    """``want`` may begin: at once, or if it is away when it is ``back``, until then."""
    until, begins = (back, back) if want.away else (now + want.lease, now + BEGIN)
    return replace(line, held={**line.held, want.id: (want, until)}, coming={**line.coming, want.id: begins})


def _held_back(line: Line, now: float) -> Line:
    """What the calls took that have not begun by ``now`` is not earned before; those that never will have begun."""
    for at in sorted({*(until for until in line.coming.values() if until < now), now}) if line.coming else ():
        wants = [line.held[name][0] for name in line.coming]
        line = replace(
            line,
            requests=_hold(line.requests, [1] * len(wants), at),
            inputs=_hold(line.inputs, [want.input_tokens for want in wants], at),
            outputs=_hold(line.outputs, [want.output_tokens for want in wants], at),
            coming={name: until for name, until in line.coming.items() if until > at},
        )
    return line


def _taken(line: Line, want: Want, now: float) -> Line:
    return replace(
        line,
        requests=_take(line.requests, 1, now),
        inputs=_take(line.inputs, want.input_tokens, now),
        outputs=_take(line.outputs, want.output_tokens, now),
    )


def _bucket(limit: int | None) -> Bucket | None:
    return None if limit is None else Bucket(limit)


def _resized(bucket: Bucket | None, limit: int | None) -> Bucket | None:
    return _bucket(limit) if bucket is None or limit is None else replace(bucket, limit=limit)


def _take(bucket: Bucket | None, cost: int, now: float) -> Bucket | None:
    return None if bucket is None else bucket.take(cost, now)


def _hold(bucket: Bucket | None, costs: Sequence[int], now: float) -> Bucket | None:
    return None if bucket is None else bucket.hold(costs, now)


def _without(known: Mapping[str, _T], name: str) -> Mapping[str, _T]:
    return {each: value for each, value in known.items() if each != name}


def _corrected(bucket: Bucket | None, cost: int, used: int | None) -> Bucket | None:
    if bucket is None or used is None:
        return bucket
    return bucket.correct(used - min(cost, bucket.limit))  # no more than the limit was taken, so no more comes back
