"""Shell: one HTTP client for an entry of a provider, and its streams, whatever ends them. Opening imports the SDK."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
from pydantic import JsonValue

from callboard.clock import SystemClock
from callboard.config.times import duration
from callboard.errors import ModelError
from callboard.models.openai.failures import limits, refused, reported, truncated, unreachable, without
from callboard.models.openai.reading import END, Reading
from callboard.models.port import ChatReply, ChatRequest, Delta, Unseen

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream

T = TypeVar("T")
_OPENAI: Final = "https://api.openai.com/v1"
_NO_KEY: Final = "none"
"""For servers that want no key: the SDK insists on one."""
_DRAIN: Final = 0.1
_CLOSE: Final = 1.0
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
        begun = False
        try:
            async with self._asked(dialect, request) as (attempt, events, reading):
                while not reading.over:
                    pieces = reading.read(await attempt.wait_for(anext(events, END)))
                    if reading.over:
                        await _drain(events)
                    elif not begun:
                        begun = True
                        yield Unseen()
                    for piece in pieces:
                        yield piece
        except ModelError as error:
            told = without(error, self._secrets)
            if told is error:
                raise
            raise told from None  # what it came from quotes them too

    async def aclose(self) -> None:
        """Close the connections. Afterwards nothing can be asked."""
        await self._client.close()

    @asynccontextmanager
    async def _asked(
        self, dialect: Dialect, request: ChatRequest
    ) -> AsyncGenerator[tuple[_Attempt, AsyncStream[object], Reading], None]:
        attempt = _Attempt(request, self._stall_timeout, clock=self._clock)
        body = dialect.body(request)
        events = await attempt.wait_for(self._post(dialect.path, body))
        attempt.limits = limits(events.response.headers)
        try:
            yield attempt, events, dialect.reading(body, attempt.limits)
        finally:
            with anyio.move_on_after(_CLOSE, shield=True):  # at once, also when cancelled
                await events.close()

    async def _post(self, path: str, body: Mapping[str, JsonValue]) -> AsyncStream[object]:
        from openai import AsyncStream  # noqa: PLC0415 - imported when opened

        # not `responses.create`: events as they came can be sent back unchanged, and cost less
        return await self._client.post(path, cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object])


class _Attempt:
    """Waits as long as the request may, and says what else ended the waiting. Raises ``ModelError``."""

    def __init__(self, request: ChatRequest, stall_timeout: float, *, clock: SystemClock) -> None:
        self._request = request
        self._deadline = anyio.current_time() + request.timeout
        self._stall_timeout = stall_timeout
        self._clock = clock
        self.limits: Mapping[str, str] | None = None
        """What came with the answer; None: it has not begun."""

    async def wait_for(self, awaited: Awaitable[T]) -> T:
        """What ``awaited`` comes to. A scope for each: one around a ``yield`` would tear others apart."""
        try:
            with anyio.CancelScope(deadline=self._deadline):
                return await awaited
        except Exception as error:
            known = self._failure(error)
            if known is None:
                raise
            raise known from error
        raise unreachable(f"no reply within {duration(self._request.timeout)}", self.limits or {})

    def _failure(self, error: Exception) -> ModelError | None:
        import httpx2  # noqa: PLC0415 - imported by the SDK
        import openai  # noqa: PLC0415 - imported when opened

        if isinstance(error, openai.APIStatusError):
            headers = error.response.headers
            return refused(
                error.status_code, headers, error.body, model=self._request.model.name, now=self._clock.now()
            )
        if isinstance(error, openai.APITimeoutError):
            return unreachable(f"not a byte within {duration(self._stall_timeout)}", self.limits or {})
        if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
            return self._lost(error.__cause__ or error)
        if isinstance(error, openai.APIError):  # an error among the events
            return reported(error.body or error.message, self.limits or {})
        if isinstance(error, ValueError) and self.limits is not None:  # it is parsed as it comes
            return truncated(f"the stream holds what is no JSON: {error}", self.limits)
        return None

    def _lost(self, cause: BaseException) -> ModelError:
        why = f"{type(cause).__name__}: {cause}".rstrip(": ")
        if self.limits is None:
            return unreachable(f"the provider cannot be reached: {why}; check its base URL if this stays", {})
        return truncated(f"the connection was lost in the middle of the answer: {why}", self.limits)


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
