"""Shell: the provider ``openai``: the Responses API, of which nothing is stored there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from types import MappingProxyType
from typing import Final

from callboard.models.openai.responses_reply import ResponseReading
from callboard.models.openai.responses_wire import request_body
from callboard.models.openai.streaming import Connection, Dialect
from callboard.models.port import ChatReply, ChatRequest, Delta

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_RESPONSES: Final = Dialect("/responses", request_body, ResponseReading)


class ResponsesModel:
    """Models behind ``POST /responses``. One instance serves many runs at once."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        headers: Mapping[str, str] = _NONE,
        stall_timeout: float = 60.0,
    ) -> None:
        self._connection = Connection(api_key, base_url, headers=headers, stall_timeout=stall_timeout)

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | ChatReply, None]:
        """As ``ChatModel`` has it."""
        return self._connection.stream(_RESPONSES, request)

    async def aclose(self) -> None:
        """Close the connections. Afterwards nothing can be asked."""
        await self._connection.aclose()
