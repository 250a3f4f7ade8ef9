"""Pure: what workers and the rate limiter say to each other on ``cb.gate.<tenant>.rate``."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from callboard.bus.values import Message, Token

GUARD = "rate"
Tokens = Annotated[int, Field(ge=0, le=10**12)]
Most: TypeAlias = Annotated[int | None, Field(ge=1, le=10**15)]
Wait = Annotated[float, Field(ge=0, le=1e6)]


class Take(Message):
    """May this call start? Asked again every second by who still waits. ``line`` is the name of the limit.

    ``away``: its run is put off for so many seconds; keep its place.
    """

    type: Literal["take"] = "take"
    id: Token
    line: str
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    lease: Wait
    away: Wait = 0.0


class Begun(Message):
    """The call is on its way to the provider now, whoever let it go: who did not know of it counts it."""

    type: Literal["begun"] = "begun"
    id: Token
    line: str
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    lease: Wait


def begun(take: Take) -> Begun:
    """What is said when the call of ``take`` begins."""
    return Begun(
        id=take.id, line=take.line, input_tokens=take.input_tokens, output_tokens=take.output_tokens, lease=take.lease
    )


class Allowed(Message):
    """What the provider says that it allows in a minute. None: it says nothing."""

    requests: Most = None
    input_tokens: Most = None
    output_tokens: Most = None


class Done(Message):
    """The call is over, or (not ``started``) waits no more.

    ``frozen``: the provider wants so many seconds of quiet. ``allowed``: what it said beside its answer.
    """

    type: Literal["done"] = "done"
    id: Token
    line: str
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    started: bool = True
    frozen: Wait = 0.0
    allowed: Allowed | None = None


class Answer(Message):
    """``queued``: ``wait`` is when it may be its turn, at the earliest. ``unknown``: there is no such limit here."""

    id: Token
    status: Literal["granted", "queued", "unknown"]
    wait: Wait = 0.0


Question: TypeAlias = Annotated[Take | Begun | Done, Field(discriminator="type")]
QUESTION: TypeAdapter[Take | Begun | Done] = TypeAdapter(Question)
