"""Pure: what a worker asks before an effect starts, as Protocols and values. The guards' package has the gates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from pydantic import JsonValue

from callboard.actors.state import RunState
from callboard.bus.messages import Amount, Effect, Event, Problem, Record, Usage
from callboard.bus.subjects import RunKey
from callboard.bus.values import Purpose
from callboard.config.spec import AgentSpec
from callboard.models.port import ChatRequest

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


async def _committed() -> None:
    """Nothing is pending."""


class Ask(NamedTuple):
    """May this effect start? Asked before its intent is written, for every attempt.

    ``name`` is the tool's, the step's, or ``provider/model``; ``request`` a model call's request; ``wrap_up``: the last
    turn of a run whose budget is used up. ``state`` is the owner's view of its run; ``pending`` are the facts in it
    that are not written yet: they go before the intent, or with it. ``commit`` writes them now, for a gate that does
    something for the run which only an owner whose claim stands would undo; it raises what ends the ownership.
    """

    key: RunKey
    spec: AgentSpec
    state: RunState
    kind: Literal["model", "tool", "step"]
    call: str
    attempt: int
    name: str
    effect: Effect = "idempotent"
    arguments: JsonValue = None
    request: ChatRequest | None = None
    wrap_up: bool = False
    purpose: Purpose = "turn"
    pending: tuple[Event, ...] = ()
    commit: Callable[[], Awaitable[None]] = _committed


@dataclass(frozen=True, slots=True)
class Grant:
    """It may start. ``reserved`` is the most it may cost, for the intent."""

    reserved: Amount = Amount()

    def begin(self) -> None:
        """Its intent is written, and it starts now: told to those that need to know when. It must not block."""


GRANT: Final = Grant()
"""For a gate to which it does not matter how the effect goes: it is not told."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """It may not. A model call: asked again at ``retry_at``; else the run ends, with ``wrap_up`` after one more turn.

    A tool call: ``problem`` is what the model reads instead of a result; ``wrap_up`` as above. A step raises it.
    """

    guard: str
    problem: Problem
    retry_at: datetime | None = None
    wrap_up: bool = False


class Ending(NamedTuple):
    """How an effect that was granted went. ``seconds`` is what it took; ``usage`` a model call's, as far as known.

    ``unstarted``: nothing happened (another gate refused, the intent was not written, the run was cut off before).
    ``cancelled``: the run's end cut it off. ``error`` is the problem's kind (``model_rate``, ``timeout``), ``""`` if it
    went well; ``retry_after`` what the provider asked for, in seconds; ``limits`` the headers that spoke of its limits.
    """

    how: Literal["done", "failed", "cancelled", "unstarted"]
    seconds: float = 0.0
    usage: Usage = Usage()
    error: str = ""
    retry_after: float | None = None
    limits: Mapping[str, str] = _NONE


Answer: TypeAlias = Grant | Refusal
ANSWERS: Final = (Grant, Refusal)


class RunGate(Protocol):
    """The gates of one run in one worker. ``admit`` and ``done`` may be ``async``: they are asked through ``passage``.

    What need not wait had better not be: most effects pass at once, and pay for nothing else.
    """

    def folded(self, sequence: int, record: Record | None) -> None:
        """An entry of the run's journal, in order, each once: read at the claim, written by the owner, or by others."""
        ...

    def admit(self, ask: Ask) -> Answer | Awaitable[Answer]:
        """Grant or refuse, at once or after a wait (a pause, a rate). Cancelled while it waits: nothing is granted."""
        ...

    def done(self, ask: Ask, grant: Grant, ending: Ending) -> Awaitable[None] | None:
        """Called once for every grant but ``GRANT``, in the order of the endings, also when the run was cut off.

        What is left to wait for is not cancelled.
        """
        ...

    async def leave(self, state: RunState) -> None:
        """The task is about to be acknowledged. ``state`` is the journal's fold: over, suspended, or another owner's.

        Also for a run that was over before this worker could claim it: whoever owned it may have died on the way.
        """
        ...


class Gates(Protocol):
    """The gates of a worker."""

    def enter(self, key: RunKey) -> RunGate:
        """The gates of a run that this worker takes up."""
        ...


class NoGate:
    """Implements ``RunGate`` and ``Gates``: everything may start. For gates to inherit what they need not do."""

    __slots__ = ()

    def enter(self, key: RunKey) -> RunGate:  # noqa: ARG002 - the port's
        """Itself: it has no state."""
        return self

    def folded(self, sequence: int, record: Record | None) -> None:
        """Nobody looks."""

    def admit(self, ask: Ask) -> Answer | Awaitable[Answer]:  # noqa: ARG002 - the port's
        """Always."""
        return GRANT

    def done(self, ask: Ask, grant: Grant, ending: Ending) -> Awaitable[None] | None:
        """Nobody counts."""

    async def leave(self, state: RunState) -> None:
        """Nothing is left."""
