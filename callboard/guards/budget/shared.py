"""Shell: what a run takes from the accounts that it shares with others, and what it leaves in them.

The journal is the truth, the accounts follow it: a call is held before its intent is written and settled when it ends;
whoever owns the run next, or finds it over, brings the accounts to what its journal says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from callboard.actors.accounts import UNITS, Tally, tally
from callboard.actors.gate import Ask
from callboard.actors.state import RunState
from callboard.bus.messages import Amount, RunClaimed
from callboard.bus.ports import Balance, Ledger
from callboard.bus.subjects import RunKey
from callboard.clock import Clock
from callboard.config.spec import AgentSpec
from callboard.guards.budget.core import Over
from callboard.guards.budget.passbook import Passbook
from callboard.guards.budget.scopes import Account, Key, RuntimeCap, accounts_of, owed

_PATIENCE: Final = 30.0
"""Seconds that a call waits for others to end when what they hold is all that is in its way."""
_FIRST_LOOK: Final = 0.02
_LAST_LOOK: Final = 0.5
_CALLS: Final = frozenset({"model_calls", "tool_calls"})
_TOOL_CALLS: Final = UNITS.index("tool_calls")


@dataclass(slots=True)
class Books:
    """What all runs of a worker share: the ledger, caps that were set at run time, balances as they were last seen."""

    ledger: Ledger
    clock: Clock
    runtime: Mapping[Key, RuntimeCap]
    seen: dict[tuple[str, str], Balance] = field(default_factory=dict[tuple[str, str], Balance])
    told: set[str] = field(default_factory=set[str])
    """Which shares of which caps were said to be spent."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call holds in one account."""

    book: Passbook
    amount: int
    balance: Balance | None


