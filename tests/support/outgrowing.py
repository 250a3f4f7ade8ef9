"""Runs that outgrow their model's context window: whatever their models, tools, people and workers do to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from callboard.actors.calling import next_turn
from callboard.actors.commands import Backoff, CallModel, CallTools, Command, End, Suspend, Verify, Write
from callboard.actors.decide import decide
from callboard.actors.fold import EMPTY, fold
from callboard.actors.relieving import recoverable
from callboard.actors.requests import read, request_of
from callboard.actors.state import RunState
from callboard.bus.messages import (
    Content,
    ContextRelieved,
    GuardDenied,
    Message,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Problem,
    Record,
    RunClaimed,
    RunFailed,
    RunKilled,
    RunSteered,
    ToolCall,
    ToolInDoubt,
    ToolResolved,
    ToolReturned,
    Usage,
)
from callboard.bus.subjects import RunKey
from callboard.config.spec import AgentSpec, Limits, ModelChoice, ToolSpec
from callboard.models.port import AssistantTurn, ChatReply, ChatRequest
from callboard.models.port import Usage as Counted
from callboard.models.tokens import message_size, size_of
from callboard.testing.pairing import signature
from tests.support.journals import FREE, T0, created

KEY = RunKey("acme", "r1")
TOOLS = (
    ToolSpec(name="read", effect="pure", description="Read a file."),
    ToolSpec(name="send", effect="at_most_once", description="Send a mail."),
)
RECALL = ToolSpec(name="recall", effect="pure")
TASK = "Find out what failed, and why."
WORDS = "request failed because disk full at node retry later ok überlauf 日本 "


@dataclass
class Play:
    """One run by chance. ``sent`` is told each request that a model gets, with the state that it was made from."""

    seed: int
    sent: Callable[[RunState, ChatRequest], None]
    entries: list[Record] = field(default_factory=list)
    state: RunState = EMPTY
    calls: int = 0

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)
        self.ratio = self.dice.uniform(0.15, 0.45)
        """What the provider counts for a byte."""
        self.spec = AgentSpec(
            name="a",
            system="Be brief. " * self.dice.randint(1, 8),
            model=self._model("anthropic", self.dice.choice((1_200, 3_000, 9_000))),
            fallbacks=() if self.dice.random() < 0.6 else (self._model("openai", self.dice.choice((1_500, 6_000))),),
            summary=None if self.dice.random() < 0.5 else self._model("openai-chat", self.dice.choice((900, None))),
            tools=TOOLS if self.dice.random() < 0.5 else (*TOOLS, RECALL),
            limits=Limits(turns=self.dice.randint(4, 16)),
        )
        self.write(created(input=Content(value=TASK)), RunClaimed(task=1))

    def _model(self, provider: str, context: int | None) -> ModelChoice:
        return ModelChoice(provider=provider, name="m", max_output=200, context=context)

    def write(self, *events: Message) -> None:
        sequence = self.state.sequence + 1
        owner = "" if all(event.type in FREE for event in events) else self.state.owner or "o1"
        if any(isinstance(event, RunClaimed) for event in events):
            owner = f"o{sequence}"
        self.entries.append(Record(id=f"i{sequence}", owner=owner, events=events))
        self.state = fold(self.state, sequence, self.entries[-1])

    def run(self, steps: int = 120) -> RunState:
        """To its end, or for so many steps."""
        for _ in range(steps):
            if self.state.terminal is not None:
                break
            self.disturb()
            if self.state.terminal is None:
                self.do(decide(self.state, self.spec, T0, run=KEY))
        return self.state

    def disturb(self) -> None:
        """People and lost workers."""
        chance = self.dice.random()
        if chance < 0.05:
            self.write(RunSteered(text=f"note {self.state.sequence}: {self.text(60)}", by="ada"))
        elif chance < 0.08:
            self.write(RunSteered(text=f"nudge {self.text(200)}", guard="loop"))
        elif chance < 0.14:
            self.write(RunClaimed(task=1))
        elif chance < 0.145:
            self.write(RunKilled())

    def do(self, command: Command) -> None:
        match command:
            case Write(events):
                self.write(*events)
            case CallModel():
                self.model(command)
            case CallTools(calls):
                self.write(*(intent for _, intent in calls))
                if self.dice.random() < 0.08:
                    return
                self.write(*(self.result(intent.call) for _, intent in calls))
            case Verify() | Suspend() | Backoff():
                doubtful = next(call for call in self.state.calls.values() if call.status == "doubt")
                self.write(ToolResolved(call=doubtful.call, decision="done", value="sent"))
            case End(event):
                self.write(event)

    def model(self, command: CallModel) -> None:
        entry = 0 if command.purpose == "turn" or self.spec.summary is None else len(self.spec.models)
        known = self.state.calls.get(command.call)
        while known is not None and entry in known.left | known.barred:
            entry = (entry + 1) % len(self.spec.every_model)
        choice = self.spec.every_model[entry]
        request = request_of(self.state, command, choice, spec=self.spec, given=TASK, run=KEY.run, timeout=9.0)
        self.sent(self.state, request)
        self.calls += 1
        intent = ModelRequested(call=command.call, attempt=command.attempt, model=choice.label, entry=entry,
            purpose=command.purpose, wrap_up=command.wrap_up,
        )  # fmt: skip
        self.write(intent)
        chance = self.dice.random()
        if chance < 0.05:
            return  # the worker is lost
        if chance < 0.12:
            self.write(self.failed(command, choice))
        elif chance < 0.13 and command.purpose == "turn" and not command.wrap_up:
            problem = Problem(kind="budget", message="the run has used $2")
            self.write(ModelFailed(call=command.call, attempt=command.attempt, problem=problem, retry_at=T0))
            self.write(GuardDenied(guard="budget", call=next_turn(self.state), problem=problem, wrap_up=True))
        else:
            self.answer(command, request)

    def failed(self, command: CallModel, choice: ModelChoice) -> ModelFailed:
        kind = self.dice.choice(("overload", "overload", "context"))
        problem, again = Problem(kind=f"model_{kind}", message="no"), T0
        if kind == "context" and not (
            command.purpose == "turn"
            and recoverable(self.state, self.spec, choice, call=command.call, run=KEY.run, wrap_up=command.wrap_up)
        ):
            again = None
        return ModelFailed(call=command.call, attempt=command.attempt, problem=problem, retry_at=again)

    def answer(self, command: CallModel, request: ChatRequest) -> None:
        text, calls = self.text(self.dice.randint(0, 300)), ()
        if command.purpose == "summary":
            text = self.dice.choice((json.dumps({"goal": TASK, "facts": [text]}), text, "", "x" * 30_000))
        elif request.tools and self.dice.random() < 0.9:
            calls = tuple(self.call(command.call, at) for at in range(self.dice.randint(1, 3)))
        stop = "pause" if not calls and command.purpose == "turn" and self.dice.random() < 0.3 else "end"
        blocks = self.blocks(request, text, calls, stop)
        said = AssistantTurn(text, calls, blocks=tuple(blocks.value or ()))
        used = max(1, round(self.ratio * (size_of(request) + message_size(said))))
        reply = ChatReply(text, (), Counted(used), "end")
        facts = read(self.state, command, reply, spec=self.spec, run=KEY.run)
        responded = ModelResponded(call=command.call, text=Content(value=text), tool_calls=calls, stop=stop,
            usage=Usage(input_tokens=used), purpose=command.purpose, blocks=blocks,
        )  # fmt: skip
        self.write(responded, *facts)

    def blocks(self, request: ChatRequest, text: str, calls: tuple[ToolCall, ...], stop: str) -> Content:
        if request.model.provider != "anthropic" or request.purpose != "turn" or self.dice.random() < 0.3:
            return Content()
        thought = self.text(20)
        blocks: list[Any] = [{"type": "thinking", "thinking": thought, "signature": signature(thought)}]
        blocks += [{"type": "text", "text": text}] if text.strip() else []
        if stop == "pause":
            blocks.append({"type": "server_tool_use", "id": f"srv{self.calls}", "name": "web_search", "input": {}})
        for call in calls:
            name = f"toolu_{call.id.replace('.', '_')}"
            blocks.append({"type": "tool_use", "id": name, "name": call.name, "input": call.arguments})
        return Content(value=blocks)

    def call(self, name: str, at: int) -> ToolCall:
        kind = self.dice.choice(("read", "read", "read", "send", "dreamt"))
        return ToolCall(id=f"{name}.{at}", name=kind, arguments={"path": f"f{self.dice.randint(1, 4)}"})

    def result(self, call: str) -> Message:
        chance = self.dice.random()
        if chance < 0.1:
            return ToolReturned(call=call, problem=Problem(kind="broken", message=self.text(80)))
        if chance < 0.15 and self.state.calls[call].effect == "at_most_once":
            return ToolInDoubt(call=call, policy="ask")
        most = self.spec.models[0].context or 9_000
        return ToolReturned(
            call=call, result=Content(value={"text": self.text(self.dice.choice((30, most // 2, most)))})
        )

    def text(self, size: int) -> str:
        at = self.dice.randint(0, len(WORDS))
        return (WORDS[at:] + WORDS * (size // len(WORDS) + 1))[:size]

    @property
    def ran_full(self) -> bool:
        """Did it end because nothing more could be left out?"""
        end = self.state.terminal
        return isinstance(end, RunFailed) and end.problem.kind == "context"

    def unrelieved(self) -> RunState:
        """Its state as if nothing had ever been left out."""
        state = EMPTY
        for sequence, record in enumerate(self.entries, 1):
            events = tuple(event for event in record.events if not isinstance(event, ContextRelieved))
            state = fold(state, sequence, record.model_copy(update={"events": events}))
        return state
