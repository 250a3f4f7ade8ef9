"""Shell: the budget with one rule switched off. Each must be caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from callboard.actors import model_calls
from callboard.bus.ledger import JetStreamLedger
from callboard.bus.messages import Usage
from callboard.bus.ports import Balance, Posting
from callboard.guards.budget import shared
from callboard.guards.budget.core import Over
from callboard.guards.budget.passbook import Passbook
from callboard.guards.budget.shared import SharedRun, Taken


def apply(name: str) -> None:
    """Break this process."""
    match name:
        case "":
            pass
        case "check_then_act":
            SharedRun._hold = _check_then_act
        case "refund_to_zero":
            model_calls.interrupted = lambda *_, **__: Usage()
        case "release_what_crashed":
            kept = Passbook.take_over

            async def released(self: Passbook, spent: int, **more: Any) -> None:
                await kept(self, 0, **more)

            Passbook.take_over = released
        case "no_take_over":
            SharedRun._take_over = _nothing
        case "charge_twice":
            _counted(lambda spent: 2 * spent)
        case "lose_a_charge":
            _counted(lambda spent: 0)
        case _:
            raise ValueError(name)


def _counted(spent: Callable[[int], int]) -> None:
    """The ledger counts something else than what is posted to it."""
    post = JetStreamLedger.post

    async def wrong(self: Any, tenant: str, account: str, add: Balance, **more: Any) -> Posting | None:
        return await post(self, tenant, account, add._replace(spent=spent(add.spent)), **more)

    JetStreamLedger.post = wrong


async def _nothing(*_: Any) -> None:
    pass


async def _check_then_act(self: SharedRun, book: Passbook, amount: int, limit: int | None) -> Taken | Over:
    """Look, and go on if there is room; what it cost is added afterwards."""
    account = book.account
    at = await self.books.ledger.read(account.tenant, account.name)
    if at.spent + amount > (limit or 0):
        return Over(account.scope, shared.UNITS[account.unit], at.spent, account.cap, amount)
    return Taken(book, 0, at)
