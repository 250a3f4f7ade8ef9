"""Shell: the ports of ``callboard.bus.ports`` over the simulated server, as one process has them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from callboard.bus.codec import run_key
from callboard.bus.messages import Blob, Record, Resume, Task
from callboard.bus.ports import Copy, Stored
from callboard.bus.subjects import Lane, RunKey, TaskAddress
from callboard.errors import QueueFull, StaleAppend
from tests.simulation.loop import PROCESS
from tests.simulation.network import Network, pull_from
from tests.simulation.server import EPOCH, Consumer, Entry, Item


class SimJournals:
    """Implements ``Journals``."""

    def __init__(self, network: Network, *, bare: bool = False) -> None:
        self._network = network
        self._bare = bare

    async def append(self, key: RunKey, record: Record, *, expect: int, family: str = "", parent: str = "") -> int:
        server, network = self._network.server, self._network

        def store() -> int | None:
            found = server.find(key, expect, record.id)
            if found is None:
                found = server.append(key, record, expect=expect, family=family, parent=parent)
                if found is not None:
                    network.copy(key)
            return found

        sequence: int | None = await network.call(store)
        network.note("append", key.run, expect, sequence, [event.type for event in record.events])
        if sequence is None:
            raise StaleAppend(f"run {key} has moved on from {expect}")
        return sequence

    async def signal(self, key: RunKey, record: Record, *, parent: str = "") -> int:
        server, network = self._network.server, self._network
        stored: list[int] = []

        def store() -> int:
            if not stored or network.plan.forgetful:
                sequence = server.append(key, record, expect=None, family="", parent=parent, bare=self._bare)
                assert sequence is not None
                stored.append(sequence)
                network.copy(key)
            return stored[0]

        sequence: int = await network.call(store)
        network.note("signal", key.run, sequence, [event.type for event in record.events])
        return sequence

    async def read(self, key: RunKey, *, after: int = 0) -> Sequence[Stored]:
        server = self._network.server
        found: Sequence[Stored] = await self._network.call(lambda: server.entries(key, after))
        return found


@dataclass(frozen=True, slots=True)
class SimHeldTask:
    """Implements ``HeldTask``."""

    network: Network
    item: Item

    @property
    def sequence(self) -> int:
        return self.item.sequence

    @property
    def address(self) -> TaskAddress:
        return self.item.value.address

    @property
    def key(self) -> RunKey:
        return self.item.value.key

    @property
    def body(self) -> Task | Resume:
        return self.item.value.body

    @property
    def followed(self) -> bool:
        return any(item.state == "ready" for item in self._consumer.ready)

    async def acknowledge(self) -> None:
        self.network.note("ack", self.key.run, self.sequence)
        process = PROCESS.get()
        name = "-" if process is None else process.name
        self.network.send(lambda: self.network.server.acknowledge_task(self.item, name))

    async def release(self, delay: float = 0.0) -> None:
        self.network.note("nak", self.key.run, self.sequence)
        self.network.send(lambda: self._consumer.release(self.item, delay))

    async def progress(self) -> None:
        self.network.send(lambda: self._consumer.progress(self.item))

    @property
    def _consumer(self) -> Consumer:
        return self.network.server.lane(self.address.agent, self.address.lane)


class SimTasks:
    """Implements ``Tasks``."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def publish(self, address: TaskAddress, body: Task | Resume, *, dedup: str = "") -> int:
        network = self._network
        if network.chance(network.plan.full):
            await network.pause(network.latency())
            raise QueueFull("full", retryable=True, retry_after=0.3)
        stored_at = EPOCH + timedelta(seconds=network.loop.now)
        key = run_key(address, body, sequence=network.server.task_sequence + 1, stored_at=stored_at)
        dedup = "" if network.plan.forgetful else dedup
        sequence: int = await network.call(lambda: network.server.publish(address, body, key, dedup))
        network.note("task", key.run, sequence, body.resume if isinstance(body, Resume) else 0)
        return sequence

    async def exists(self, sequence: int) -> bool:
        found: bool = await self._network.call(lambda: sequence in self._network.server.tasks)
        return found

    async def pull(self, agent: str, at: Lane, *, batch: int, wait: float) -> Sequence[SimHeldTask]:
        network = self._network
        items = await pull_from(network, network.server.lane(agent, at), batch=batch, wait=wait)
        for item in items:
            network.note("delivered", item.value.key.run, item.sequence, item.deliveries)
        return [SimHeldTask(network, item) for item in items]


