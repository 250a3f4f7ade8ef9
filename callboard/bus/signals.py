"""Pure: what others than the owner append to a journal: signals, which count, and information, which does not."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from callboard.bus.values import Amount, Content, Message, Outcome, Problem, Token, Usage


# ---- signals: anybody appends them --------------------------------------------------------------------------------
class RunKilled(Message):
    """Terminal: somebody ended the run. ``parent`` names the run whose end took this one with it, ``guard`` a guard."""

    type: Literal["run.killed"] = "run.killed"
    reason: str = ""
    by: str = ""
    parent: Token | None = None
    guard: str = ""


class RunReleased(Message):
    """The owner's task is gone, or the owner hands the run over: it counts as a suspension at its own sequence."""

    type: Literal["run.released"] = "run.released"
    reason: str = ""


class RunSteered(Message):
    """A note that the agent reads before its next turn. ``guard``: it is a guard's nudge, no person's word."""

    type: Literal["run.steered"] = "run.steered"
    text: str
    by: str = ""
    guard: str = ""


class RunPaused(Message):
    """No effect of the run starts until ``run.resumed`` with the same ``name``, or until the instant ``until``.

    ``parent`` is set if it is the pause of a run above, which the dispatcher hands down.
    """

    type: Literal["run.paused"] = "run.paused"
    name: Token
    reason: str = ""
    by: str = ""
    guard: str = ""
    until: AwareDatetime | None = None
    parent: Token | None = None


class RunResumed(Message):
    """The pause called ``name`` is over; with ``parent`` one that came from above, for ever."""

    type: Literal["run.resumed"] = "run.resumed"
    name: Token
    by: str = ""
    parent: Token | None = None


class BudgetRaised(Message):
    """The run may use so much more."""

    type: Literal["budget.raised"] = "budget.raised"
    more: Amount
    by: str = ""


class ChildFinished(Message):
    """A child is over. ``spent`` is what it used, its own children included."""

    type: Literal["child.finished"] = "child.finished"
    child: Token
    outcome: Outcome
    result: Content = Content()
    problem: Problem | None = None
    spent: Amount = Amount()


class TimerFired(Message):
    """A durable timer is due."""

    type: Literal["timer.fired"] = "timer.fired"
    timer: Token


class SignalReceived(Message):
    """A named value from outside (an approval, an answer). The first one of a name wins."""

    type: Literal["signal.received"] = "signal.received"
    name: Token
    value: JsonValue = None
    by: str = ""


class ToolResolved(Message):
    """Somebody (a person, the tool's ``verify`` hook) says what became of a call in doubt."""

    type: Literal["tool.resolved"] = "tool.resolved"
    call: str
    decision: Literal["done", "retry", "fail"]
    value: JsonValue = None
    by: str = ""


# ---- information: changes nothing ---------------------------------------------------------------------------------
class ToolLateResult(Message):
    """Information: a result that came after the terminal."""

    type: Literal["tool.late_result"] = "tool.late_result"
    call: str
    result: Content = Content()
    problem: Problem | None = None


class ModelLateUsage(Message):
    """Information: what a model call had used when the run's end cut it off."""

    type: Literal["model.late_usage"] = "model.late_usage"
    call: str
    attempt: int = 1
    usage: Usage = Usage()


class RunSettled(Message):
    """Information: the owner has stopped everything of a killed run; ``running`` names what it could not stop."""

    type: Literal["run.settled"] = "run.settled"
    running: tuple[str, ...] = ()


class UnknownEvent(BaseModel):
    """An event of a newer version: kept, and ignored by the fold."""

    model_config = ConfigDict(frozen=True, extra="allow")
    type: str
