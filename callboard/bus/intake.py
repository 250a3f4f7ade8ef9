"""Shell: a durable consumer as typed messages. What does not validate is buried first and acknowledged afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import anyio

from callboard.bus.ports import Graveyard
from callboard.bus.pull import ConsumerGone, Held, Puller, Pulls
from callboard.bus.reconcile import ensure_consumer
from callboard.bus.topology import ConsumerSpec
from callboard.errors import InvalidMessage

_ELECTION_PAUSE: Final = 0.1
"""Seconds: a consumer that exists and is not served has no leader yet."""
_T = TypeVar("_T")


class Intake(Generic[_T]):
    """Pulls from one consumer, which it makes when it is not there. ``read`` raises ``InvalidMessage``."""

    def __init__(
        self, pulls: Pulls, stream: str, *, spec: ConsumerSpec, graveyard: Graveyard, read: Callable[[Held], _T]
    ) -> None:
        self._pulls = pulls
        self._stream = stream
        self._spec = spec
        self._graveyard = graveyard
        self._read = read
        self._puller: Puller | None = None

    async def pull(self, *, batch: int, wait: float) -> list[_T]:
        """Up to ``batch`` messages; waits up to ``wait`` seconds for the first. Cancelled, it keeps nothing."""
        puller = self._puller or await self._ensured()
        while True:
            try:
                taken = await puller.pull(batch=batch, wait=wait)
            except ConsumerGone:
                await self._ensured()
                await anyio.sleep(min(wait, _ELECTION_PAUSE))
                return []
            messages = await self._opened(puller, taken)
            if messages or not taken:  # nothing but garbage is no reason to believe that the consumer is empty
                return messages

    async def _opened(self, puller: Puller, taken: Sequence[Held]) -> list[_T]:
        messages: list[_T] = []
        garbage: list[tuple[Held, InvalidMessage]] = []
        for held in taken:
            try:
                messages.append(self._read(held))
            except InvalidMessage as error:
                garbage.append((held, error))
        try:
            if garbage:
                async with anyio.create_task_group() as together:
                    for held, why in garbage:
                        together.start_soon(self._bury, held, why)
        except BaseExceptionGroup as group:
            puller.give_back(taken)
            raise group.exceptions[0] from None
        except BaseException:
            puller.give_back(taken)
            raise
        return messages

    async def _ensured(self) -> Puller:
        await ensure_consumer(self._pulls.connection, self._stream, self._spec)
        self._puller = self._pulls.consumer(self._stream, self._spec.name)
        return self._puller

    async def _bury(self, held: Held, error: InvalidMessage) -> None:
        message = held.message
        _, kind, tenant, agent = (*message.subject.split(".", 4)[:4], "-", "-", "-", "-")[:4]
        address = (tenant, agent if kind == "task" else "-")
        await self._graveyard.bury(address, message.subject, error.reason, str(error), message.payload)
        await held.acknowledge()
