"""Shell: the nats-server on a data directory, ours or another process's, kept alive as long as it is needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import anyio

from callboard.actors.actor import running
from callboard.bus.server import Durability, EmbeddedServer, embedded_server, live_server
from callboard.errors import ConfigError
from callboard.log import get_logger

log = get_logger(__name__)
DATA_DIR: Final = Path(".callboard")
"""Where the bus keeps its data if nobody says otherwise: in the current directory, for all to see."""
_LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class ServerAt:
    """A server on this machine. ``joined``: it was running already."""

    url: str
    data_dir: Path
    joined: bool


@asynccontextmanager
async def kept_server(
    data_dir: Path, *, durability: Durability = "always", port: int | None = None
) -> AsyncGenerator[ServerAt]:
    """The server that runs on ``data_dir``, else one of our own; it answers at its url until the context is left.

    One of another process may end with that process: then a server of our own takes its place, on the same data and
    the same port. One of our own that dies is started again.
    """
    url = live_server(data_dir)
    if url is not None:
        async with running(partial(_take_over, data_dir, url, durability)):
            yield ServerAt(url, data_dir, joined=True)
    else:
        async with (
            embedded_server(data_dir, durability=durability, port=port) as server,
            running(partial(_restart, server)),
        ):
            yield ServerAt(server.url, data_dir, joined=False)


async def _restart(server: EmbeddedServer, ready: anyio.Event) -> None:
    ready.set()
    while True:
        code = await server.died()
        log.error("nats-server ended, starting it again", code=code, log=str(server.log_path))
        await server.start()


async def _take_over(data_dir: Path, url: str, durability: Durability, ready: anyio.Event) -> None:
    ready.set()
    port = urlsplit(url).port
    while True:
        await anyio.sleep(_LOOK_SECONDS)
        if live_server(data_dir) is not None:
            continue
        try:
            async with embedded_server(data_dir, durability=durability, port=port) as server:
                log.info("nats-server ended with its process, took its place", url=server.url)
                await _restart(server, ready)
        except ConfigError:
            continue  # another process was faster
