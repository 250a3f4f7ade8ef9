"""Shell: a cluster of three real servers on loopback, with the configuration that we ship."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

import anyio
from anyio.abc import Process

from callboard.bus.server_binary import find_binary, tied
from tests.chaos.zygote import ROOT
from tests.support.ports import free_ports

NAMES = ("nats-1", "nats-2", "nats-3")
FORMS_WITHIN = 30.0


@dataclass
class Node:
    """A server that can be killed, and started again on the same data and ports."""

    name: str
    folder: Path
    port: int
    environment: dict[str, str]
    process: Process | None = None

    @property
    def leads(self) -> bool:
        """Has it found out that it is the leader of the cluster's metadata, or who is?"""
        return "metadata leader" in (self.folder / "log").read_text()

    async def start(self) -> None:
        command = [str(await find_binary()), "-c", str(ROOT / "deploy" / "nats.conf")]
        with (self.folder / "log").open("ab") as log:
            self.process = await anyio.open_process(
                tied(command), env=os.environ | self.environment, stdin=DEVNULL, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


@dataclass
class Cluster:
    """Three nodes, three copies of everything."""

    nodes: list[Node]
    replicas: int = 3

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"nats://127.0.0.1:{node.port}" for node in self.nodes)

    async def strike(self, pick: float, lasts: float) -> None:
        node = self.nodes[int(pick * len(self.nodes))]
        await node.kill()
        await anyio.sleep(lasts)
        await node.start()


@asynccontextmanager
async def cluster(folder: Path) -> AsyncGenerator[Cluster]:
    """Started; ready when its first stream can be made, which is for the caller to try."""
    nodes = list(_nodes(folder))
    try:
        for node in nodes:
            await node.start()
        with anyio.fail_after(FORMS_WITHIN):
            while not any(node.leads for node in nodes):  # noqa: ASYNC110 - its log is all that tells
                await anyio.sleep(0.05)
        yield Cluster(nodes)
    finally:
        with anyio.CancelScope(shield=True):
            for node in nodes:
                await node.kill()


def _nodes(folder: Path) -> list[Node]:
    clients, routes, monitors = free_ports(3), free_ports(3), free_ports(3)
    nodes = []
    for name, client, route, monitor in zip(NAMES, clients, routes, monitors, strict=True):
        home = folder / name
        home.mkdir(parents=True)
        environment = {
            "SERVER_NAME": name,
            "LISTEN": f'"127.0.0.1:{client}"',
            "MONITOR": f'"127.0.0.1:{monitor}"',
            "CLUSTER_LISTEN": f'"127.0.0.1:{route}"',
            "ROUTES": json.dumps([f"nats://127.0.0.1:{other}" for other in routes]),
            "STORE_DIR": json.dumps(str(home)),
            "MAX_FILE_STORE": "1GB",
        }
        nodes.append(Node(name, home, client, environment))
    return nodes