class SimHints:
    """Implements ``Hints``."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @asynccontextmanager
    async def listen(
        self, key: RunKey, hear: Callable[[Copy | None], None], *, owner: Callable[[], str]
    ) -> AsyncGenerator[None]:
        def deliver(copy: Copy) -> None:
            if copy.entry.record is None or not copy.entry.record.owner or copy.entry.record.owner != owner():
                hear(copy)

        listeners = self._network.listeners.setdefault(key, [])
        mine = (PROCESS.get(), deliver)
        listeners.append(mine)
        try:
            yield
        finally:
            listeners.remove(mine)


class SimTimers:
    """Implements ``Timers``."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def schedule(self, key: RunKey, timer: str, at: datetime) -> None:
        self._network.note("timer", key.run, timer)
        await self._network.call(lambda: self._network.server.schedule(key, timer, at))


class SimBlobs:
    """Implements ``Blobs``. The simulated runs have no large content."""

    async def put(self, value: JsonValue) -> Blob:
        raise AssertionError("a simulated run has large content")

    async def get(self, blob: Blob) -> JsonValue:
        raise AssertionError("a simulated run has large content")


class SimGraveyard:
    """Implements ``Graveyard``."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def bury(self, address: tuple[str, str], subject: str, reason: str, message: str, payload: bytes) -> None:
        dead = self._network.server.dead
        await self._network.call(lambda: dead.append((address, subject, reason)))


@dataclass(frozen=True, slots=True)
class SimFeedEntry:
    """Implements ``FeedEntry`` and, with a timer, ``DueTimer``."""

    network: Network
    item: Item
    entry: Entry

    @property
    def key(self) -> RunKey:
        return self.entry.key

    @property
    def sequence(self) -> int:
        return self.entry.sequence

    @property
    def events(self) -> tuple[str, ...] | None:
        return self.entry.events

    @property
    def family(self) -> str:
        return self.entry.family

    @property
    def parent(self) -> str:
        return self.entry.parent

    async def acknowledge(self) -> None:
        process = PROCESS.get()
        name = "-" if process is None else process.name
        self.network.send(lambda: self.network.server.acknowledge_entry(self.item, name))


class SimFeed:
    """Implements ``Feed``."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def pull(self, *, batch: int, wait: float) -> Sequence[SimFeedEntry]:
        items = await pull_from(self._network, self._network.server.feed, batch=batch, wait=wait)
        return [SimFeedEntry(self._network, item, item.value) for item in items]


@dataclass(frozen=True, slots=True)
class SimDueTimer:
    """Implements ``DueTimer``."""

    network: Network
    item: Item

    @property
    def key(self) -> RunKey:
        return self.item.value[0]

    @property
    def timer(self) -> str:
        return self.item.value[1]

    async def acknowledge(self) -> None:
        self.network.send(lambda: self.network.server.due.acknowledge(self.item))


class SimDueTimers:
    """Implements ``DueTimers``."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def pull(self, *, batch: int, wait: float) -> Sequence[SimDueTimer]:
        items = await pull_from(self._network, self._network.server.due, batch=batch, wait=wait)
        return [SimDueTimer(self._network, item) for item in items]


class SimWatch:
    """Implements ``Watch``."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @asynccontextmanager
    async def follow(self, key: RunKey, *, after: int = 0) -> AsyncGenerator[AsyncIterator[Stored]]:
        await self._network.pause(self._network.latency())
        yield _Following(self._network, key, after)


class _Following:
    def __init__(self, network: Network, key: RunKey, after: int) -> None:
        self._network = network
        self._key = key
        self._after = after

    def __aiter__(self) -> _Following:
        return self

    async def __anext__(self) -> Stored:
        network = self._network
        while True:
            for entry in network.server.entries(self._key, self._after)[:1]:
                await network.pause(network.latency())
                self._after = entry.sequence
                return entry
            waiter = network.loop.create_future()
            network.server.changed.setdefault(self._key, []).append(waiter)
            await waiter
