"""Shell: as much of an HTTP/1.1 server as the fake provider needs, on one TCP connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import anyio
from anyio.abc import ByteStream

_LARGEST_HEAD: Final = 1 << 16
_LARGEST_BODY: Final = 1 << 26


class NotHttp(Exception):
    """The client said what is no request. Never leaves this package."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One client. Not for pipelining: the next request is read when the last one is answered."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def receive(self) -> HttpRequest | None:
        """The next request; None when the client has gone."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _LARGEST_HEAD or not await self._fill():
                return None
        head = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        words = head[0].split(" ")
        if len(words) != len(("method", "path", "version")):
            raise NotHttp(f"the request begins with {head[0][:80]!r}")
        fields = (line.partition(":") for line in head[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return HttpRequest(words[0], words[1].partition("?")[0], headers, await self._body(headers))

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", ""):
            length = headers.get("content-length", "0")
            return await self._exactly(int(length) if length.isdigit() else 0)
        body = bytearray()
        while size := int((await self._line()).partition(b";")[0], 16):
            body += await self._exactly(size)
            await self._line()
        await self._line()
        return bytes(body)

    async def gone(self) -> None:
        """Return when the client closes. What it sends meanwhile is kept."""
        while await self._fill():
            pass

    async def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer."""
        await self._stream.send(_head(status, {**headers, "content-length": str(len(body))}) + body)

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of an answer that comes in chunks."""
        await self._stream.send(_head(status, {**headers, "transfer-encoding": "chunked"}))

    async def chunk(self, data: bytes) -> None:
        """The next piece."""
        await self._stream.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        """No more pieces."""
        await self._stream.send(b"0\r\n\r\n")

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if not await self._fill():
                raise NotHttp("the connection ended within a request")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def _exactly(self, size: int) -> bytes:
        if size > _LARGEST_BODY:
            raise NotHttp(f"a body of {size} bytes, at most {_LARGEST_BODY}")
        while len(self._buffer) < size:
            if not await self._fill():
                raise NotHttp("the connection ended within a request")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _fill(self) -> bool:
        """Whether more came; False: the client has gone."""
        try:
            self._buffer += await self._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        return True


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    known = {each.value: each.phrase for each in HTTPStatus}
    lines = [
        f"HTTP/1.1 {status} {known.get(status, 'Unknown')}",
        *(f"{name}: {text}" for name, text in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
