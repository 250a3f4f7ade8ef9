"""Pure: what a run waits for, and what its model need not read any more, in a few words for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from callboard.actors.decide import DEADLINE
from callboard.actors.state import RunState
from callboard.bus.messages import ContextRelieved, Wait

_THOUSAND: Final = 1_000


def waits_for(state: RunState) -> str:
    """What a suspended run waits for."""
    return waits(state.waits, {child: spawned.agent for child, spawned in state.children.items()})


def waits(groups: Sequence[Sequence[Wait]], children: Mapping[str, str]) -> str:
    """The waits of a suspension; ``children`` are agents by the ids of their runs."""
    words = [
        _wait(wait, children)
        for group in groups
        for wait in group
        if not (wait.kind == "timer" and wait.name == DEADLINE)
    ]
    return ", ".join(words) or "its turn"


def relieved(event: ContextRelieved) -> str:
    """What was taken out, and how much that was."""
    counts = ((event.cleared, "cleared"), (event.repeated, "dropped (read again later)"))
    parts = [f"{len(calls)} {'result' if len(calls) == 1 else 'results'} {what}" for calls, what in counts if calls]
    parts += [f"the turns up to {event.through} summed up"] if event.through else []
    return f"context relieved: {', '.join((*parts, f'{_tokens(event.before)} → {_tokens(event.after)} tokens'))}"


def _wait(wait: Wait, children: Mapping[str, str]) -> str:
    match wait.kind:
        case "child":
            return children.get(wait.name, wait.name)
        case "go":
            return f"the end of the pause {wait.name}"
        case _:
            return f"{wait.kind} {wait.name}"


def _tokens(count: int) -> str:
    return str(count) if count < 10 * _THOUSAND else f"{round(count / _THOUSAND)}k"
