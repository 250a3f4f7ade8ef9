"""Pure: how many tokens a run's next request has, message by message, as far as its journal shows.

What the last call used counts all that the model has read. What has come since is counted as its vocabulary says, if it
is known, else a byte counts half a token.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf
from typing import Final, TypeAlias

from callboard.actors.conversation import as_text, first_told, stub_of, told, told_before
from callboard.actors.relief import Relief
from callboard.actors.state import RunState
from callboard.bus.messages import Content, ModelResponded, OutputRejected, RunSteered
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.models.port import AssistantTurn, ChatMessage, ToolOutcome
from callboard.models.tokens import BYTES, TokenCounter, message_size, tool_size
from callboard.models.vocabulary import counter_of

UNSEEN: Final = BYTES.most
"""Tokens for a byte that no call has shown yet."""
_ANOTHER: Final = 1.25
"""Another model may cut the same text into so many more tokens."""
_WRAP_UP: Final = 160
"""Bytes of what a last turn is told, at most."""
Turn: TypeAlias = ModelResponded | RunSteered | OutputRejected


@dataclass(slots=True)
class Piece:
    """A message. ``group``: the turn that it belongs to, with those that it went on from; 0: before the first.

    ``size`` is in units of what counts its tokens; ``rate``: tokens for one of them. ``turn`` is the call of that turn,
    empty for notes. ``call``: that of a result which can be cleared, which leaves ``stub`` units; ``read``: what it
    read, if calling it again has no effect. ``note``: a note of a person.
    """

    group: int
    size: int
    rate: float
    call: str = ""
    stub: int = 0
    read: str = ""
    turn: str = ""
    note: bool = False

    @property
    def tokens(self) -> float:
        """As estimated."""
        return self.size * self.rate


@dataclass(slots=True)
class Load:
    """What a request has: the ``pieces`` of the history in their order, and ``fixed`` tokens beside them."""

    fixed: float
    pieces: list[Piece]
    last_note: int
    """Tokens of the note that says that this turn is the last one."""

    @property
    def tokens(self) -> int:
        """Of all of it."""
        return ceil(self.fixed + sum(piece.tokens for piece in self.pieces)) + self.last_note


@dataclass(frozen=True, slots=True)
class _Seen:
    """Somebody counted ``tokens`` for all before the turn at ``border``, and its answer. ``doubt``: times so many."""

    border: int
    tokens: int
    doubt: float = 1.0


def most_tokens_of(state: RunState, spec: AgentSpec, choice: ModelChoice, *, run: str) -> float:
    """No fewer tokens than the next request has, without a look at what was counted: cheap however long the run is."""
    counter = counter_of(choice)
    seen = _seen(state, choice, counter)
    if seen is None:
        return inf
    new = sum(message_size(message, counter) for message in _new(state, spec, run, seen.border))
    return ceil(seen.tokens * seen.doubt) + ceil(counter.most * new) + _last_note(state)


def tokens_of(state: RunState, spec: AgentSpec, choice: ModelChoice, *, run: str) -> int:
    """The tokens of the next request; cheap, unless another model answered last."""
    counter = counter_of(choice)
    seen = _seen(state, choice, counter)
    if seen is None or seen.doubt != 1.0:
        return load_of(state, spec, choice, run=run).tokens
    new = sum(message_size(message, counter) for message in _new(state, spec, run, seen.border))
    return seen.tokens + ceil(counter.most * new) + _last_note(state)


def load_of(state: RunState, spec: AgentSpec, choice: ModelChoice, *, run: str, relief: Relief | None = None) -> Load:
    """The next request in its pieces, as it would be with another ``relief``."""
    counter, less = counter_of(choice), state.relief if relief is None else relief
    seen = _seen(state, choice, counter)
    rate = _rate(state, spec, run, seen=seen, counter=counter)
    border = -1 if seen is None else seen.border
    before = [message_size(message, counter) for message in told_before(state, less)]
    summary = (rate if relief is None else counter.most) * sum(before[:1])
    fixed = rate * (_fixed(state, spec, counter) + sum(before[1:])) + summary
    pieces = _pieces(state, less, spec, run, rate=rate, border=border, counter=counter)
    return Load(fixed, list(pieces), _last_note(state))


def _pieces(
    state: RunState, relief: Relief, spec: AgentSpec, run: str, *, rate: float, border: int, counter: TokenCounter
) -> Iterator[Piece]:
    start, group, goes_on = first_told(state, relief), 0, False
    for at, turn in enumerate(state.turns[start:], start):
        if isinstance(turn, ModelResponded):
            group, goes_on = group + (not goes_on), turn.stop == "pause"
        for message in told(state, turn, run=run, relief=relief, tools=spec.tools):
            seen = at < border or (at == border and isinstance(message, AssistantTurn))
            piece = Piece(group, message_size(message, counter), rate if seen else counter.most)
            if isinstance(message, ToolOutcome) and _clearable(message, relief):
                piece.call, piece.read = message.call, _read(state, turn, message)
                piece.stub = message_size(stub_of(state, message, spec.tools), counter)
            if isinstance(turn, ModelResponded):
                piece.turn = turn.call
            piece.note = isinstance(turn, RunSteered) and not turn.guard
            yield piece


def _clearable(outcome: ToolOutcome, relief: Relief) -> bool:
    return not outcome.is_error and outcome.call not in relief.cleared and outcome.call not in relief.repeated


def _read(state: RunState, turn: Turn, outcome: ToolOutcome) -> str:
    """The same for the same call of a tool without effects; empty for all others."""
    call = state.calls.get(outcome.call)
    asked = {} if not isinstance(turn, ModelResponded) else {each.id: each for each in turn.tool_calls}
    if call is None or call.effect != "pure" or outcome.call not in asked:
        return ""
    return f"{call.name} {json.dumps(asked[outcome.call].arguments, sort_keys=True)}"


def _seen(state: RunState, choice: ModelChoice, counter: TokenCounter) -> _Seen | None:
    """What was counted last; None: nothing was, or another model did, and its vocabulary is known."""
    if state.relief.after:
        return _Seen(state.relief.turns, state.relief.after)
    for at in range(len(state.turns) - 1, -1, -1):
        turn = state.turns[at]
        if isinstance(turn, ModelResponded):
            usage = turn.usage
            tokens = usage.input_tokens + usage.cached_tokens + usage.written_tokens + usage.output_tokens
            same = state.calls[turn.call].name == choice.label
            if not tokens or (not same and counter is not BYTES):
                return None
            return _Seen(at, tokens, 1.0 if same else _ANOTHER)
    return None


def _rate(state: RunState, spec: AgentSpec, run: str, *, seen: _Seen | None, counter: TokenCounter) -> float:
    """Tokens for a unit of what was counted: what the run itself showed."""
    if seen is None:
        return counter.most
    marked = _pieces(state, state.relief, spec, run, rate=0.0, border=seen.border, counter=counter)
    size = _fixed(state, spec, counter)
    size += sum(message_size(message, counter) for message in told_before(state, state.relief))
    size += sum(piece.size for piece in marked if not piece.rate)
    shown = seen.tokens / max(1, size)
    return shown if seen.doubt == 1.0 else min(shown * seen.doubt, max(counter.most, shown))


def _new(state: RunState, spec: AgentSpec, run: str, border: int) -> Iterator[ChatMessage]:
    """What has come since it was counted."""
    for turn in state.turns[border:]:
        for message in told(state, turn, run=run, relief=state.relief, tools=spec.tools):
            if not isinstance(message, AssistantTurn):
                yield message


def _fixed(state: RunState, spec: AgentSpec, counter: TokenCounter) -> int:
    """The units of what stands before the history: tools, system prompt, task."""
    task = state.created.input if state.created is not None else Content()
    given = counter.text(as_text(task.value)) if task.blob is None else counter.unread(task.blob.size)
    schema = 0 if spec.output is None else counter.json(spec.output)
    return given + counter.text(spec.system) + schema + sum(tool_size(tool, counter) for tool in spec.tools)


def _last_note(state: RunState) -> int:
    denied = state.denied
    if denied is None or not denied.wrap_up:
        return 0
    return ceil(UNSEEN * (len(denied.problem.message.encode("utf-8", "replace")) + _WRAP_UP))
