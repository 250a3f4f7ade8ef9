"""A worker process whose provider is dead: each physical call is a line in a file. It says when the circuit opens."""

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
from callboard.guards.breaker.names import Line
from callboard.models.port import ChatReply, ChatRequest
from tests.support.fleet import ports

MODEL = ModelChoice(provider="scripted", name="dead")
EVERYBODYS, FIRSTS = (AgentCode(AgentSpec(name=name, model=MODEL)) for name in ("a", "b"))
"""An agent of all workers, and one that only the first worker, ``w0``, has. They ask the same model."""
CIRCUIT = Line("_", "model", "scripted/dead")


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
        open_bus(url, subjects=Subjects(prefix), name=name) as bus,
        breaker_gates(bus, Breaker(open_for=30), worker=name) as gates,
    ):
        agents = {"a": EVERYBODYS, "b": FIRSTS} if name == "w0" else {"a": EVERYBODYS}
        worker = Worker(
            agents, replace(ports(bus), gates=gates), name=name, slots=25, open_model=lambda _: DeadModel(path)
        )
        async with worker:
            print("ready", flush=True)
            while gates.circuit(CIRCUIT).phase != "open":  # noqa: ASYNC110 - nobody is told when a breaker learns something
                await anyio.sleep(0.01)
            print("open", flush=True)
            await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
