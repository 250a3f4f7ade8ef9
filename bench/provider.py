"""Shell: the fake provider in a process of its own, what it says about its streams, and how one hears it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from bench.child import Heard, child
from bench.conversation import FIRST_PIECE, mark_of, replies
from callboard.testing import FakeProvider, Request, fake_provider

_LOOK_SECONDS = 0.002


async def serve() -> None:
    """Print the address, and of each marked stream when its text began, and when its client left it (ns)."""
    async with fake_provider(replies=replies()) as server:
        print("ready", flush=True)
        print("url", server.url, 0, flush=True)
        await _tell(server)


async def _tell(server: FakeProvider) -> None:
    done = 0
    silent, speaking = dict[int, Request](), dict[int, Request]()
    while True:
        await anyio.sleep(_LOOK_SECONDS)
        fresh = server.requests[done:]
        done += len(fresh)
        silent |= {request.number: request for request in fresh if mark_of(request.body)}
        for number, request in tuple(silent.items()):
            if request.chunks >= FIRST_PIECE[request.wire]:
                speaking[number] = silent.pop(number)
                _say("spoke", request, anyio.current_time())
        for number, request in tuple(speaking.items()):
            if request.left is not None:
                _say("left", request, request.left)
            if request.left is not None or request.done is not None:
                del speaking[number]


def _say(what: str, request: Request, at: float) -> None:
    print(what, mark_of(request.body), round(at * 1e9), flush=True)


@asynccontextmanager
async def provider(heard: Heard) -> AsyncGenerator[str]:
    """The address of a fake provider; what it says goes to ``heard``."""
    async with child("provider", heard=heard):
        await heard.until(lambda: bool(heard.of("url")))
        yield next(iter(heard.of("url")))
