"""The server on a data directory stays, whoever started it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio

from callboard.app.server import kept_server
from callboard.bus.client import connect
from callboard.bus.server import embedded_server, live_server


async def answers(url: str) -> None:
    with anyio.fail_after(15):
        async with connect(url, name="test") as connection:
            await connection.barrier()


async def test_a_server_of_ours_that_is_killed_comes_back_at_its_url(tmp_path: Path) -> None:
    async with kept_server(tmp_path, durability="relaxed") as server, connect(server.url, name="test") as connection:
        assert not server.joined
        back = anyio.Event()
        with connection.on_reconnect(back.set), anyio.fail_after(15):
            os.kill(_pid(tmp_path), signal.SIGKILL)
            await back.wait()
    assert live_server(tmp_path) is None


async def test_a_server_of_another_is_used_and_replaced_when_it_ends(tmp_path: Path) -> None:
    async with (
        embedded_server(tmp_path, durability="relaxed") as other,
        kept_server(tmp_path, durability="relaxed") as server,
        connect(server.url, name="t") as connection,
    ):
        assert server.joined
        assert server.url == other.url
        back = anyio.Event()
        with connection.on_reconnect(back.set), anyio.fail_after(15):
            await other.stop()
            os.close(other._lock)
            other._lock = os.open(os.devnull, os.O_RDONLY)
            await back.wait()
        await answers(server.url)


def _pid(data_dir: Path) -> int:
    import json

    return int(json.loads((data_dir / "callboard-server.json").read_text())["pid"])
