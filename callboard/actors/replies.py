"""Shell: waiting for a model: for its first sign of life, and for its reply."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

import anyio

from callboard.config.times import duration
from callboard.errors import ModelError
from callboard.models.port import ChatModel, ChatReply, ChatRequest


async def reply_of(
    model: ChatModel, request: ChatRequest, said: list[str], *, tell: Callable[[str], None], first_token: float
) -> ChatReply:
    """The reply of one call; what it says goes into ``said`` as it comes, and is told. Raises ``ModelError``.

    The stream must yield something within ``first_token`` seconds and its reply within ``request.timeout``.
    """
    until = anyio.current_time() + request.timeout
    silent = "no reply"
    # One scope whose deadline moves: a scope that ended in the middle of the stream would tear those inside it apart
    with anyio.CancelScope(deadline=until) as patience:
        if first_token < request.timeout:
            patience.deadline, silent = anyio.current_time() + first_token, "no first token"
        async with aclosing(model.stream(request)) as stream:
            async for piece in stream:
                if isinstance(piece, ChatReply):
                    return piece
                patience.deadline, silent = until, "no reply"
                said.append(piece.text)
                tell(piece.text)
        raise ModelError("truncated", "the stream ended without its terminal event", retryable=True)
    within = first_token if silent == "no first token" else request.timeout
    raise ModelError("network", f"{silent} within {duration(within)}", retryable=True)
