"""Shell: Claude, through Anthropic's SDK. Only this module knows it, and imports it for the first adapter."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn

import anyio

from callboard.clock import Clock, SystemClock
from callboard.errors import ConfigError, ModelError
from callboard.models.anthropic.answer import Answer
from callboard.models.anthropic.failures import failure, limits_of, unstreamed
from callboard.models.anthropic.wire import body_of
from callboard.models.port import ChatReply, ChatRequest, Delta
from callboard.models.unquoted import without
from callboard.models.unstreamed import no_stream

if TYPE_CHECKING:
    from anthropic import AsyncStream

_URL: Final = "https://api.anthropic.com"
_PATH: Final = "/v1/messages"
_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 0.25
"""For the end of a stream that is complete: a connection that was read to its end serves the next call too."""
_CHATTY: Final = ("anthropic", "httpx2", "httpcore2")
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
        self._secrets = (api_key, *headers.values())
        self._stall_timeout, self._clock = stall_timeout, clock or SystemClock()
        self._events = AsyncStream[object]  # the provider's JSON, untouched
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
        body = body_of(request)
        answer = Answer(body)
        stream: AsyncStream[object] | None = None
        limits: Mapping[str, str] = _NONE
        try:
            stream = await self._client.post(_PATH, cast_to=object, body=body, stream=True, stream_cls=self._events)
            limits = limits_of(stream.response.headers)
            if kind := no_stream(stream.response.headers):
                await self._refused(kind, stream, request)
            while not answer.complete:
                if (piece := answer.hear(await anext(stream, None))) is not None:
                    yield piece
        except Exception as error:
            known = error if isinstance(error, ModelError) else self._failed(error, request, begun=stream is not None)
            told = without(known, self._secrets)
            if told is error:
                raise
            raise told from (error if told is known else None)  # what it came from quotes them too
        finally:
            if stream is not None:
                await _leave(stream, complete=answer.complete)
        yield answer.reply(limits)

    async def aclose(self) -> None:
        """Close the HTTP client; calls under way fail."""
        await self._client.close()

    async def _refused(self, kind: str, stream: AsyncStream[object], request: ChatRequest) -> NoReturn:
        """It was answered with something else: what that means."""
        content, headers = await stream.response.aread(), stream.response.headers
        raise unstreamed(kind, content, headers, model=request.model.name, now=self._clock.now())

    def _failed(self, error: Exception, request: ChatRequest, *, begun: bool) -> ModelError:
        now, model = self._clock.now(), request.model.name
        return failure(error, model=model, stall=self._stall_timeout, now=now, begun=begun)


async def _leave(stream: AsyncStream[object], *, complete: bool) -> None:
    """Close the HTTP stream, whatever goes on around, and let the SDK's generator end."""
    with anyio.move_on_after(_CLOSE_SECONDS, shield=True), suppress(Exception):
        if not complete:
            await stream.close()
        await anext(stream, None)
    with anyio.CancelScope(shield=True), suppress(Exception):
        await stream.close()
