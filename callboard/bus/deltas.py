"""Pure: what a model says while it says it: the pieces of an answer, and the port that carries them.

They are no events of a journal. One may be lost, repeated, or come late; the journal has the whole text.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Final, Literal, Protocol

from pydantic import Field, ValidationError

from callboard.bus.subjects import RunKey
from callboard.bus.values import Message


class ModelDelta(Message):
    """A piece of the text of an attempt. ``n`` characters (Unicode code points) of that text lie before it."""

    type: Literal["model.delta"] = "model.delta"
    call: str
    attempt: Annotated[int, Field(ge=1)]
    n: Annotated[int, Field(ge=0)]
    text: str


class TextReplaced(Message):
    """Told to readers, never on the bus: other text takes the place of what they were shown of an attempt."""

    type: Literal["model.replaced"] = "model.replaced"
    call: str
    attempt: int


class Tokens(Protocol):
    """Where a worker tells what models say. Nothing that happens there is noticed by the call."""

    def telling(self, key: RunKey, call: str, attempt: int) -> AbstractContextManager[Callable[[str], None]]:
        """For as long as the body runs: hand over the attempt's text, piece by piece. Never waits, never raises."""
        ...


class NoTokens:
    """Implements ``Tokens``: nobody is told."""

    def telling(
        self,
        key: RunKey,  # noqa: ARG002 - the port's
        call: str,  # noqa: ARG002 - the port's
        attempt: int,  # noqa: ARG002 - the port's
    ) -> AbstractContextManager[Callable[[str], None]]:
        return _TO_NOBODY


def decode_delta(payload: bytes) -> ModelDelta | None:
    """None for what is no delta."""
    try:
        return ModelDelta.model_validate_json(payload)
    except ValidationError:
        return None


def _ignored(text: str) -> None:
    del text


_TO_NOBODY: Final = nullcontext(_ignored)
