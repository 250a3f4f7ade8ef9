"""Shell: the budget in the worker. Reserve the worst case before a call, settle with what it was after it.

    async with budget_gates(bus, say) as gates:   # ``say`` from ``callboard.guards.speaking``
        worker = Worker(agents, replace(ports, gates=Chain([…, gates])), …)

It stands last in a chain: what it reserves is given back if a later gate refuses. Caps of the run are judged by its own
fold, exactly and without I/O; caps that several runs share by the counters of the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from callboard.actors.accounts import ZERO, Tally, tally
from callboard.actors.allowance import caps_of
from callboard.actors.gate import Answer, Ask, Ending, Grant, Refusal, RunGate
from callboard.actors.state import RunState
from callboard.bus.bus import Bus
from callboard.bus.messages import Record, RunKilled, RunSteered
from callboard.bus.ports import Journals
from callboard.bus.subjects import RunKey
from callboard.clock import Clock
from callboard.guards.budget.core import GUARD, Notice, Over, event, needs, notices, over, refusal, unpriced
from callboard.guards.hosted import by
from callboard.guards.speaking import Say


@asynccontextmanager
async def budget_gates(bus: Bus, say: Say) -> AsyncGenerator[BudgetGates]:
    """The budget's gates of a worker on ``bus``; leave them after the worker has ended."""
    yield BudgetGates(bus.journals, say, bus.clock)


@dataclass(frozen=True, slots=True)
class BudgetGates:
    """Implements ``Gates``."""

    journals: Journals
    say: Say
    clock: Clock

    def enter(self, key: RunKey) -> RunGate:
        """The budget of one run."""
        return _RunBudget(self, key)


@dataclass(slots=True)
class _RunBudget:
    gates: BudgetGates
    key: RunKey
    _live: dict[tuple[str, int], Tally] = field(default_factory=dict[tuple[str, int], Tally])
    """Granted, and perhaps not in the journal yet."""
    _said: set[str] = field(default_factory=set[str])

    def folded(self, sequence: int, record: Record | None) -> None:
        """The fold keeps the books."""

    async def admit(self, ask: Ask) -> Answer:
        settings = ask.spec.guards.budget
        reserved = needs(ask)
        live = self._unwritten(ask)
        if ask.request is not None and not ask.wrap_up:
            await self._notice(ask, live)
        if settings.mode == "enforce" and (problem := unpriced(ask)) is not None:
            return Refusal(GUARD, problem)
        if (found := over(ask, reserved, live)) is not None:
            await self._over(ask, found)
            if settings.mode == "enforce":
                return refusal(found, settings, wrap_up=ask.wrap_up)
        self._live[ask.call, ask.attempt] = tally(reserved)
        return Grant(reserved)

    async def done(self, ask: Ask, grant: Grant, ending: Ending) -> None:  # noqa: ARG002 - the port's
        self._live.pop((ask.call, ask.attempt), None)

    async def leave(self, state: RunState) -> None:
        """The journal has it all."""

    def _unwritten(self, ask: Ask) -> Tally:
        """What is granted and not counted by the fold yet: calls of the same batch, branches of a function."""
        live = ZERO
        for (call, attempt), held in self._live.items():
            known = ask.state.calls.get(call)
            if known is None or known.attempt < attempt:
                live = live.plus(held)
        return live

    async def _notice(self, ask: Ask, live: Tally) -> None:
        settings = ask.spec.guards.budget
        spent = ask.state.accounts.spent.plus(live)
        for notice in notices(spent, caps_of(ask.state, settings), settings):
            steers = notice.share >= settings.steer_at and settings.mode == "enforce"
            acted = steers and await self._steer(ask, notice)
            said = event(ask, "nudge" if acted else "warn", notice, at=self.gates.clock.now(), acted=acted)
            if said.id not in self._said:
                self._said.add(said.id)
                self.gates.say(ask.key.tenant, said)

    async def _steer(self, ask: Ask, notice: Notice) -> bool:
        """Tell the model, once in a run."""
        if any(isinstance(turn, RunSteered) and turn.guard == GUARD for turn in ask.state.turns):
            return False
        if "steered" in self._said:
            return False
        self._said.add("steered")
        await self._append(RunSteered(text=notice.note, by=by(GUARD), guard=GUARD))
        return True

    async def _over(self, ask: Ask, found: Over) -> None:
        settings = ask.spec.guards.budget
        acts = settings.mode == "enforce"
        said = event(ask, "kill" if settings.hard else "deny", found, at=self.gates.clock.now(), acted=acts)
        self.gates.say(ask.key.tenant, said)
        if acts and settings.hard:
            await self._append(RunKilled(reason=found.message, by=by(GUARD), guard=GUARD))

    async def _append(self, event: RunSteered | RunKilled) -> None:
        clock = self.gates.clock
        await self.gates.journals.signal(self.key, Record(id=clock.new_id(), at=clock.now(), events=(event,)))
