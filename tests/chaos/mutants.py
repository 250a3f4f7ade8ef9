"""Shell: protocol mutants: each switches one rule off in this process. The harness must see the difference."""

from __future__ import annotations

from typing import Any

from callboard.actors import decide, function, owner
from callboard.actors.attempt import Attempt
from callboard.bus.journal import JetStreamJournals
from callboard.errors import StaleAppend
from callboard.supervisors import dispatcher


def no_fence() -> None:
    """An owner that writes although its append was refused as stale."""
    append = JetStreamJournals.append

    async def insisting(self: Any, key: Any, record: Any, *, expect: int, **more: Any) -> int:
        try:
            return await append(self, key, record, expect=expect, **more)
        except StaleAppend:
            return await self.signal(key, record)

    JetStreamJournals.append = insisting


def rerun_in_doubt() -> None:
    """A new owner that starts again whatever was open."""
    for module in (function, decide):
        module.doubts = lambda state: ()


def early_acknowledgement() -> None:
    """A worker that acknowledges its task once it has claimed the run."""
    carry = Attempt._carry

    async def carry_acknowledged(self: Attempt, held: Any) -> None:
        await held.flush()
        await self.task.acknowledge()
        await carry(self, held)

    Attempt._carry = carry_acknowledged


def no_window() -> None:
    """A worker that starts an effect however long ago it announced it."""
    owner.START_WINDOW = 3600.0


def forgetful_dispatcher() -> None:
    """A dispatcher that acknowledges first, and pays then."""
    handle = dispatcher.Dispatcher._handle

    async def acknowledged(self: Any, entry: Any, room: Any) -> None:
        await entry.acknowledge()
        await handle(self, entry, room)

    dispatcher.Dispatcher._handle = acknowledged


MUTANTS = {
    mutant.__name__: mutant
    for mutant in (no_fence, rerun_in_doubt, early_acknowledgement, no_window, forgetful_dispatcher)
}


def apply(name: str) -> None:
    """Become the mutant ``name``; ``""`` stays as it is."""
    if name:
        MUTANTS[name]()
