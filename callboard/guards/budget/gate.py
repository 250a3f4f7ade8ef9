"""Shell: the budget in the worker. Reserve the worst case before a call, settle with what it was after it.

    async with budget_gates(bus, say) as gates:   # ``say`` from ``callboard.guards.speaking``
        worker = Worker(agents, replace(ports, gates=Chain([…, gates])), …)

It stands last in a chain: what it reserves is given back if a later gate refuses. Caps of the run are judged by its own
fold, exactly and without I/O; caps that several runs share by the counters of the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from callboard.actors.accounts import UNITS, ZERO, Tally, tally, used
from callboard.actors.allowance import caps_of
from callboard.actors.gate import Answer, Ask, Ending, Grant, NoGate, Refusal, RunGate
from callboard.actors.state import RunState
from callboard.bus.bus import Bus
from callboard.bus.messages import Amount, Record, RunKilled, RunSteered
from callboard.bus.ports import Journals, StateValue
from callboard.bus.subjects import RunKey
from callboard.config.kept import known_spec
from callboard.config.spec import AgentSpec
from callboard.guards.budget.core import (
    GUARD,
    HELD_BY_A_TOOL,
    NO_EASE,
    TOOL,
    Ease,
    Notice,
    Over,
    at_ease,
    ease_of,
    event,
    needs,
    notices,
    over,
    refusal,
    shares,
    unpriced,
)
from callboard.guards.budget.scopes import CAPS, Account, Key, RuntimeCap, parse_cap
from callboard.guards.budget.shared import Books, SharedRun, Taken
from callboard.guards.hosted import by, kill_id
from callboard.guards.speaking import Say
from callboard.log import get_logger
from callboard.models.prices import price_of

log = get_logger(__name__)
DOLLARS: Final = UNITS.index("usd_micros")
SHARED: Final = frozenset({"agent", "tenant", "everybody", "global"})
"""Fields of ``BudgetSettings`` that several runs share, as a kept spec may name them."""


@asynccontextmanager
async def budget_gates(bus: Bus, say: Say) -> AsyncGenerator[BudgetGates]:
    """The budget's gates of a worker on ``bus``; leave them after the worker has ended."""
    runtime: dict[Key, RuntimeCap] = {}

    def learn(key: Key, value: StateValue) -> None:
        cap = parse_cap(value.value)
        if cap is None:
            log.warning("a cap that is no cap", key=".".join(key))
        else:
            runtime[key] = cap

    async with bus.states.watch(CAPS, deliver=learn):
        yield BudgetGates(Books(bus.ledger, bus.clock, runtime), bus.journals, say)


@dataclass(frozen=True, slots=True)
class BudgetGates:
    """Implements ``Gates``."""

    books: Books
    journals: Journals
    say: Say

    def enter(self, key: RunKey) -> RunGate:
        """The budget of one run."""
        return _RunBudget(self, key)


