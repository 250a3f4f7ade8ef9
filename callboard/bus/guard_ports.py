"""Pure: what guards need from the bus beside what all actors do, as Protocols. See ``ports``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from callboard.bus.guard_messages import GuardEvent


class GuardLog(Protocol):
    """Everything that guards said, kept for 30 days."""

    async def publish(self, tenant: str, event: GuardEvent) -> None:
        """Store ``event``; the same ``id`` again (of that tenant and guard) within two minutes stores nothing.

        ``tenant`` is ``_`` for what concerns all of them.
        """
        ...

    async def events(self, *, tenant: str = "*", guard: str = "*", after: int = 0) -> Sequence[tuple[str, GuardEvent]]:
        """Those behind stream sequence ``after``, each with its tenant, oldest first."""
        ...
