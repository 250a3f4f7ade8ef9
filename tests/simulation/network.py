"""Shell: the network between a simulated process and the server. It loses, delays and repeats.

What a real adapter does about that (it tries again, and settles doubt by reading) is here as its outcome: a late
answer, or ``BusUnreachable`` and the message is stored, or not, or later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from callboard.bus.ports import Copy, Stored
from callboard.bus.subjects import RunKey
from callboard.errors import BusUnreachable
from tests.simulation.loop import PROCESS, Process, SimLoop
from tests.simulation.plan import Plan
from tests.simulation.server import EPOCH, Consumer, Item, Server


class SimClock:
    """The clock of every process."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._loop.now)

    def monotonic(self) -> float:
        return self._loop.now

    def new_id(self) -> str:
        return f"{self._loop.rng.getrandbits(80):020x}"


class Network:
    """What may happen to a request, by the plan; after ``plan.until`` nothing does."""

    def __init__(self, loop: SimLoop, server: Server, plan: Plan) -> None:
        self.loop = loop
        self.server = server
        self.plan = plan
        self.listeners: dict[RunKey, list[tuple[Process | None, Callable[[Copy], None]]]] = {}
        self.trace: list[tuple[Any, ...]] = []
        self.late = 0
        """Messages that are still on their way although their sender has given up."""

    def note(self, what: str, *about: object) -> None:
        process = PROCESS.get()
        self.trace.append((self.loop.now, "-" if process is None else process.name, what, *about))

    def chance(self, share: float) -> bool:
        return share > 0.0 and self.loop.now < self.plan.until and self.loop.rng.random() < share

    async def pause(self, seconds: float) -> None:
        if self.loop.disposing:
            raise asyncio.CancelledError
        done = self.loop.create_future()
        timer = self.loop.call_later(seconds, finish, done)
        try:
            await done
        finally:
            timer.cancel()
        if self.loop.disposing:
            raise asyncio.CancelledError

    def latency(self) -> float:
        rng = self.loop.rng
        return rng.uniform(0.1, 0.9) if self.chance(self.plan.slow) else 0.0002 + rng.random() * 0.002

    async def up(self) -> None:
        """Wait until the server is there."""
        while self.server.away:
            if self.loop.rng.random() < 0.05:
                raise BusUnreachable("the server is away", retryable=True)
            await self.pause(0.25)

    async def call(self, ask: Callable[[], Any]) -> Any:
        """A request that may be repeated: its answer comes, or ``BusUnreachable``, with the request done or not."""
        if self.loop.disposing:
            raise asyncio.CancelledError
        if self.server.away:
            await self.up()
        if self.chance(self.plan.lost):
            return await self._lost(ask)
        if self.loop.rng.random() < 0.5:
            answer = ask()
            await self.pause(self.latency())
            return answer
        await self.pause(self.latency())
        return ask()

    async def _lost(self, ask: Callable[[], Any]) -> Any:
        rng = self.loop.rng
        fate = rng.choice(("request", "answer", "given up", "later"))
        self.note("lost", fate)
        answer = ask() if fate == "answer" or (fate == "given up" and rng.random() < 0.5) else None
        await self.pause(rng.uniform(0.2, 2.5))
        if fate == "answer":
            return answer if rng.random() < 0.5 else ask()
        if fate == "request":
            return ask()
        if fate == "later":
            self.later(ask)
        raise BusUnreachable("no answer", retryable=True)

    def later(self, ask: Callable[[], Any]) -> None:
        """The server handles the request although its sender has given it up."""
        self.late += 1

        def arrive() -> None:
            self.late -= 1
            ask()

        self.loop.call_later(self.loop.rng.uniform(0.0, 3.0), arrive, context=self.server.context)

    def copy(self, key: RunKey) -> None:
        """Let everybody who listens hear the entry that was just stored. Copies get lost, late, and out of order."""
        before, entry = (Stored(0, None), *self.server.journals[key])[-2:]
        for process, deliver in tuple(self.listeners.get(key, ())):
            if not self.chance(self.plan.mute):
                copy, context = Copy(entry, before.sequence), process.context if process else None
                self.loop.call_later(self.latency() / 2, deliver, copy, context=context)

    def send(self, act: Callable[[], Any]) -> None:
        """Fire and forget: an acknowledgement, a heartbeat."""
        if self.server.away or self.loop.disposing or self.chance(self.plan.unacked):
            return
        if self.chance(self.plan.slow):
            self.loop.call_later(self.latency(), act, context=self.server.context)
        else:
            act()


def finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


async def pull_from(network: Network, consumer: Consumer, *, batch: int, wait: float) -> list[Item]:
    if network.server.away:
        await network.up()
    until = network.loop.now + wait
    await network.pause(network.latency())
    while True:
        items = [] if network.server.away else consumer.take(batch)
        if items or network.loop.now >= until:
            break
        waiter = network.loop.create_future()
        consumer.waiters.append(waiter)
        timer = network.loop.call_at(until, finish, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and consumer.ready:
                consumer.wake()  # it was this one's turn: the next one looks instead
            waiter.cancel()
            raise
        finally:
            timer.cancel()
        if network.server.away:
            await network.up()
    if consumer.ready:
        consumer.wake()
    for item in items:
        if network.chance(network.plan.early):
            network.loop.call_later(
                network.loop.rng.uniform(0.0, 1.0),
                consumer._again,
                item,
                item.deliveries,
                context=network.server.context,
            )
    if items and network.chance(network.plan.lost):
        network.note("delivery lost")
        return []
    return items
