"""Shell: does what verdicts say, first, and says so, second. Goes on until the bus has acknowledged both.

All of it may be done twice, in another process too: whatever is written has an id that its verdict gives it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import anyio

from callboard.bus.guard_ports import GuardLog
from callboard.bus.messages import TERMINAL, Record
from callboard.bus.ports import Journals
from callboard.bus.subjects import RunKey
from callboard.errors import BusError, BusUnreachable
from callboard.guards.sidecar.deeds import Deed
from callboard.log import get_logger

log = get_logger(__name__)
_RETRY_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Hands:
    """What reaches from guards into runs, and to CB_GUARDS. A signal waits for nobody, an event for ``voices``."""

    journals: Journals
    guard_log: GuardLog
    voices: anyio.Semaphore

    async def carry_out(self, deeds: Iterable[Deed]) -> None:
        """The deeds for one entry of a run: no event is published before the last signal is stored."""
        for deed in [await self._acted(deed) for deed in deeds]:
            if deed.tell:
                async with self.voices:
                    await self._say(deed)

    async def _acted(self, deed: Deed) -> Deed:
        """The deed as it went: ``acted`` or not."""
        if deed.record is None:
            return deed
        look = deed.look
        while True:
            try:
                done = await self._signal(deed.key, deed.record, look=look)
            except BusUnreachable as error:
                log.warning("cannot reach a run, trying again", run=deed.key.run, error=str(error))
                look = True  # it may be stored, and the bus forgets what ids it has stored
                await anyio.sleep(_RETRY_SECONDS)
                continue
            except BusError as error:  # a full journal, no permission: a later attempt would fare no better
                log.warning("a guard could not act", guard=deed.event.guard, run=deed.key.run, error=str(error))
                done = False
            return deed if done else replace(deed, event=deed.event.model_copy(update={"acted": False}))

    async def _signal(self, key: RunKey, record: Record, *, look: bool) -> bool:
        """Append ``record``; False if the run was over before."""
        if look:
            kept = [entry.record for entry in await self.journals.read(key) if entry.record is not None]
            if any(each.id == record.id for each in kept):
                return True
            if any(event.type in TERMINAL for each in kept for event in each.events):
                return False
        await self.journals.signal(key, record)
        return True

    async def _say(self, deed: Deed) -> None:
        while True:
            try:
                return await self.guard_log.publish(deed.key.tenant, deed.event)
            except BusUnreachable as error:
                log.warning("cannot say what a guard said, trying again", guard=deed.event.guard, error=str(error))
                await anyio.sleep(_RETRY_SECONDS)
            except BusError as error:  # who may not speak must still be able to kill
                return log.warning("nobody hears what a guard said", guard=deed.event.guard, error=str(error))
