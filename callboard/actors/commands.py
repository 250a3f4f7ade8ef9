"""Pure: what an agent's run may do next, as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from callboard.actors.state import Call
from callboard.bus.messages import Content, OwnerEvent, Problem, RunCompleted, RunFailed, ToolCall, ToolRequested, Wait
from callboard.bus.values import Purpose
from callboard.config.spec import ModelChoice


@dataclass(frozen=True, slots=True)
class Compaction:
    """Turns up to that of the call ``through`` are to be summed up, so that ``choice`` can be asked for ``call``."""

    call: str
    through: str
    choice: ModelChoice


@dataclass(frozen=True, slots=True)
class CallModel:
    """Write the intent, then call the model. ``wrap_up``: the last turn. It calls no tools, and says what there is."""

    call: str
    attempt: int
    wrap_up: bool = False
    purpose: Purpose = "turn"
    compaction: Compaction | None = None
    """What a summary is for."""

    @property
    def turn(self) -> str:
        """The call of the turn that is next."""
        return self.call if self.compaction is None else self.compaction.call


@dataclass(frozen=True, slots=True)
class CallTools:
    """Write the intents in one record, then run the tools together."""

    calls: tuple[tuple[ToolCall, ToolRequested], ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Write these facts; no effect is needed for them."""

    events: tuple[OwnerEvent, ...]


@dataclass(frozen=True, slots=True)
class Verify:
    """Ask the tools' ``verify`` hooks what became of these calls in doubt."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Suspend:
    """Hold nothing until one of the groups has arrived."""

    waits: tuple[tuple[Wait, ...], ...]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Decide again at ``until``; the run keeps its worker."""

    until: datetime


@dataclass(frozen=True, slots=True)
class CheckOutput:
    """Check the last answer, whose text is that of ``parts``. ``round`` is the one that its rejection would have."""

    call: str
    parts: tuple[Content, ...]
    round: int


@dataclass(frozen=True, slots=True)
class End:
    """Write the terminal."""

    event: RunCompleted | RunFailed


Command: TypeAlias = CallModel | CallTools | Write | Verify | Suspend | Backoff | CheckOutput | End


def fail(kind: str, message: str, hint: str) -> End:
    """The typed end of a run that cannot go on."""
    return End(RunFailed(problem=Problem(kind=kind, message=message, hint=hint)))
