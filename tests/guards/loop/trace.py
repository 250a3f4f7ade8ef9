"""A recorded run, made up: turns in, the events of its journal out, with the noise that real ones have."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from callboard.bus.messages import (
    ChildFinished,
    ChildSpawned,
    Content,
    Event,
    ModelRequested,
    ModelResponded,
    Problem,
    RunClaimed,
    RunCompleted,
    RunCreated,
    RunSteered,
    SignalReceived,
    ToolCall,
    ToolRequested,
    ToolReturned,
)
from callboard.bus.subjects import RunKey
from callboard.guards.kit import Seen

KEY = RunKey("acme", "r1")
BEGIN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@dataclass
class Call:
    """A call of a turn and what it brings: a result, or a problem."""

    tool: str
    arguments: Any = field(default_factory=dict)
    result: Any = None
    problem: str = ""
    seconds: float = 0.2


@dataclass
class Trace:
    """``tools``: name -> read | write | poll | spawn; others are undeclared."""

    rng: random.Random
    tools: Mapping[str, str] = field(default_factory=dict)
    agent: str = "agent"
    lineage: tuple[str, ...] = ()
    seen: list[Seen] = field(default_factory=list)
    turns: int = 0

    def __post_init__(self) -> None:
        self.at = BEGIN
        self.sequence = 0
        spec = {"name": self.agent, "tools": [_declared(name, kind) for name, kind in self.tools.items()]}
        created = RunCreated(agent=self.agent, lineage=self.lineage, spec=spec, at=BEGIN)
        self._write(created, RunClaimed(task=1))

    def turn(self, *calls: Call, text: str = "", think: float = 3.0) -> Trace:
        """One answer of the model with its calls, which end in any order."""
        self.turns += 1
        name = f"m{self.turns}"
        self._write(ModelRequested(call=name))
        self._pass(think * self.rng.uniform(0.5, 2))
        asked = tuple(
            ToolCall(id=f"{name}.{n}", name=call.tool, arguments=call.arguments) for n, call in enumerate(calls)
        )
        self._write(ModelResponded(call=name, text=Content(value=text), tool_calls=asked))
        order = list(zip(asked, calls, strict=True))
        started = [(one, call) for one, call in order if self.tools.get(call.tool) != "spawn"]
        if started:
            self._write(
                *(ToolRequested(call=one.id, tool=call.tool, effect=self._effect(call.tool)) for one, call in started)
            )
        for one, call in order:
            if self.tools.get(call.tool) == "spawn":
                self._write(
                    ChildSpawned(child=f"c{one.id.replace('.', '-')}", call=one.id, agent=call.arguments["agent"])
                )
        self.rng.shuffle(order)
        for one, call in order:
            self._pass(call.seconds)
            problem = Problem(kind="tool_error", message=call.problem) if call.problem else None
            if self.tools.get(call.tool) == "spawn":
                outcome = "failed" if problem else "completed"
                child = f"c{one.id.replace('.', '-')}"
                self._write(
                    ChildFinished(child=child, outcome=outcome, result=Content(value=call.result), problem=problem),
                    owner="",
                )
            else:
                self._write(ToolReturned(call=one.id, result=Content(value=call.result), problem=problem))
        return self

    def says(self, text: str) -> Trace:
        """An answer without a tool; the run goes on."""
        return self.turn(text=text)

    def person(self, text: str) -> Trace:
        """Somebody writes to the agent."""
        self._pass(self.rng.uniform(5, 60))
        self._write(RunSteered(text=text, by="ann"), owner="")
        return self

    def signal(self, name: str, value: Any) -> Trace:
        """A named value from outside."""
        self._write(SignalReceived(name=name, value=value, by="ann"), owner="")
        return self

    def end(self, text: str = "Done.") -> Trace:
        """The last answer."""
        self.turn(text=text)
        self._write(RunCompleted(result=Content(value=text)))
        return self

    def _effect(self, tool: str) -> Any:
        return "pure" if self.tools.get(tool) in {"read", "poll"} else "at_most_once"

    def _pass(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def _write(self, *events: Event, owner: str = "w1") -> None:
        self.sequence += 1
        for place, event in enumerate(events):
            self.seen.append(Seen(KEY, self.sequence, self.at, event, owner, f"e{self.sequence}", place))

    # ---- noise ----
    def stamp(self) -> str:
        """The time, to the microsecond."""
        return (self.at + timedelta(microseconds=self.rng.randrange(10**6))).isoformat()

    def uid(self) -> str:
        """An id that nobody has seen."""
        return str(uuid.UUID(int=self.rng.getrandbits(128)))

    def shuffled(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The same mapping in another order."""
        items = list(value.items())
        self.rng.shuffle(items)
        return dict(items)


def _declared(name: str, kind: str) -> dict[str, Any]:
    effect = "pure" if kind in {"read", "poll"} else "at_most_once"
    return {"name": name, "effect": effect, "polls": kind == "poll", "kind": "spawn" if kind == "spawn" else "call"}


TEXT = """
    account balance cache driver engine filter gateway header index journal kernel ledger market notice order parser
    queue record signal tenant update vector window yield zone budget client design effect figure growth history image
"""
WORDS = tuple(TEXT.split())


def words(rng: random.Random, count: int) -> str:
    """So many words."""
    return " ".join(rng.choice(WORDS) for _ in range(count))


def choose(rng: random.Random, options: Sequence[Any]) -> Any:
    """One of them."""
    return options[rng.randrange(len(options))]
