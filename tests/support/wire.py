"""Servers that misbehave in one way, for what a healthy nats-server cannot be made to do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from callboard.bus.server_binary import find_binary


@asynccontextmanager
async def _serving(handle: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    async def guarded(stream: SocketStream) -> None:
        try:
            async with stream:
                await handle(stream)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
            return

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, guarded)
        yield f"nats://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


def talking_server(says: bytes = b"", *, version: str = "2.15.1", jetstream: bool = True):
    """Speaks enough NATS to connect to, answers the first publish of all with ``says``, and others not at all."""
    left = [says] if says else []

    async def handle(stream: SocketStream) -> None:
        await _greet(stream, version=version, jetstream=jetstream)
        lines = BufferedByteReceiveStream(stream)
        while True:
            line = await lines.receive_until(b"\r\n", 65_536)
            if line.startswith(b"PING"):
                await stream.send(b"PONG\r\n")
            elif line.startswith(b"PUB") and left:
                await stream.send(left.pop())

    return _serving(handle)


def answering_late(url: str, *, until: Sequence[str]):
    """Stands before the server at ``url``: who asks one of the questions hears nothing ``until`` all were asked."""
    address = urlsplit(url)

    async def handle(client: SocketStream) -> None:
        asked, all_asked = bytearray(), anyio.Event()
        async with (
            await anyio.connect_tcp(address.hostname, address.port) as server,
            anyio.create_task_group() as tasks,
        ):

            async def answers() -> None:
                async for data in server:
                    if any(each.encode() in asked for each in until):
                        await all_asked.wait()
                    await client.send(data)

            tasks.start_soon(answers)
            async for data in client:
                asked += data
                if all(each.encode() in asked for each in until):
                    all_asked.set()
                await server.send(data)
            tasks.cancel_scope.cancel()

    return _serving(handle)


def silent_server(*, greets: bool = True):
    """Accepts; with ``greets`` it completes the handshake; then it neither reads nor writes."""

    async def handle(stream: SocketStream) -> None:
        if greets:
            await _greet(stream, version="2.15.1", jetstream=True)
            await BufferedByteReceiveStream(stream).receive_until(b"PING\r\n", 65_536)
            await stream.send(b"PONG\r\n")
        await anyio.sleep_forever()

    return _serving(handle)


async def _greet(stream: SocketStream, **facts: object) -> None:
    greeting = {"server_id": "test", "headers": True, "max_payload": 1_048_576, **facts}
    await stream.send(b"INFO " + json.dumps(greeting).encode() + b"\r\n")


@asynccontextmanager
async def configured_server(directory: Path, extra: str) -> AsyncIterator[str]:
    """A real nats-server with settings that callboard's own never has. Yields ``HOST:PORT``."""
    config = directory / "test.conf"
    config.write_text(
        f'listen: "127.0.0.1:-1"\nports_file_dir: "{directory}"\njetstream {{ store_dir: "{directory}" }}\n{extra}\n'
    )
    command = [str(await find_binary()), "-c", str(config)]
    async with await anyio.open_process(command, stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            with anyio.fail_after(10):
                while (address := _address(directory)) is None:  # noqa: ASYNC110 - a file appears, nothing tells us
                    await anyio.sleep(0.01)
            yield address
        finally:
            process.kill()


def _address(directory: Path) -> str | None:
    for path in directory.glob("*.ports"):
        if text := path.read_text():
            return json.loads(text)["nats"][0].removeprefix("nats://")
    return None
