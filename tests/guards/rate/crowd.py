"""Twenty users at once, three worker processes, one guard process, and a provider that keeps its limits strictly.

By hand, with real minutes: ``python -m tests.guards.rate.crowd``, beside whatever load.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from math import inf
from subprocess import PIPE

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from callboard.actors.worker import Worker
from callboard.app.bus_at import BusAt
from callboard.app.gates import worker_gates
from callboard.app.guarding import guards_child
from callboard.app.guards import Guarding
from callboard.bus.bus import open_bus
from callboard.bus.client import Reply
from callboard.bus.subjects import Subjects
from callboard.config.guards import RateLimit
from callboard.guards.rate import gcra, limiter
from callboard.models.registry import opened_models
from callboard.testing import Call, Limit, Request, Tokens, fake_provider
from callboard.testing import Reply as Said
from callboard.tools.tool import tool
from tests.chaos.zygote import die_with_parent
from tests.support.bus import SESSION, bus_url
from tests.support.fleet import fleet, ports
from tests.support.provided import NO_GUARDS, PRICES, codes, providers, told

USERS, TURNS, WORKERS = 20, 3, 3
AT_A_TIME = 3
HEARD_AFTER = 0.3
"""Seconds until a slow limiter hears what it is told."""


@tool(effect="pure")
def look(what: str) -> str:
    """Look it up."""
    return f"seen {what}"


CODES = codes((look,))


def answer(request: Request) -> Said:
    if request.turn < TURNS - 1:
        return Said("Let me look.", (Call("look", {"what": "it"}),), tokens=Tokens(100, 20))
    return Said("It is there.", tokens=Tokens(150, 10))


@dataclass(frozen=True)
class Crowd:
    """What the provider allows in each ``window``; the limiter takes it for ``minute`` seconds."""

    requests: int
    window: float
    minute: float
    slow: bool = False


@dataclass(frozen=True)
class Seen:
    """By the provider. ``most``: calls at a time."""

    calls: int
    refused: int
    most: int
    seconds: float
    ends: Counter[str]


async def play(crowd: Crowd, *, within: float) -> Seen:
    """The users come as soon as the workers listen, and the guard process after them: nobody answers at first."""
    limit = Limit(requests=crowd.requests, window=crowd.window)
    served = fake_provider(replies=answer, prices=PRICES, limit=limit)
    async with served as server, fleet(workers=0) as board:
        async with _processes(crowd, bus_url(), board.subjects.prefix, server.url) as processes:
            keys = [await board.submit("gpt", "where is it?") for _ in range(USERS)]
            assert processes.stdin is not None
            await processes.stdin.send(b"go\n")
            runs = [await told(board, key, within=within) for key in keys]
        allowed = [(request.at, request.done) for request in server.requests if request.status != 429]
        most = max(sum(other <= at < (done or inf) for other, done in allowed) for at, _ in allowed)
        seconds, refused = allowed[-1][0] - allowed[0][0], len(server.requests) - len(allowed)
        return Seen(len(allowed), refused, most, seconds, Counter(run.end for run in runs))


@asynccontextmanager
async def _processes(crowd: Crowd, *there: str) -> AsyncGenerator[Process]:
    """The workers, ready, and the guard, which waits for a line; all end with the one that they are forks of."""
    how = (str(crowd.requests), str(crowd.minute), "slow" if crowd.slow else "")
    command = [sys.executable, "-m", "tests.guards.rate.crowd", *there, *how]
    async with await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=None) as process:
        try:
            assert process.stdout is not None
            ready = 0
            with anyio.fail_after(120):
                async for text in TextReceiveStream(process.stdout):
                    if (ready := ready + text.count("ready")) == WORKERS:
                        break
            assert ready == WORKERS, "they have ended"
            yield process
        finally:
            process.kill()


# ---- in the processes ------------------------------------------------------------------------------------------------
async def _work(name: str, at: BusAt, provider: str, requests: int) -> None:
    choices = [code.spec.model for code in CODES.values() if code.spec.model.provider == "openai"]
    async with (
        open_bus(at.urls, subjects=at.subjects, name=name) as bus,
        worker_gates(bus, _guarding(requests), worker=name) as gates,
        opened_models(providers(provider), choices) as models,
        Worker(CODES, replace(ports(bus), gates=gates), name=name, open_model=models.open),
    ):
        print("ready", flush=True)
        await anyio.sleep_forever()


async def _guard(at: BusAt, requests: int) -> None:
    sys.stdin.readline()
    await guards_child(at, _guarding(requests), name="guard")(anyio.Event())


def _guarding(requests: int) -> Guarding:
    return replace(NO_GUARDS, rate_limits={"openai/gpt": RateLimit(requests=requests, concurrency=AT_A_TIME)})


def _answer_slowly() -> None:
    listen = limiter.RateLimiter._listen

    def late(self: limiter.RateLimiter, message: Reply) -> None:
        asyncio.get_running_loop().call_later(HEARD_AFTER, listen, self, message)

    limiter.RateLimiter._listen = late


def _live(*given: str) -> None:
    """Import everything, be all of them, and stay until killed."""
    url, prefix, provider, requests, minute, slow = given
    die_with_parent()
    import openai  # noqa: F401 - once for all

    gcra._MINUTE, at, me = float(minute), BusAt((url,), Subjects(prefix)), os.getpid()
    if slow:
        _answer_slowly()
    for name in ("guard", *(f"w{number}" for number in range(WORKERS))):
        if os.fork() == 0:
            die_with_parent(me)
            if name == "guard":
                anyio.run(_guard, at, int(requests))
            else:
                anyio.run(_work, name, at, provider, int(requests))
    signal.pause()


def main() -> None:
    if len(sys.argv) > 1:
        _live(*sys.argv[1:])
        return
    try:
        print(anyio.run(lambda: play(Crowd(requests=30, window=60.0, minute=gcra._MINUTE), within=300)))
    finally:
        SESSION.stop()


if __name__ == "__main__":
    main()
