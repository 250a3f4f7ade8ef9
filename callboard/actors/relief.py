"""Pure: what of a run's history its model does not read any more, as its journal tells it. The journal keeps it all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from callboard.bus.messages import ContextRelieved, ModelFailed

OVERFLOW: Final = "model_context"
"""The problem of a call that its provider refused as too large."""


@dataclass(frozen=True, slots=True)
class Relief:
    """``cleared`` and ``repeated`` are calls whose results are a reference, the latter because they were made again.

    ``summary`` tells all turns up to that of the call ``through``.
    """

    cleared: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()
    through: str = ""
    summary: JsonValue = ""
    after: int = 0
    """Tokens of all that the model reads, as estimated when it became less; 0: a provider has counted them since."""
    turns: int = 0
    """How many turns and notes there were then."""
    overflows: int = 0
    """How often the next turn's call was refused as too large."""
    overflowed: bool = False
    """Was it refused, and nothing became less since?"""
    summaries: int = 0
    """Calls for a summary that are over."""
    unread: bool = False
    """Did the last of them end without one?"""


NONE: Final = Relief()


def relieved(relief: Relief, event: ContextRelieved, turns: int) -> Relief:
    """The model reads less from here on."""
    return replace(
        relief,
        cleared=relief.cleared.union(event.cleared),
        repeated=relief.repeated.union(event.repeated),
        through=event.through or relief.through,
        summary=event.summary.value if event.through else relief.summary,
        after=event.after,
        turns=turns,
        overflowed=False,
        unread=False,
    )


def answered(relief: Relief, purpose: str) -> Relief:
    """A model has answered. A turn's usage counts what it read."""
    if purpose == "summary":
        return replace(relief, summaries=relief.summaries + 1, unread=True)
    if purpose == "turn" and (relief.after or relief.overflows):
        return replace(relief, after=0, overflows=0, overflowed=False)
    return relief


def refused(relief: Relief, event: ModelFailed, purpose: str) -> Relief:
    """A call has failed. A turn that was too large, and goes to the same model again, must become less before."""
    if purpose == "summary" and event.retry_at is None:
        return answered(relief, purpose)
    if event.problem.kind != OVERFLOW or purpose != "turn" or event.retry_at is None or event.left:
        return relief
    return replace(relief, overflows=relief.overflows + 1, overflowed=True)
