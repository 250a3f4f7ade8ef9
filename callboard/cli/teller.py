"""Pure: a run told in lines for people: what happened, to which step, how long it took."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from callboard.actors.decide import DEADLINE
from callboard.actors.ending import REPAIRS
from callboard.app.held import who
from callboard.app.run_event import RunEvent
from callboard.bus.messages import (
    Amount,
    BudgetRaised,
    ChildFinished,
    ChildSpawned,
    Content,
    ContextRelieved,
    GuardDenied,
    ModelFailed,
    ModelLateUsage,
    ModelRequested,
    ModelResponded,
    OutputRejected,
    Problem,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunKilled,
    RunPaused,
    RunReleased,
    RunResumed,
    RunSettled,
    RunSteered,
    RunSuspended,
    SignalReceived,
    TimerSet,
    ToolCall,
    ToolInDoubt,
    ToolLateResult,
    ToolRequested,
    ToolResolved,
    ToolReturned,
    Usage,
)
from callboard.cli import phrases
from callboard.config.times import time_of_day

SHORT: Final = 88
_ARGUMENTS: Final = 60
_MILLION: Final = 1_000_000
_OTHER_CALLS: Final = {"summary": "sums up older turns", "warm": "fills the prompt cache"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a sign with its style, a text, and how long it took (seconds)."""

    sign: str
    style: str
    text: str
    at: datetime | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A step under way."""

    label: str
    since: datetime | None


@dataclass(slots=True)
class Teller:
    """Tells one run: hand it the run's events in order. ``open`` are the steps under way, by their call."""

    agent: str = ""
    open: dict[str, Step] = field(default_factory=dict[str, Step])
    turns: int = 0
    tokens: int = 0
    cost_usd_micros: int = 0
    _created: datetime | None = None
    _claims: int = 0
    _asked: dict[str, ToolCall] = field(default_factory=dict[str, ToolCall])
    _children: dict[str, str] = field(default_factory=dict[str, str])

    def tell(self, given: RunEvent) -> Line | None:
        """The line for an event; None for one that is not worth a line."""
        line = self._work(given) or self._life(given) or self._signal(given) or self._guarded(given)
        return None if line is None else Line(line.sign, line.style, line.text, given.at, line.seconds)

    def _life(self, given: RunEvent) -> Line | None:
        match given.event:
            case RunCreated() as created:
                self.agent, self._created = created.agent, given.at
                return Line("▶", "bold", f"{created.agent}  {short(created.input.value)}")
            case RunClaimed(worker=worker):
                self._claims += 1
                self.open.clear()
                return Line("↻", "yellow", f"taken up by {worker}") if self._claims > 1 else None
            case RunSuspended(waits=waits):
                self.open.clear()
                return Line("⏸", "dim", f"waits for {phrases.waits(waits, self._children)}")
            case RunReleased(reason=reason):
                return Line("⇄", "yellow", f"released: {short(reason)}")
            case RunCompleted():
                return Line("✓", "bold green", f"{self.agent} done", seconds=self._since_created(given))
            case RunFailed(problem=problem, partial=partial):
                self.open.clear()
                hint = f" ({problem.hint})" if problem.hint else ""
                left = "" if partial is None else f"; it left a partial result: {_content(partial)}"
                text = f"{self.agent} failed: {problem.kind}: {problem.message}{hint}{left}"
                return Line("✗", "bold red", plain(text), seconds=self._since_created(given))
            case RunKilled(reason=reason):
                self.open.clear()
                text = f"killed by {who(given.event)}: {reason or 'no reason given'}"
                return Line("■", "bold magenta", plain(text), seconds=self._since_created(given))
            case RunSettled(running=running):
                still = f", still running: {', '.join(running)}" if running else ""
                return Line("·", "dim", f"the worker has stopped everything{still}")
            case _:
                return None

    def _work(self, given: RunEvent) -> Line | None:
        match given.event:
            case ModelRequested(call=call, model=model, instead=instead):
                self.open[call] = Step(f"model {model}", given.at)
                return Line("⇄", "yellow", f"goes on with {model}: {short(instead)}") if instead else None
            case ModelResponded(call=call, usage=usage, purpose=purpose) if purpose != "turn":
                told = f"model  {_OTHER_CALLS[purpose]}  {self._count(usage)} tokens"
                return Line("✓", "dim", told, seconds=self._close(call, given))
            case ModelResponded(call=call, text=text, tool_calls=calls, usage=usage):
                self.turns += 1
                tokens = self._count(usage)
                self._asked |= {call.id: call for call in calls}
                said = f"“{short(text.value)}”" if text.value else f"calls {', '.join(call.name for call in calls)}"
                return Line("✓", "green", f"model  {said}  {tokens} tokens", seconds=self._close(call, given))
            case ModelFailed(call=call, problem=problem, retry_at=retry_at, usage=usage, left=left):
                self._count(usage)
                again = ("; the next model is asked" if left else "; it is called again") if retry_at else ""
                failure = short(f"model: {problem.kind}: {problem.message}") + again
                return Line("✗", "red", failure, seconds=self._close(call, given))
            case OutputRejected(round=count, problems=problems):
                return Line("✗", "yellow", f"answer rejected ({count} of {REPAIRS}): {short(problems)}")
            case ToolRequested(call=call, tool=tool):
                self.open[call] = Step(self._label(call, tool), given.at)
            case ToolReturned(call=call, result=result, problem=problem):
                label = self.open[call].label if call in self.open else self._label(call, "")
                seconds = self._close(call, given)
                if problem is not None:
                    return _returned(label, problem, seconds)
                return Line("✓", "green", f"{label}  → {_content(result)}", seconds=seconds)
            case _:
                return None
        return None

    def _signal(self, given: RunEvent) -> Line | None:
        match given.event:
            case ToolInDoubt(call=call, policy=policy):
                self.open.pop(call, None)
                then = "somebody must say what became of it" if policy == "ask" else f"policy: {policy}"
                return Line("?", "bold yellow", f"{self._label(call, call)} is in doubt; {then}")
            case ToolResolved(call=call, decision=decision, by=by):
                return Line("!", "yellow", f"{self._label(call, call)}: {by or 'somebody'} says {decision}")
            case ToolLateResult(call=call, result=result):
                return Line("·", "dim", f"{self._label(call, call)} returned after the end: {_content(result)}")
            case TimerSet(timer=timer, at=at) if timer != DEADLINE:
                return Line("⏲", "dim", f"{timer} until {time_of_day(at)}")
            case ChildSpawned(child=child, agent=agent, input=given_input):
                self._children[child] = agent
                return Line("↳", "cyan", f"{agent}  {_content(given_input)}")
            case ChildFinished(child=child, outcome=outcome):
                style = "cyan" if outcome == "completed" else "red"
                return Line("↲", style, f"{self._children.get(child, child)} {outcome}")
            case RunSteered(text=text, guard=guard):
                said = f"nudged by guard {guard}" if guard else f"note from {plain(who(given.event))}"
                return Line("✎", "blue", f"{said}: {short(text)}")
            case SignalReceived(name=name, value=value):
                return Line("✉", "blue", f"{name} = {short(value)}")
            case _:
                return None

    def _guarded(self, given: RunEvent) -> Line | None:
        match given.event:
            case GuardDenied(guard=guard, problem=problem, retry_at=retry_at, wrap_up=wrap_up):
                then = "; one more turn, to wrap up" if wrap_up else ""
                if retry_at is not None:
                    then = f"; asked again at {time_of_day(retry_at)}"
                return Line("⊘", "bold yellow", f"denied by guard {guard}: {short(problem.message)}{then}")
            case RunPaused(reason=reason, until=until, parent=parent):
                then = "" if until is None else f" until {time_of_day(until)}"
                paused = "paused" if parent is None else "paused with its parent"
                by_whom = plain(who(given.event))
                return Line("⏸", "bold cyan", f"{paused} by {by_whom}{then}: {short(reason) or 'no reason'}")
            case RunResumed(by=by):
                return Line("▶", "cyan", f"resumed by {by or 'somebody'}")
            case BudgetRaised(more=more, by=by):
                return Line("+", "cyan", f"budget raised by {by or 'somebody'}: {amount(more)}")
            case ContextRelieved():
                return Line("⇣", "cyan", phrases.relieved(given.event))
            case ModelLateUsage(usage=usage):
                self._count(usage)
                return None
            case _:
                return None

    def _count(self, usage: Usage) -> int:
        """Add it up. Returns the tokens."""
        tokens = usage.input_tokens + usage.output_tokens + usage.cached_tokens + usage.written_tokens
        self.tokens += tokens
        self.cost_usd_micros += usage.cost_usd_micros
        return tokens

    def _close(self, call: str, given: RunEvent) -> float | None:
        step = self.open.pop(call, None)
        return None if step is None else _between(step.since, given.at)

    def _since_created(self, given: RunEvent) -> float | None:
        return _between(self._created, given.at)

    def _label(self, call: str, tool: str) -> str:
        asked = self._asked.get(call)
        if asked is None:
            return tool or call
        arguments = asked.arguments if isinstance(asked.arguments, dict) else {}
        listed = ", ".join(f"{name}={short(value, 24)}" for name, value in arguments.items())
        return f"{asked.name}({short(listed, _ARGUMENTS)})"


