"""Pure: what becomes of a model call whose attempt failed: tried again, and when; left to another model; or over."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from callboard.config.times import duration
from callboard.errors import ModelError

BASE: Final = 0.2
"""The first pause is up to so many seconds, each further one up to twice as long."""
LONGEST: Final = 30.0
"""Seconds of a pause at most, unless the provider asks for more. Another model, if there is one, is asked sooner."""
_AGAIN: Final = frozenset({"rate", "overload", "network", "truncated"})
"""The same request may succeed later. All else stays as it is: quota, key, request, size, refusal."""
_ELSEWHERE: Final = _AGAIN | {"quota", "auth", "context", "bad_request"}
"""Another model may answer where this one does not: a request is bad for one that was retired. Not what one refuses."""


@dataclass(frozen=True, slots=True)
class Next:
    """``pause``: seconds until the call goes on; None: it is over.

    ``left``: with another model. This one is asked again ``for_now`` not, until a guard puts the call off; or ``for
    good`` not. ``why`` is for people: why it goes on elsewhere or later than it would, or ends.
    """

    pause: float | None
    left: Literal["", "for_now", "for_good"] = ""
    why: str = ""


def after(
    error: ModelError, *, tries: int, attempts: int, seconds_left: float, wait: float, chance: float, others: bool
) -> Next:
    """What is next after this ``error``.

    ``tries`` of ``attempts`` were made of this model, this one included. ``seconds_left`` until the run's deadline,
    ``wait`` until the worker has room for one more retry; ``chance`` is from 0 to 1; are there ``others`` to ask? One
    that is too busy and says until when is asked as often as it takes: counted, a crowd that comes back would be lost.
    """
    if error.kind not in _AGAIN or not error.retryable:
        if others and error.kind in _ELSEWHERE:
            return Next(0.0, "for_good")
        return Next(None)
    put_off = error.kind == "rate" and error.retry_after is not None  # it is well, and says when there is room
    if tries >= attempts and (others or not put_off):
        return Next(0.0, "for_now", f"it failed {tries} times") if others else Next(None)
    asked = max(0.0, error.retry_after or 0.0)
    quiet, why = max(asked, wait), _late(asked, wait)
    beyond = bool(quiet) and quiet >= seconds_left
    if others and (asked > LONGEST or wait or beyond):
        return Next(0.0, "for_now", why)
    if beyond:
        return Next(None, why=f"{why}, and the run's deadline is before that")
    return Next(quiet + chance * min(LONGEST, BASE * 2 ** min(tries, 30) / 2), why=why)


def _late(asked: float, wait: float) -> str:
    if wait > asked:
        return f"this worker's retries of it are used up for {duration(wait)}"
    return f"it asks for {duration(asked)} of quiet" if asked else ""


def chance_of(run: str, call: str, attempt: int) -> float:
    """From 0 to 1, another for every attempt of every run, and the same whenever it is asked."""
    digest = hashlib.sha256(f"{run}/{call}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
