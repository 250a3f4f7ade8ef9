"""Shell: waiting for a model: for its first sign of life, and for its reply."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import anyio

from callboard.config.times import duration
from callboard.errors import ModelError
from callboard.models.port import ChatModel, ChatReply, ChatRequest, Delta, TextDelta


def _nobody() -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class Heard:
    """What came of an answer so far: whether it has ``begun``, its text, and the bytes beside it.

    ``on_begin`` is called when it begins.
    """

    on_begin: Callable[[], None] = _nobody
    begun: bool = False
    texts: list[str] = field(default_factory=list[str])
    unseen: int = 0

    def take(self, piece: Delta) -> bool:
        """Whether it said something, be it beside the text."""
        if not self.begun:
            self.begin()
        if isinstance(piece, TextDelta):
            self.texts.append(piece.text)
            return True
        self.unseen += piece.size
        return piece.size > 0

    def begin(self) -> None:
        """It has begun."""
        if not self.begun:
            self.begun = True
            self.on_begin()

    @property
    def size(self) -> int:
        """The bytes of all that the model said."""
        return self.unseen + len("".join(self.texts).encode("utf-8", "replace"))


async def reply_of(
    model: ChatModel, request: ChatRequest, heard: Heard, *, tell: Callable[[str], None], first_token: float
) -> ChatReply:
    """The reply of one call; what comes goes into ``heard``, and its text is told. Raises ``ModelError``.

    The stream must say something within ``first_token`` seconds and its reply within ``request.timeout``.
    """
    until = anyio.current_time() + request.timeout
    silent = ""
    # One scope whose deadline moves: a scope that ended in the middle of the stream would tear those inside it apart
    with anyio.CancelScope(deadline=until) as patience:
        if first_token < request.timeout:
            patience.deadline, silent = anyio.current_time() + first_token, "no first token"  # until it says something
        async with aclosing(model.stream(request)) as stream:
            async for piece in stream:
                if isinstance(piece, ChatReply):
                    heard.begin()
                    return piece
                if heard.take(piece) and silent:  # to move it costs as much as the piece
                    patience.deadline, silent = until, ""
                if isinstance(piece, TextDelta):
                    tell(piece.text)
        raise ModelError("truncated", "the stream ended without its terminal event", retryable=True)
    within = first_token if silent else request.timeout
    raise ModelError("network", f"{silent or 'no reply'} within {duration(within)}", retryable=True)
