"""Pure: a model call as its journal tells it: which of the agent's models its attempts asked, and which it has left."""

from __future__ import annotations

from typing import Final

from callboard.actors.state import Call, RunState
from callboard.bus.messages import ModelFailed, ModelRequested

_NOBODY: Final = frozenset[int]()


def requested(
    state: RunState, known: Call | None, event: ModelRequested, *, owner: str, sequence: int, again: bool
) -> Call:
    """The call once its intent is written. ``again``: it was written before, by the same owner."""
    asked, left, barred = ((), _NOBODY, _NOBODY) if known is None else (known.asked, known.left, known.barred)
    if put_off(state):  # what came before does not count
        asked, left = (), _NOBODY
    elif again:
        asked = asked[:-1]
    return Call(
        call=event.call, kind="model", status="open", owner=owner, sequence=sequence, attempt=event.attempt,
        name=event.model, asked=(*asked, event.entry), left=left, barred=barred, purpose=event.purpose,
    )  # fmt: skip


def begun(state: RunState, event: ModelRequested) -> RunState:
    """With what the next turn's request is compared with. The one that wraps up is like no other."""
    if event.prefix is None or event.purpose != "turn" or event.wrap_up:
        return state
    return state.evolve(prefix=event.prefix)


def failed(call: Call, event: ModelFailed) -> Call:
    """The call once an attempt of it has failed."""
    last = call.asked[-1:]
    return call.evolve(
        status="failed",
        problem=event.problem,
        retry_at=event.retry_at,
        left=call.left.union(last) if event.left == "for_now" else call.left,
        barred=call.barred.union(last) if event.left == "for_good" else call.barred,
    )


def put_off(state: RunState) -> bool:
    """Has a guard put off the next model call?"""
    return state.denied is not None and state.denied.retry_at is not None
