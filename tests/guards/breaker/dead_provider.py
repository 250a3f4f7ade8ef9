"""A worker process whose provider is dead. Each physical call leaves a line in a file."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace

import anyio

from callboard.actors.code import AgentCode
from callboard.actors.worker import Worker
from callboard.bus.bus import open_bus
from callboard.bus.subjects import Subjects
from callboard.config.guards import Breaker
from callboard.config.spec import AgentSpec, ModelChoice
from callboard.errors import ModelError
from callboard.guards.breaker.gate import breaker_gates
from callboard.models.port import ChatReply, ChatRequest
from tests.support.fleet import ports

AGENT = AgentCode(AgentSpec(name="a", model=ModelChoice(provider="scripted", name="dead")))
LABEL = "scripted/dead"


class DeadModel:
    def __init__(self, path: str) -> None:
        self._path = path

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatReply, None]:
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{os.getpid()} {request.run}\n".encode())
        os.close(file)
        await anyio.sleep(0.5)
        raise ModelError("overload", "nobody there", retryable=True)
        yield


async def main(url: str, prefix: str, name: str, path: str) -> None:
    async with (
        open_bus(url, subjects=Subjects(prefix), name=name, echo=False) as bus,
        breaker_gates(bus, Breaker(), worker=name) as gates,
    ):
        worker = Worker(
            {"a": AGENT}, replace(ports(bus), gates=gates), name=name, slots=25, open_model=lambda _: DeadModel(path)
        )
        async with worker:
            print("ready", flush=True)
            await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
