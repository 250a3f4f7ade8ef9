"""Pure: what a guard is. A reducer over the entries of one run's journal; the shells around it do what it says.

    class Chatty(Guard[int]):
        name = "chatty"

        def start(self, run: RunKey) -> int:
            return 0

        def observe(self, state: int, seen: Seen) -> tuple[int, Sequence[Verdict]]:
            if not isinstance(seen.event, ModelResponded):
                return state, ()
            if state < 20:
                return state + 1, ()
            return state + 1, (Verdict("kill", "it has answered 20 times"),)

The same reducer runs beside the bus (as a sidecar), in the worker (as a gate, if ``gates``) and over recorded journals
(as a back-test), and says the same everywhere.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

from pydantic import JsonValue

from callboard.bus.guard_words import Action, Missing
from callboard.bus.messages import Event
from callboard.bus.subjects import RunKey

S = TypeVar("S")
ACTIONS: Final[tuple[Action, ...]] = ("observe", "warn", "nudge", "throttle", "deny", "pause", "kill")
"""From the mildest to the strongest."""
_REASON: Final = 2_000
_DATA: Final = 65_536
_SECONDS: Final = 1e9
"""Longer than any run; what is far beyond has no instant."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of a run's journal. ``at`` is when the server stored its entry; ``place`` its place in the record.

    ``owner`` is the token of the owner who wrote it, ``""`` for a signal. In a gate, an intent that is not written yet
    has the sequence that it will have at the earliest.
    """

    run: RunKey
    sequence: int
    at: datetime
    event: Event
    owner: str = ""
    record: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a guard says. ``reason`` is for people (and, nudged or denied, for the model), one sentence or two.

    ``evidence`` are journal sequences; ``call`` is the call to ``deny`` or ``throttle``; ``seconds`` how long to
    ``throttle`` or ``pause`` (None: until somebody resumes the run); ``value`` and ``threshold`` what was compared.
    ``unread``: a ``kill`` for going on after a nudge that does not stand in the journal yet. A sidecar only says it;
    whoever says so must come to it again when the run has read the nudge (its ``run.steered`` is in the journal).
    """

    action: Action
    reason: str
    evidence: tuple[int, ...] = ()
    call: str = ""
    seconds: float | None = None
    threshold: JsonValue = None
    value: JsonValue = None
    data: JsonValue = None
    unread: bool = False

    def __post_init__(self) -> None:
        """Raises what could not be done or said. So it is raised where a guard may raise, and nowhere else."""
        if wrong := [*_wrong(self.action, self.reason, self.call, self.seconds), *_unsaid(self)]:
            raise ValueError(f"a verdict with {', '.join(wrong)}")
        reason = self.reason[:_REASON].encode(errors="replace").decode()
        object.__setattr__(self, "reason", reason)
        object.__setattr__(self, "evidence", tuple(map(int, self.evidence)))


def _wrong(action: object, reason: object, call: object, seconds: object) -> Iterable[str]:
    if action not in ACTIONS:
        yield f"the action {action!r}: it is one of {', '.join(ACTIONS)}"
    if not isinstance(reason, str):
        yield f"the reason {reason!r}: it is a text"
    if not isinstance(call, str):
        yield f"the call {call!r}: it is the id of a call"
    if seconds is not None and not (isinstance(seconds, int | float) and 0 <= seconds <= _SECONDS):
        yield f"{seconds!r} seconds: it is a number from 0 to {_SECONDS:.0f}, or None"


def _unsaid(verdict: Verdict) -> Iterable[str]:
    for name, value in (("threshold", verdict.threshold), ("value", verdict.value), ("data", verdict.data)):
        if value is not None and (problem := _no_json(value)):
            yield f"{name} that is {problem}"


def _no_json(value: object) -> str:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        return f"no JSON ({error})"
    if size > _DATA:
        return f"{size} bytes of JSON, at most {_DATA} can be said"
    return "" if json.loads(text) == value else f"no JSON ({value!r:.100})"


class Guard(ABC, Generic[S]):
    """Subclass it. ``S`` is the state of one run: immutable, or copied before it changes.

    ``name`` is the guard's on the bus. ``missing`` says what happens to runs that have it when no process runs it:
    ``open``, they go on; ``closed``, they hold before their next effects. ``gates``: also ask it in the worker, before
    an effect starts: then it can ``deny``, ``throttle`` and ``pause`` in time.
    """

    name: ClassVar[str]
    missing: ClassVar[Missing] = "open"
    gates: ClassVar[bool] = False

    @abstractmethod
    def start(self, run: RunKey) -> S:
        """The state of a run of which nothing was seen."""

    @abstractmethod
    def observe(self, state: S, seen: Seen) -> tuple[S, Sequence[Verdict]]:
        """The next state, and what there is to say. Pure: no I/O, no clock, no chance; raising ends nothing."""

    def wakes(self, event: Event) -> bool:  # noqa: ARG002 - for those that are asked at once
        """With ``gates``: is the worker to ask it once this has happened? Until then it costs a run nothing there."""
        return True

    def tick(self, state: S, now: datetime) -> tuple[S, Sequence[Verdict]]:  # noqa: ARG002 - for those that need it
        """Time has passed and nothing came. Called about once a second for every open run."""
        return state, ()


def answer_of(guard: Guard[Any], answer: object) -> tuple[Any, tuple[Verdict, ...]]:
    """What ``observe`` or ``tick`` has answered. It raises if that is not what they may answer."""
    if isinstance(answer, tuple | list):
        pair = cast("Sequence[object]", answer)
        if len(pair) == 2 and isinstance(pair[1], Iterable):  # noqa: PLR2004 - a state, and verdicts
            verdicts = tuple(cast("Iterable[object]", pair[1]))
            if all(isinstance(each, Verdict) for each in verdicts):
                return pair[0], cast("tuple[Verdict, ...]", verdicts)
    raise TypeError(f"{type(guard).__name__} answered {answer!r:.200}: it is the next state and a list of verdicts")
