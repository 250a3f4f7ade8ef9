"""Pure: what a model need not read any more when a call does not fit into its context window.

In this order: old results are cleared, reads that were repeated are dropped, old turns are summed up. What is newest
stays whole as long as possible. The system prompt, the task, people's notes and the calls of the last turn stay in any
case; results of the last turn are cleared when nothing else helps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from pydantic import JsonValue

from callboard.actors.commands import Compaction
from callboard.actors.load import UNSEEN, Load, Piece, load_of, most_tokens_of, tokens_of
from callboard.actors.state import RunState
from callboard.actors.summaries import SYSTEM
from callboard.bus.messages import Content, ContextRelieved
from callboard.config.spec import AgentSpec, ModelChoice

_SPARE: Final = 1.02
_TARGET: Final = 0.6
"""How full a window is after a relief: with each one the prompt cache starts anew, so they must be rare."""
_RECENT: Final = 0.5
"""The share of that for the newest turns, which are not summed up."""
_PROGRESS: Final = 0.9
"""A request that was refused as too large must become at least so small."""
_WORTH: Final = 0.1
"""A summary must save at least such a share of the window: it costs a call."""
_SUMMARY: Final = 0.2
"""The share of the window that a summary may have."""
_SHORTEST, _LONGEST = 400, 16_000
_ROUNDED: Final = 2
"""Two ways of adding up the same may differ by so many tokens."""
_REFUSED: Final = 2
"""How often a call that was refused as too large is made smaller."""


@dataclass(frozen=True, slots=True)
class Full:
    """Nothing is left that the model need not read, and these are too many ``tokens`` for it."""

    tokens: int
    choice: ModelChoice

    @property
    def message(self) -> str:
        """Why the run cannot go on."""
        window = "" if self.choice.context is None else f" of {self.choice.context:,} tokens"
        return (
            f"the next request has {self.tokens:,} tokens: it does not fit into the window{window} of "
            f"{self.choice.label!r}, and nothing is left to leave out"
        )

    @property
    def hint(self) -> str:
        """What to do."""
        return "take a model with a larger window, or give the agent a shorter system prompt, task, or results"


@dataclass(frozen=True, slots=True)
class _Goal:
    """A request may have ``most`` tokens; once it is made smaller, it is made as small as the ``target``."""

    most: int
    target: int


def room(choice: ModelChoice) -> int | None:
    """Tokens that a request may have, beside the answer; None: nobody knows."""
    return None if choice.context is None else int((choice.context - choice.max_output) / _SPARE)


def summary_bytes(choice: ModelChoice) -> int:
    """How long a summary may be that this model reads."""
    most = room(choice)
    return _LONGEST if most is None else min(_LONGEST, max(_SHORTEST, int(most * _SUMMARY / UNSEEN)))


def fits(state: RunState, spec: AgentSpec, choice: ModelChoice, *, run: str) -> bool:
    """Does the next request fit into the window of ``choice``, as far as anybody knows?"""
    most = room(choice)
    if most is None or most_tokens_of(state, spec, choice, run=run) <= most:
        return True
    return tokens_of(state, spec, choice, run=run) <= most


def relief_for(
    state: RunState, spec: AgentSpec, choice: ModelChoice, *, call: str, run: str, summarise: bool
) -> ContextRelieved | Compaction | Full | None:
    """What must be done before ``choice`` can be asked; None: nothing. ``summarise``: can a summary be had?"""
    if not state.relief.overflowed and fits(state, spec, choice, run=run):
        return None
    load = load_of(state, spec, choice, run=run)
    before, goal = load.tokens, _goal(state, choice, load.tokens)
    recent = _recent(load, goal)
    cleared = _clear(load, (piece for piece in load.pieces if piece.group < recent), goal.target)
    repeated = _drop_repeated(load, goal)
    if summarise and load.tokens > goal.target and (through := _summed_up(load, choice, goal, recent)):
        return Compaction(call, through, choice)
    cleared += _clear_more(load, goal)
    if load.tokens > goal.most:
        return Full(load.tokens, choice)
    return _event(call, choice, before, load, cleared=cleared, repeated=repeated)


def compacted(
    state: RunState, spec: AgentSpec, compaction: Compaction, summary: JsonValue, *, run: str
) -> ContextRelieved:
    """The relief with ``summary`` instead of the turns that it stands for, and with less beside it if need be."""
    choice = compaction.choice
    before = load_of(state, spec, choice, run=run).tokens
    shorter = replace(state.relief, through=compaction.through, summary=summary)
    load, goal = load_of(state, spec, choice, run=run, relief=shorter), _goal(state, choice, before)
    repeated = _drop_repeated(load, goal)
    cleared = _clear_more(load, goal)
    event = _event(compaction.call, choice, before, load, cleared=cleared, repeated=repeated)
    return event.model_copy(update={"through": compaction.through, "summary": Content(value=summary)})


def recoverable(state: RunState, spec: AgentSpec, choice: ModelChoice, *, call: str, run: str, wrap_up: bool) -> bool:
    """Can a call that its provider refused as too large be made smaller once more?"""
    if state.relief.overflows >= _REFUSED:
        return False
    refused = state.evolve(relief=replace(state.relief, overflowed=True))
    summarise = not wrap_up and not state.relief.unread
    return not isinstance(relief_for(refused, spec, choice, call=call, run=run, summarise=summarise), Full)


def summary_room(state: RunState, spec: AgentSpec, choice: ModelChoice, compaction: Compaction, *, run: str) -> int:
    """How many bytes of a record ``choice`` may be given to sum up."""
    most = room(choice)
    if most is None:  # the least that is known to be read: half of what does not fit elsewhere
        most = load_of(state, spec, compaction.choice, run=run).tokens // 2
    return max(_SHORTEST, int(most / UNSEEN) - len(SYSTEM))


def _goal(state: RunState, choice: ModelChoice, before: int) -> _Goal:
    most = room(choice)
    if state.relief.overflowed or most is None:  # the provider knows better: half of what it refused
        known = before if most is None else min(before, most)
        return _Goal(int(known * _PROGRESS), min(before // 2, int(known * _TARGET)))
    return _Goal(most - _ROUNDED, int(most * _TARGET))


def _recent(load: Load, goal: _Goal) -> int:
    """The first of the newest groups that are not touched as long as possible: the last one in any case."""
    first = max((piece.group for piece in load.pieces), default=0)
    sizes = dict[int, float]()
    for piece in load.pieces:
        sizes[piece.group] = sizes.get(piece.group, 0.0) + piece.tokens
    left = goal.target * _RECENT - sizes.get(first, 0.0)
    while first > 1 and (left := left - sizes.get(first - 1, 0.0)) >= 0:
        first -= 1
    return first


def _clear(load: Load, pieces: Iterable[Piece], target: int) -> tuple[str, ...]:
    """Clear results, the oldest first, until ``target`` is reached. Returns their calls."""
    cleared: list[str] = []
    left = load.tokens - target
    for piece in pieces:
        if left <= 0:
            break
        if piece.call and piece.stub < piece.size:
            left -= round((piece.size - piece.stub) * piece.rate)
            cleared.append(piece.call)
            piece.size, piece.call, piece.read = piece.stub, "", ""
    return tuple(cleared)


def _clear_more(load: Load, goal: _Goal) -> tuple[str, ...]:
    """If it does not fit yet: newer results too, and those of the last turn at the very last."""
    if load.tokens <= goal.most:
        return ()
    last = max((piece.group for piece in load.pieces), default=0)
    cleared = _clear(load, (piece for piece in load.pieces if piece.group < last), goal.target)
    return cleared + _clear(load, load.pieces, goal.most)


def _drop_repeated(load: Load, goal: _Goal) -> tuple[str, ...]:
    """Clear results of reads that were made again later."""
    last = {piece.read: piece for piece in load.pieces}
    return _clear(load, (piece for piece in load.pieces if piece.read and last[piece.read] is not piece), goal.target)


def _summed_up(load: Load, choice: ModelChoice, goal: _Goal, recent: int) -> str:
    """The last call whose turn a summary would stand for; ``""``: it is not worth it."""
    old = [piece for piece in load.pieces if piece.group < recent]
    gain = sum(piece.tokens for piece in old if not piece.note) - summary_bytes(choice) * UNSEEN
    if gain <= (0 if load.tokens > goal.most else goal.most * _WORTH):
        return ""
    return next((piece.turn for piece in reversed(old) if piece.turn), "")


def _event(
    call: str, choice: ModelChoice, before: int, load: Load, *, cleared: tuple[str, ...], repeated: tuple[str, ...]
) -> ContextRelieved:
    """Without the note of a last turn: it stands behind the history, and is counted when it does."""
    after = max(1, load.tokens - load.last_note)
    return ContextRelieved(
        call=call, window=choice.context or 0, before=before, after=after, cleared=cleared, repeated=repeated
    )
