"""Shell: what one claim of a run has posted to one account, posting by posting.

Postings are numbered, and the number is what makes one unique: after a crash the next owner reads the passbook on from
where it stopped, and brings it to what the journal says. Each posting notes the sum so far and who made it. Whoever
finds a posting of a later owner in their place has lost the run, and posts nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from callboard.bus.ports import Balance, Ledger, Posting
from callboard.bus.subjects import RunKey
from callboard.guards.budget.notes import Note, minus, parse, plus
from callboard.guards.budget.scopes import Account
from callboard.log import get_logger

log = get_logger(__name__)
_ZERO = Balance()


@dataclass(slots=True)
class Passbook:
    """The passbook of ``claim``, in the hands of the owner whose claim is ``by`` (the same, or a later one)."""

    ledger: Ledger
    account: Account
    run: RunKey
    claim: int
    by: int
    writer: str
    closed: bool = False
    """A later owner has taken it over."""
    number: int = 0
    sum: Balance | None = _ZERO
    """What was posted; None: nobody knows."""
    expected: Balance = _ZERO
    """What its owner has spent and holds."""
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def skip(self, attempts: int) -> None:
        """Begin as one that has ``attempts`` postings has gone on: where ``take_over`` reads."""
        async with self.lock:
            self.number = attempts - 1
            while self.number <= attempts:
                await self._post(_ZERO)

    async def reserve(self, amount: int) -> Balance | None:
        """Hold ``amount`` and return the account's balance with it; None: the run is lost, nothing is held."""
        async with self.lock:
            self.expected = plus(self.expected, Balance(held=amount))
            while not self.closed:
                mine, balance = await self._post(Balance(held=amount))
                if mine:
                    return balance
            return None

    async def give_back(self, amount: int) -> None:
        """Hold ``amount`` no more. If somebody else has posted meanwhile, they have seen to it."""
        async with self.lock:
            self.expected = minus(self.expected, Balance(held=amount))
            if not self.closed:
                await self._post(Balance(held=-amount))

    async def settle(self, held: int, spent: int) -> None:
        """What was held is spent, or some of it, or more."""
        async with self.lock:
            self.expected = plus(self.expected, Balance(spent, -held))
            mine = False
            while not (mine or self.closed):
                add = Balance(spent, -held) if self.sum is None else minus(self.expected, self.sum)
                mine, _ = await self._post(add)

    async def project(self, spent: int, *, at: int) -> None:
        """Nothing is held any more and ``spent`` is what the journal says up to sequence ``at``."""
        async with self.lock:
            self.expected = Balance(spent)
            while not self.closed and self.sum is not None and self.sum != self.expected:
                await self._post(minus(self.expected, self.sum), at=at)

    async def seal(self, spent: int, *, at: int) -> None:
        """The same, and a posting in any case: who has read less of the journal finds it, and changes nothing."""
        async with self.lock:
            self.expected, mine = Balance(spent), False
            while not (mine or self.closed or self.sum is None):
                mine, _ = await self._post(minus(self.expected, self.sum), at=at)

    async def take_over(self, spent: int, *, attempts: int, at: int) -> None:
        """Of an earlier claim: read it on, close it to its owner, and bring it to what the journal says.

        ``attempts`` is how many postings it must have at least. When these are too old to be found nothing is changed:
        an owner that ended well has left it right.
        """
        async with self.lock:
            self.number = max(0, attempts - 1)
            mine, _ = await self._post(_ZERO, at=at, known=attempts == 0)
            while not (mine or self.closed or self.sum is None):
                mine, _ = await self._post(minus(Balance(spent), self.sum), at=at)

    async def _post(self, add: Balance, *, at: int = 0, known: bool = True) -> tuple[bool, Balance]:
        """Post at the next number. Is it ours that stands there now, and the account's balance with it?"""
        after = plus(self.sum, add) if known and self.sum is not None else None
        note = str(Note(after, self.by, at, self.writer))
        where = self.account
        once = f"{self.run}/{self.claim}/{self.number}"
        posting: Posting | None = None
        with anyio.CancelScope(shield=True):  # nobody would know whether it was posted
            posting = await self.ledger.post(where.tenant, where.name, add, once=once, note=note)
        self.number += 1
        found = None if posting is None else parse(posting.note)
        if posting is None or found is None:
            log.warning("a posting is not kept any more", account=where.name, run=self.run.run)
            self.sum = None
            return False, _ZERO
        self.sum = found.sum
        mine = posting.note == note
        if not mine and (found.by > self.by or (at and found.at > at)):
            self.closed = True
        return mine, posting.balance
