"""Shell: Claude, through Anthropic's SDK. Only this module knows it, and imports it for the first adapter."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from callboard.clock import Clock, SystemClock
from callboard.config.times import duration
from callboard.errors import ConfigError, ModelError
from callboard.models.anthropic.answer import Answer
from callboard.models.anthropic.failures import failure, limits_of
from callboard.models.anthropic.wire import Body, body_of
from callboard.models.port import ChatReply, ChatRequest, Delta

if TYPE_CHECKING:
    from anthropic import AsyncStream

T = TypeVar("T")

_URL: Final = "https://api.anthropic.com"
_PATH: Final = "/v1/messages"
_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 0.25
"""For the end of a stream that is complete: a connection that was read to its end serves the next call too."""
_CHATTY: Final = ("anthropic", "httpx2", "httpcore2")
_END: Final = object()
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class AnthropicModel:
    """One provider entry: serves many calls at once over one HTTP client. ``stall_timeout``: seconds without a byte."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        headers: Mapping[str, str] = _NONE,
        stall_timeout: float = 60.0,
        clock: Clock | None = None,
    ) -> None:
        if not api_key.isascii() or not api_key.isprintable() or not api_key.strip() or " " in api_key:
            raise ConfigError("the key of anthropic is no key: expected printable ASCII without blanks")
        from anthropic import AsyncAnthropic, AsyncStream, Timeout  # noqa: PLC0415 - 2.5 s that only users of it pay

        for name in _CHATTY:  # they write out requests and addresses
            logging.getLogger(name).setLevel(logging.WARNING)
        self._api_key, self._stall_timeout, self._clock = api_key, stall_timeout, clock or SystemClock()
        self._events = AsyncStream[object]
        self._client = AsyncAnthropic(
            api_key=api_key,
            base_url=base_url or _URL,
            max_retries=0,  # every attempt is an event of the journal
            timeout=Timeout(stall_timeout, connect=min(_CONNECT_SECONDS, stall_timeout)),
            open_telemetry=False,
        )
        # instead of what it found in the environment, which may even have another key: it has no other way
        self._client._custom_headers = dict(headers)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | ChatReply, None]:
        """See ``ChatModel``. The HTTP stream is closed when this generator is, before anything else happens."""
        body, answer = body_of(request), Answer()
        until = anyio.current_time() + request.timeout
        stream: AsyncStream[object] | None = None
        try:
            stream = await self._within(until, request, self._ask(body), begun=False)
            while not answer.complete:
                event = await self._within(until, request, anext(stream, _END), begun=True)
                if event is _END:
                    raise ModelError("truncated", "the stream ended without its terminal event", retryable=True)
                if (piece := answer.hear(event)) is not None:
                    yield piece
            yield answer.reply(limits_of(stream.response.headers))
        finally:
            if stream is not None:
                await _leave(stream, complete=answer.complete)

    async def aclose(self) -> None:
        """Close the HTTP client; calls under way fail."""
        await self._client.close()

    async def _ask(self, body: Body) -> AsyncStream[object]:
        """The stream of a call, once its headers are there. Its events are the provider's JSON, untouched."""
        return await self._client.post(_PATH, cast_to=object, body=body, stream=True, stream_cls=self._events)

    async def _within(self, until: float, request: ChatRequest, step: Awaitable[T], *, begun: bool) -> T:
        """One wait. A scope around all of them would be torn by a consumer that leaves between two."""
        with anyio.CancelScope(deadline=until):
            try:
                return await step
            except Exception as error:
                raise failure(
                    error,
                    model=request.model.name,
                    stall=self._stall_timeout,
                    now=self._clock.now(),
                    secret=self._api_key,
                    begun=begun,
                ) from error
        raise ModelError("network", f"no reply within {duration(request.timeout)}", retryable=True)


async def _leave(stream: AsyncStream[object], *, complete: bool) -> None:
    """Close the HTTP stream, whatever goes on around, and let the SDK's generator end."""
    with anyio.move_on_after(_CLOSE_SECONDS, shield=True), suppress(Exception):
        if not complete:
            await stream.close()
        await anext(stream, None)
    with anyio.CancelScope(shield=True), suppress(Exception):
        await stream.close()
