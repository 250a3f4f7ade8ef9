"""Shell: the provider ``openai-chat``: Chat Completions, at OpenAI or at a compatible server (vLLM, Ollama, llama.cpp).

Where a server does not count tokens, its usage is an estimate from the bytes of the request and of the answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from callboard.models.openai.chat_reply import ChatReading
from callboard.models.openai.chat_wire import request_body
from callboard.models.openai.streaming import Connection, Dialect
from callboard.models.port import ChatReply, ChatRequest, Delta

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class ChatCompletionsModel:
    """Models behind ``POST /chat/completions``; without a ``base_url`` at OpenAI. An empty key is sent as ``none``."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        headers: Mapping[str, str] = _NONE,
        stall_timeout: float = 60.0,
    ) -> None:
        self._connection = Connection(api_key, base_url, headers=headers, stall_timeout=stall_timeout)
        self._dialect = Dialect("/chat/completions", partial(request_body, at_openai=base_url is None), ChatReading)

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | ChatReply, None]:
        """As ``ChatModel`` has it."""
        return self._connection.stream(self._dialect, request)

    async def aclose(self) -> None:
        """Close the connections. Afterwards nothing can be asked."""
        await self._connection.aclose()
