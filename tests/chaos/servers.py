"""Shell: the servers of a storm: one, or a cluster of three, all on loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from callboard.bus.server import EmbeddedServer, embedded_server


@dataclass
class OneServer:
    """A server that flushes every write."""

    server: EmbeddedServer
    replicas: int = 1

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.server.url,)

    async def strike(self, pick: float, lasts: float) -> None:
        await self.server.kill()
        await anyio.sleep(lasts)
        await self.server.start()


@asynccontextmanager
async def one_server(folder: Path) -> AsyncGenerator[OneServer]:
    async with embedded_server(folder / "server", durability="always") as server:
        yield OneServer(server)