@dataclass(slots=True)
class _RunBudget(NoGate):
    gates: BudgetGates
    key: RunKey
    _shared: SharedRun | None = None
    _live: dict[tuple[str, int], Tally] = field(default_factory=dict[tuple[str, int], Tally])
    """Granted, and perhaps not in the journal yet."""
    _said: set[str] = field(default_factory=set[str])
    _ease: Ease = NO_EASE
    _raised: Tally | None = None
    """What the run's caps were raised by when its ease was worked out."""

    def admit(self, ask: Ask) -> Answer | Awaitable[Answer]:
        reserved = needs(ask)
        held = HELD_BY_A_TOOL if reserved is TOOL else tally(reserved)
        if not self._is_at_ease(ask, held):
            return self._judge(ask, reserved, held)
        self._live[ask.call, ask.attempt] = held
        return Grant(reserved)

    async def _judge(self, ask: Ask, reserved: Amount, held: Tally) -> Answer:
        settings, me = ask.spec.guards.budget, (ask.call, ask.attempt)
        accounts = self.shared.accounts(ask.state, ask.spec)
        dollars = any(account.unit == DOLLARS for account in accounts)
        if settings.mode == "enforce" and (problem := unpriced(ask, shared=dollars)) is not None:
            return Refusal(GUARD, problem)
        if ask.request is not None and not ask.wrap_up:
            await self._notice(ask)
        if (found := over(ask, reserved, self._unwritten(ask))) is not None:
            await self._over(ask, found)
            if settings.mode == "enforce":
                return refusal(found, settings, wrap_up=ask.wrap_up)
        self._live[me] = held
        try:
            taken = await self.shared.take(ask, reserved, accounts)
        except BaseException:
            self._live.pop(me, None)
            raise
        if isinstance(taken, Over):
            self._live.pop(me, None)
            await self._over(ask, taken, accounts)
            return refusal(taken, settings, wrap_up=ask.wrap_up)
        self._tell(ask, taken)
        return Grant(reserved)

    def done(self, ask: Ask, grant: Grant, ending: Ending) -> Awaitable[None] | None:  # noqa: ARG002 - the port's
        self._live.pop((ask.call, ask.attempt), None)
        shared = self._shared
        if shared is None or not shared.holds(ask) or (ending.how == "cancelled" and ask.request is not None):
            return None
        return shared.give_back(ask) if ending.how == "unstarted" else shared.settle(ask, used(ending.usage))

    async def leave(self, state: RunState) -> None:
        if state.terminal is None and not state.suspended:
            return  # another owner has it
        opened = self._shared is not None and self._shared.opened
        if (spec := _spec_of(state, busy=opened or bool(self.gates.books.runtime))) is not None:
            await self.shared.leave(state, self.shared.accounts(state, spec))

    @property
    def shared(self) -> SharedRun:
        """Its accounts: made when there is something to share, for most runs are charged to nothing but themselves."""
        if self._shared is None:
            self._shared = SharedRun(self.gates.books, self.key, self.gates.books.clock.new_id())
        return self._shared

    def _unwritten(self, ask: Ask) -> Tally:
        """What is granted and not counted by the fold yet: calls of the same batch, branches of a function."""
        live = ZERO
        for (call, attempt), held in self._live.items():
            known = ask.state.calls.get(call)
            if known is None or known.attempt < attempt:
                live = live.plus(held)
        return live

    def _is_at_ease(self, ask: Ask, held: Tally) -> bool:
        """Is there nothing to judge? So it is of most calls."""
        if ask.wrap_up or self.gates.books.runtime or (ask.request is not None and price_of(ask.request.model) is None):
            return False
        raised = ask.state.accounts.raised
        if self._raised is not raised:
            settings = ask.spec.guards.budget
            self._raised, self._ease = raised, ease_of(caps_of(ask.state, settings), settings)
        spent = ask.state.accounts.spent
        return at_ease(self._ease, spent.plus(self._unwritten(ask)) if self._live else spent, held)

    async def _notice(self, ask: Ask) -> None:
        settings = ask.spec.guards.budget
        spent = ask.state.accounts.spent.plus(self._unwritten(ask))
        for notice in notices(spent, caps_of(ask.state, settings), settings):
            steers = notice.share >= settings.steer_at and settings.mode == "enforce"
            acted = steers and await self._steer(ask, notice)
            said = event(ask, "nudge" if acted else "warn", notice, at=self._now(), acted=acted)
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

    def _tell(self, ask: Ask, taken: Sequence[Taken]) -> None:
        """Say it once in a worker when a share of a shared cap is spent."""
        for each in taken:
            account, unit = each.book.account, UNITS[each.book.account.unit]
            spent = 0 if each.balance is None else each.balance.spent
            for notice in shares(account.scope, unit, used=spent, cap=account.cap, settings=ask.spec.guards.budget):
                mark = f"{account.tenant}/{account.name}/{notice.share}/{notice.cap}"
                if mark not in self.gates.books.told:
                    self.gates.books.told.add(mark)
                    said = event(ask, "warn", notice, at=self._now(), acted=False, account=account.name)
                    self.gates.say(account.tenant, said)

    async def _over(self, ask: Ask, found: Over, accounts: Sequence[Account] = ()) -> None:
        settings = ask.spec.guards.budget
        acts = settings.mode == "enforce"
        account = next((each.name for each in accounts if each.scope == found.scope), "")
        said = event(ask, "kill" if settings.hard else "deny", found, at=self._now(), acted=acts, account=account)
        self.gates.say(ask.key.tenant, said)
        if acts and settings.hard:
            killed = RunKilled(reason=found.message, by=by(GUARD), guard=GUARD)
            await self._append(killed, once=kill_id(GUARD, self.key))

    async def _append(self, event: RunSteered | RunKilled, *, once: str = "") -> None:
        clock = self.gates.books.clock
        await self.gates.journals.signal(self.key, Record(id=once or clock.new_id(), at=clock.now(), events=(event,)))

    def _now(self) -> datetime:
        return self.gates.books.clock.now()


def _spec_of(state: RunState, *, busy: bool) -> AgentSpec | None:
    """The spec of a run that may be charged to shared accounts. ``busy``: caps were set at run time."""
    kept = None if state.created is None else state.created.spec
    guards = kept.get("guards") if isinstance(kept, dict) else None
    budget = guards.get("budget") if isinstance(guards, dict) else None
    if not busy and not (isinstance(budget, dict) and SHARED.intersection(budget)):
        return None
    try:
        return known_spec(kept)
    except ValidationError:
        return None
