"""Shell: a worker process that says how late its event loop is, and when each model call of it was cancelled."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import anyio

from bench.bare import providers
from bench.conversation import asking
from callboard.actors.worker import Worker
from callboard.app.gates import worker_gates
from callboard.app.guards import Guarding
from callboard.app.node import ports
from callboard.bus.bus import open_bus
from callboard.config.spec import ModelChoice
from callboard.models.port import ChatModel, ChatReply, ChatRequest, Delta
from callboard.models.registry import opened_models

T = TypeVar("T")
_PROBE_SECONDS = 0.01
_SAY_EVERY = 0.5


async def serve(url: str, name: str, slots: str, provider: str) -> None:
    """As ``worker_child`` has it, with models that are watched. Until killed."""
    served = asking()
    choices = [choice for code in served.values() for choice in code.spec.models]
    async with (
        open_bus(url, name=name) as bus,
        worker_gates(bus, Guarding(), worker=name) as gates,
        opened_models(providers(provider), choices) as models,
        anyio.create_task_group() as group,
    ):

        def watched(choice: ModelChoice) -> ChatModel:
            return _Watched(models.open(choice))

        worker = Worker(
            served,
            replace(ports(bus), gates=gates),
            name=name,
            slots=int(slots),
            ack_wait=bus.ack_wait,
            open_model=watched,
        )
        group.start_soon(worker.run, anyio.Event())
        group.start_soon(_probe)
        print("ready", flush=True)
        await anyio.sleep_forever()


async def _probe() -> None:
    """How much later than asked for the loop comes back, in ns; the worst ones of each half second, and how many."""
    number = 0
    while True:
        late: list[int] = []
        until = anyio.current_time() + _SAY_EVERY
        while anyio.current_time() < until:
            before = time.monotonic_ns()
            await anyio.sleep(_PROBE_SECONDS)
            late.append(time.monotonic_ns() - before - round(_PROBE_SECONDS * 1e9))
        for each in late:
            number += 1
            print("late", number, each)
        print("probed", number, time.monotonic_ns(), flush=True)


@dataclass(frozen=True, slots=True)
class _Watched:
    """A model. When a stream of it is cancelled, the instant is noted before the adapter hears of it."""

    model: ChatModel

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | ChatReply, None]:
        def cancelled() -> None:
            if begun:  # connecting cancels things of its own
                print("cancelled", request.run, time.monotonic_ns())

        begun = False
        async with aclosing(self.model.stream(request)) as stream:
            while (piece := await _Wait(anext(stream, None), cancelled)) is not None:
                begun = True
                yield piece


@dataclass(frozen=True, slots=True)
class _Wait(Awaitable[T]):
    """Waits as ``inner`` does; ``thrown`` is called when something is thrown into the wait, as a cancellation is."""

    inner: Awaitable[T]
    thrown: Callable[[], None]

    def __await__(self) -> Generator[Any, Any, T]:
        inner = self.inner.__await__()
        sent: BaseException | None = None
        while True:
            try:
                if sent is None:
                    waits_for = next(inner)
                else:
                    self.thrown()
                    waits_for = inner.throw(sent)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                sent = None
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is thrown into ``inner``
                sent = error