@dataclass(slots=True)
class SharedRun:
    """The accounts of one run, in the hands of one worker."""

    books: Books
    key: RunKey
    writer: str
    _owner: str = ""
    _claim: int = 0
    _beginning: anyio.Lock = field(default_factory=anyio.Lock)
    _passbooks: dict[str, Passbook] = field(default_factory=dict[str, Passbook])
    _held: dict[tuple[str, int], tuple[Taken, ...]] = field(default_factory=dict[tuple[str, int], tuple[Taken, ...]])

    @property
    def opened(self) -> bool:
        """Has it posted anything to an account?"""
        return bool(self._passbooks)

    def accounts(self, state: RunState, spec: AgentSpec) -> tuple[Account, ...]:
        """What the run is charged to."""
        settings, runtime = spec.guards.budget, self.books.runtime
        if state.created is None or not (runtime or settings.is_shared):
            return ()
        return accounts_of(self.key, state.created.agent, settings, runtime, created=state.created.at)

    async def take(self, ask: Ask, reserved: Amount, accounts: Sequence[Account]) -> tuple[Taken, ...] | Over:
        """Hold what the call may cost in every account, or in none."""
        if not accounts:
            return ()
        if any(isinstance(fact, RunClaimed) for fact in ask.pending):
            await ask.commit()  # nobody would give back what is held under a claim that is refused, or never written
        await self._begin(ask.state, accounts)
        wanted, taken = tally(reserved), list[Taken]()
        try:
            for account in accounts:
                if wanted[account.unit]:
                    limit = account.cap if ask.wrap_up else account.limit
                    enforced = ask.spec.guards.budget.mode == "enforce"
                    book = self._passbooks.get(account.name) or await self._open(account, ask.state)
                    held = await self._hold(book, wanted[account.unit], limit if enforced else None)
                    if isinstance(held, Over):
                        await self._return(taken)
                        return held
                    taken.append(held)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._return(taken)
            raise
        self._held[ask.call, ask.attempt] = tuple(taken)
        return tuple(taken)

    def holds(self, ask: Ask) -> bool:
        """Does the call hold anything?"""
        return (ask.call, ask.attempt) in self._held

    async def settle(self, ask: Ask, used: Tally) -> None:
        """The call is over and used so much."""
        for each in self._held.pop((ask.call, ask.attempt), ()):
            unit = UNITS[each.book.account.unit]
            spent = each.amount if unit in _CALLS else used[each.book.account.unit]
            await each.book.settle(each.amount, spent)

    async def give_back(self, ask: Ask) -> None:
        """The call never started."""
        await self._return(self._held.pop((ask.call, ask.attempt), ()))

    async def leave(self, state: RunState, accounts: Sequence[Account]) -> None:
        """Bring the accounts to what the journal says; nothing is held any more."""
        await self._begin(state, accounts)
        claims = owed(state.accounts.marks, state.claims, state.accounts.own)
        spent = next((used for claim, used in claims if claim == self._claim), None)
        if spent is None:
            return
        for book in self._passbooks.values():  # also of a cap that is no more
            if state.outcome == "killed":  # others may have read that, and not what came late
                await book.seal(spent[book.account.unit], at=state.sequence)
            else:
                await book.project(spent[book.account.unit], at=state.sequence)
        for account in () if self._passbooks else accounts:  # the run is not ours: somebody was lost on the way
            await self._take_over(account, self._claim, spent, state)

    async def _begin(self, state: RunState, accounts: Sequence[Account]) -> None:
        """The first time of an owner (whose claim may have been refused): see to what those before it have left."""
        async with self._beginning:  # no call starts before that is done: so the next owner need not look behind it
            if self._owner == state.owner or not accounts:
                return
            self._claim, self._passbooks = state.claims, {}
            for claim, used in owed(state.accounts.marks, state.claims, state.accounts.own):
                if claim < state.claims:
                    for account in accounts:
                        await self._take_over(account, claim, used, state)
            self._owner = state.owner

    async def _take_over(self, account: Account, claim: int, used: Tally, state: RunState) -> None:
        book = Passbook(self.books.ledger, account, self.key, claim, by=self._claim, writer=self.writer)
        await book.take_over(used[account.unit], attempts=_postings(account, used), at=state.sequence)

    async def _open(self, account: Account, state: RunState) -> Passbook:
        """The passbook of this claim. If its cap is newer than the claim, it begins where the next owner looks."""
        book = Passbook(self.books.ledger, account, self.key, self._claim, by=self._claim, writer=self.writer)
        self._passbooks[account.name] = book
        before = owed(state.accounts.marks[-1:], state.claims, state.accounts.own)
        if before and (attempts := _postings(account, before[0][1])):
            await book.skip(attempts)
        return book

    async def _hold(self, book: Passbook, amount: int, limit: int | None) -> Taken | Over:
        books, account = self.books, book.account
        where = (account.tenant, account.name)
        until, pause = books.clock.monotonic() + _PATIENCE, _FIRST_LOOK
        balance = books.seen.get(where, Balance())
        while True:
            if limit is None or sum(balance) + amount <= limit:
                held = await book.reserve(amount)
                if held is None:
                    return Taken(book, 0, None)  # the run is another owner's: its intent will be refused
                books.seen[where] = held
                if limit is None or sum(held) <= limit:
                    return Taken(book, amount, held)
                await book.give_back(amount)
            balance = books.seen[where] = await books.ledger.read(*where)
            assert limit is not None
            if balance.spent + self._own(account) + amount > limit or books.clock.monotonic() > until:
                return Over(account.scope, UNITS[account.unit], sum(balance), account.cap, amount)
            if sum(balance) + amount > limit:
                await anyio.sleep(pause)
                pause = min(2 * pause, _LAST_LOOK)

    def _own(self, account: Account) -> int:
        """What the run itself holds: nothing of it comes back as long as the rest of its batch waits."""
        calls = (each for taken in self._held.values() for each in taken)
        return sum(each.amount for each in calls if each.book.account.name == account.name)

    async def _return(self, taken: Sequence[Taken]) -> None:
        for each in taken:
            if each.amount:
                await each.book.give_back(each.amount)


def _postings(account: Account, used: Tally) -> int:
    """At least so many: tools run several at a time, perhaps none was settled; of model calls perhaps not the last."""
    return used.tool_calls if account.unit == _TOOL_CALLS else max(0, 2 * used.model_calls - 1)
