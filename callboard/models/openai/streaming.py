"""Shell: one HTTP client for an entry of a provider, and its streams, whatever ends them. Opening imports the SDK."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import anyio
from pydantic import JsonValue

from callboard.clock import SystemClock
from callboard.config.times import duration
from callboard.errors import ModelError
from callboard.models.openai.failures import limits, refused, reported, truncated, unreachable, unsendable, unstreamed
from callboard.models.openai.reading import END, Reading
from callboard.models.port import ChatReply, ChatRequest, Delta, Unseen
from callboard.models.unquoted import without
from callboard.models.unstreamed import no_stream

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream

_OPENAI: Final = "https://api.openai.com/v1"
_NO_KEY: Final = "none"
"""For servers that want no key: the SDK insists on one."""
_DRAIN: Final = 0.1
_CLOSE: Final = 1.0
_UNSENDABLE: Final = frozenset({"InvalidURL", "LocalProtocolError", "UnsupportedProtocol"})
_LIBRARIES: Final = frozenset({"h11", "httpcore2", "httpx2"})
_CHATTY: Final = ("openai", "httpx2", "httpcore2")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of the APIs: where it is, what it is asked, how its events are read."""

    path: str
    body: Callable[[ChatRequest], dict[str, JsonValue]]
    reading: Callable[[Mapping[str, JsonValue], Mapping[str, str]], Reading]


class Connection:
    """Serves many calls at once. The key goes into the header of its requests, and nowhere else.

    ``stall_timeout``: seconds without a byte after which a stream is given up.
    """

    def __init__(self, api_key: str, base_url: str | None, *, headers: Mapping[str, str], stall_timeout: float) -> None:
        self._secrets = (api_key, *headers.values())
        self._stall_timeout = stall_timeout
        self._clock = SystemClock()
        self._client = _open(api_key or _NO_KEY, base_url or _OPENAI, headers=headers, stall_timeout=stall_timeout)

    async def stream(self, dialect: Dialect, request: ChatRequest) -> AsyncGenerator[Delta | ChatReply, None]:
        """One attempt, as ``ChatModel.stream`` has it."""
        events: AsyncStream[object] | None = None
        begun = False
        try:
            body = dialect.body(request)
            events = await self._post(dialect.path, body)
            if kind := no_stream(events.response.headers):
                await _refused(kind, events)
            reading = dialect.reading(body, limits(events.response.headers))
            while not reading.over:
                pieces = reading.read(await anext(events, END))
                if reading.over:
                    await _drain(events)
                elif not begun:
                    begun = True
                    yield Unseen()
                for piece in pieces:
                    yield piece
        except Exception as error:
            known = error if isinstance(error, ModelError) else self._failed(error, request, events)
            if known is None:
                raise
            told = without(known, self._secrets)
            if told is error:
                raise
            raise told from (error if told is known else None)  # what it came from quotes them too
        finally:
            if events is not None:
                with anyio.move_on_after(_CLOSE, shield=True):  # at once, also when cancelled
                    await events.close()

    async def aclose(self) -> None:
        """Close the connections. Afterwards nothing can be asked."""
        await self._client.close()

    async def _post(self, path: str, body: Mapping[str, JsonValue]) -> AsyncStream[object]:
        from openai import AsyncStream  # noqa: PLC0415 - imported when opened

        # not `responses.create`: events as they came can be sent back unchanged, and cost less
        return await self._client.post(path, cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object])

    def _failed(self, error: Exception, request: ChatRequest, events: AsyncStream[object] | None) -> ModelError | None:
        """What ``error`` means; None: it is nothing that a provider can do. ``events``: the answer had begun."""
        import httpx2  # noqa: PLC0415 - imported by the SDK
        import openai  # noqa: PLC0415 - imported when opened

        known = None if events is None else limits(events.response.headers)
        if isinstance(error, openai.APIStatusError):
            headers = error.response.headers
            return refused(error.status_code, headers, error.body, model=request.model.name, now=self._clock.now())
        if isinstance(error, openai.APITimeoutError):
            return unreachable(f"not a byte within {duration(self._stall_timeout)}", known or {})
        if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
            return _lost(error.__cause__ or error, known)
        if isinstance(error, openai.APIError):  # an error among the events
            return reported(error.body or error.message, known or {})
        if isinstance(error, ValueError | RecursionError) and known is not None:  # it is parsed as it comes
            return truncated(f"the stream holds what is no JSON: {error}", known)
        return unsendable(error) if known is None and _is_of_sending(error) else None


async def _refused(kind: str, events: AsyncStream[object]) -> NoReturn:
    """It was answered with something else: what that means."""
    raise unstreamed(kind, await events.response.aread(), limits(events.response.headers))


def _lost(cause: BaseException, limits: Mapping[str, str] | None) -> ModelError:
    if type(cause).__name__ in _UNSENDABLE:
        return unsendable(cause)
    why = f"{type(cause).__name__}: {cause}".rstrip(": ")
    if limits is None:
        return unreachable(f"the provider cannot be reached: {why}; check its base URL if this stays", {})
    return truncated(f"the connection was lost in the middle of the answer: {why}", limits)


def _is_of_sending(error: Exception) -> bool:
    """A value that no request can have, or what the libraries below the SDK let through."""
    of_library = type(error).__module__.partition(".")[0] in _LIBRARIES
    return of_library or isinstance(error, ValueError | RecursionError | OverflowError | OSError | ExceptionGroup)


async def _drain(events: AsyncStream[object]) -> None:
    """Read what is left, which says nothing: only then the next call can have the connection."""
    with anyio.move_on_after(_DRAIN), suppress(Exception):  # the answer is whole
        while await anext(events, END) is not END:
            pass


def _open(api_key: str, base_url: str, *, headers: Mapping[str, str], stall_timeout: float) -> AsyncOpenAI:
    from openai import AsyncOpenAI, Timeout  # noqa: PLC0415 - imported when opened: a second of CPU

    client = AsyncOpenAI(
        api_key=api_key,
        base_url=base_url,
        max_retries=0,
        timeout=Timeout(stall_timeout),
    )
    for name in _CHATTY:  # they write out requests and addresses, if a variable says so
        logging.getLogger(name).setLevel(logging.WARNING)
    # what it found in the environment is nobody's business at a compatible server
    client.organization = client.project = client.admin_api_key = None
    client._custom_headers = dict(headers)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # it has no other way
    return client
