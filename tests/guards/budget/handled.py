"""Pure: journals of runs as an owner with the budget's gate writes them, with everything that may come in between.

``gated=False`` lets every call start, as a worker does that does not ask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from callboard.actors.accounts import ZERO, Tally, slice_tally, tally
from callboard.actors.allowance import sliced
from callboard.actors.fold import EMPTY, fold
from callboard.actors.gate import Ask
from callboard.actors.state import RunState
from callboard.bus.messages import (
    Amount,
    BudgetRaised,
    ChildFinished,
    ChildSpawned,
    Event,
    GuardDenied,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
    Record,
    RunClaimed,
    RunCreated,
    RunFailed,
    RunSteered,
    ToolRequested,
    ToolReturned,
    Usage,
)
from callboard.bus.ports import Stored
from callboard.config.spec import AgentSpec
from callboard.guards.budget.core import over
from tests.guards.budget.asks import KEY, request_of, state_of
from tests.support.journals import T0, at

PROBLEM = Problem(kind="budget", message="no more")
REQUEST: Any = request_of(state_of())


@dataclass
class Handled:
    """A run, step by step."""

    spec: AgentSpec
    chance: Random
    gated: bool = True
    entries: list[Stored] = field(default_factory=list[Stored])
    state: RunState = EMPTY
    turns: int = 0
    calls: int = 0

    def live(self, steps: int) -> tuple[Stored, ...]:
        """At most so many steps, or to its end."""
        self.write(RunCreated(agent="a", at=T0, spec=self.spec.model_dump(mode="json")), RunClaimed(task=1))
        for _ in range(steps):
            if self.state.terminal is None:
                self.chance.choice((self.turn, self.turn, self.batch, self.spawn, self.crash))()
                self.noise()
        return tuple(self.entries)

    def write(self, *events: Event, signal: bool = False) -> None:
        sequence = self.state.sequence + 1
        owner = "" if signal else f"o{max(1, self.state.claims + any(isinstance(each, RunClaimed) for each in events))}"
        record = Record(id=f"i{sequence}", owner=owner, events=events)
        self.entries.append(Stored(sequence, record, at=at(sequence)))
        self.state = fold(self.state, sequence, record)

    def noise(self) -> None:
        """What others write, at any time: also between a grant and its intent."""
        if self.gated and self.chance.random() < 0.15:
            self.write(BudgetRaised(more=Amount(usd_micros=self.chance.randrange(50), tool_calls=1)), signal=True)
        if self.chance.random() < 0.15:
            self.write(RunSteered(text="go on", guard="budget"), signal=True)
        for child in self.state.unfinished:
            if self.chance.random() < 0.4:
                held = slice_tally(self.state.children[child].budget)
                spent = Tally(*(self.chance.randint(0, each) for each in held)).amount()
                self.write(ChildFinished(child=child, outcome="completed", spent=spent), signal=True)

    def granted(self, ask: Ask, live: Tally = ZERO, *, reserved: Amount) -> bool:
        return not self.gated or over(ask, reserved, live) is None

    def ask(self, call: str, attempt: int, *, wrap_up: bool = False, tool: bool = False) -> Ask:
        request = None if tool else REQUEST
        kind = "tool" if tool else "model"
        return Ask(KEY, self.spec, self.state, kind, call, attempt, "x", request=request, wrap_up=wrap_up)

    def turn(self, attempt: int = 1) -> None:
        call = f"m{self.turns + 1}"
        known = self.state.calls.get(call)
        attempt = attempt if known is None else known.attempt + 1
        wrap_up = self.state.denied is not None
        tokens = self.chance.randrange(40)
        reserved = Amount(usd_micros=tokens * 2, input_tokens=tokens, output_tokens=tokens // 2, model_calls=1)
        if not self.granted(self.ask(call, attempt, wrap_up=wrap_up), reserved=reserved):
            if wrap_up:
                self.write(RunFailed(problem=PROBLEM, guard="budget"))
            else:
                self.write(GuardDenied(guard="budget", call=call, problem=PROBLEM, wrap_up=True))
            return
        self.noise()
        intent = ModelRequested(call=call, attempt=attempt, reserved=reserved, wrap_up=wrap_up)
        for _ in range(self.chance.choice((1, 1, 2))):  # once more: its window was missed
            self.write(intent)
        self.answer(call, attempt, reserved, wrap_up=wrap_up)

    def answer(self, call: str, attempt: int, reserved: Amount, *, wrap_up: bool) -> None:
        part = 1.0 if not self.gated else self.chance.random()
        usage = Usage(
            input_tokens=int(reserved.input_tokens * part),
            output_tokens=int(reserved.output_tokens * part),
            cost_usd_micros=int(reserved.usd_micros * part),
        )
        if self.chance.random() < 0.2:
            self.write(ModelFailed(call=call, attempt=attempt, problem=PROBLEM, retry_at=T0, usage=usage))
        elif self.chance.random() < 0.15:
            self.crash()  # charged in full
        else:
            self.turns += 1
            self.write(ModelResponded(call=call, usage=usage))
            if wrap_up and self.gated:
                self.write(RunFailed(problem=PROBLEM, guard="budget"))

    def batch(self) -> None:
        if self.state.denied is not None and self.gated:
            return
        live, granted = ZERO, []
        for _ in range(self.chance.randint(1, 4)):
            self.calls += 1
            call = f"t{self.calls}"
            if self.granted(self.ask(call, 1, tool=True), live, reserved=Amount(tool_calls=1)):
                granted.append(ToolRequested(call=call, tool="x", effect="idempotent"))
                live = live.plus(tally(Amount(tool_calls=1)))
        self.noise()
        if granted:
            self.write(*granted)
        for intent in granted:
            self.write(ToolReturned(call=intent.call))

    def spawn(self) -> None:
        if self.state.denied is not None:
            return
        names = [f"c{len(self.state.children) + n}" for n in range(self.chance.randint(1, 3))]
        children = tuple(ChildSpawned(child=name, call=name, agent="b") for name in names)
        self.write(*sliced(children, self.state, self.spec.guards.budget))

    def crash(self) -> None:
        self.write(RunClaimed(task=1))
