"""Shell: an effect whose intent is written, until it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from callboard.actors.ownership import Fact, Paused
from callboard.actors.pauses import LOOK_SECONDS
from callboard.errors import CallboardError


class Announcer(Protocol):
    """The owner, as an effect that waits for its start needs it."""

    def in_window(self, published: float) -> bool: ...

    async def announce(self, intents: Sequence[Fact]) -> float: ...

    def released(self) -> None: ...

    async def arm(self, intents: Sequence[Fact]) -> float: ...


@dataclass(slots=True)
class Armed:
    """``async with`` intents whose effects may start now. One that starts in a task or thread of its own asks again."""

    owner: Announcer
    intents: Sequence[Fact]
    published: float = 0.0

    async def __aenter__(self) -> Self:
        self.published = await self.owner.announce(self.intents)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.owner.released()

    def only(self, intent: Fact) -> Armed:
        """The same for one of them."""
        return Armed(self.owner, (intent,), self.published)

    def is_open(self) -> bool:
        """May the effect start now?"""
        return self.owner.in_window(self.published)

    async def opened(self, *, within: float) -> bool:
        """Whether it may start, after announcing it again if need be, for which there are ``within`` seconds."""
        if not self.is_open():
            with anyio.move_on_after(within):
                while not self.is_open():
                    await self.reopen()
        return self.is_open()

    async def reopen(self) -> None:
        """Write the intent again; if the run was paused meanwhile, when it goes on."""
        while True:
            try:
                self.published = await self.owner.arm(self.intents)
            except Paused:
                await anyio.sleep(LOOK_SECONDS)
            except CallboardError:
                await checkpoint_if_cancelled()  # the worker stops the effect: it is not for its code to see why
                raise
            else:
                return