def amount(value: Amount) -> str:
    """What is not 0 of an amount."""
    parts = (
        (value.usd_micros, dollars(value.usd_micros)),
        (value.input_tokens, f"{value.input_tokens:,} input tokens"),
        (value.output_tokens, f"{value.output_tokens:,} output tokens"),
        (value.model_calls, f"{value.model_calls:,} model calls"),
        (value.tool_calls, f"{value.tool_calls:,} tool calls"),
    )
    return " · ".join(text for number, text in parts if number) or "nothing"


def plain(text: str) -> str:
    """``text`` without what could move a terminal's cursor or change its colours."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)


def short(value: JsonValue, width: int = SHORT) -> str:
    """A value in one line of at most ``width`` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = plain(" ".join(text[: width * 4].split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def dollars(micros: int) -> str:
    """Money for people."""
    return f"${micros / _MILLION:.4f}"


def total(turns: int, tokens: int, cost_usd_micros: int) -> str:
    """What a tree of runs used."""
    return f"{turns} {'turn' if turns == 1 else 'turns'} · {tokens:,} tokens · {dollars(cost_usd_micros)}"


def _returned(label: str, problem: Problem, seconds: float | None) -> Line:
    if problem.kind == "denied":
        return Line("⊘", "bold yellow", f"{label}  denied: {short(problem.message)}", seconds=seconds)
    return Line("✗", "red", f"{label}  {short(f'{problem.kind}: {problem.message}')}", seconds=seconds)


def _content(content: Content) -> str:
    size = f" ({content.blob.size:,} bytes)" if content.blob is not None else ""
    return short(content.value) + size


def _between(since: datetime | None, until: datetime | None) -> float | None:
    return None if since is None or until is None else max(0.0, (until - since).total_seconds())
