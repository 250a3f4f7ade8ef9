"""A real nats-server for tests: one per pytest worker process, and a prefix of its own for every test.

In a test body::

    async with fresh_bus() as bus:                     # streams exist, everything is deleted at the end
        async with connect(bus_url(), name="other", subjects=bus.subjects) as other: ...
"""

from __future__ import annotations

import json
import secrets
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from callboard.bus.client import Connection, connect
from callboard.bus.reconcile import reconcile
from callboard.bus.server import embedded_server
from callboard.bus.subjects import Subjects
from callboard.bus.topology import QueueLimits, topology


class _SessionBus:
    """One server for the whole session, kept by a thread with an event loop of its own: it outlives every test's."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._ready, self._stop = threading.Event(), threading.Event()
        self._url = ""

    def url(self) -> str:
        if self._thread is None:
            self._thread = threading.Thread(target=anyio.run, args=(self._serve,), name="nats-server", daemon=True)
            self._thread.start()
        self._ready.wait()
        assert self._url, "the nats-server of the session did not start: the reason is printed above"
        return self._url

    def stop(self) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()

    async def _serve(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="callboard-test-") as data_dir:
                async with embedded_server(Path(data_dir), durability="relaxed") as server:
                    self._url = server.url
                    self._ready.set()
                    await anyio.to_thread.run_sync(self._stop.wait)
        finally:
            self._ready.set()


SESSION = _SessionBus()


def bus_url() -> str:
    """The server of this pytest worker process; the first call starts it."""
    return SESSION.url()


@asynccontextmanager
async def fresh_bus(*, limits: QueueLimits | None = None) -> AsyncIterator[Connection]:
    """A connection whose prefix nobody else has, with its streams; they are deleted at the end."""
    subjects = Subjects(f"t{secrets.token_hex(6)}")
    async with connect(bus_url(), subjects=subjects, name="test") as connection:
        specs = topology(subjects) if limits is None else topology(subjects, limits=limits)
        await reconcile(connection, specs)
        try:
            yield connection
        finally:
            with anyio.CancelScope(shield=True):
                await delete_streams(subjects)


async def delete_streams(subjects: Subjects) -> None:
    """Delete every stream under a prefix, over a connection of its own: the test may have closed the other."""
    async with connect(bus_url(), name="test-cleanup") as connection:
        listed = await connection.request("$JS.API.STREAM.NAMES", timeout=5)
        for name in json.loads(listed.payload)["streams"] or ():
            if name.startswith(subjects.stream("")):
                await connection.request(f"$JS.API.STREAM.DELETE.{name}", timeout=5)
