"""Pure: what the models of the configuration are made of."""

from __future__ import annotations

from typing import Annotated, Final

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from callboard.config.durations import parse_duration

NAME: Final = r"^[A-Za-z0-9_-]{1,64}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
MODEL: Final = r"^[A-Za-z0-9_-]{1,64}/[^\s/][^\s]{0,255}$"
ModelName = Annotated[str, StringConstraints(pattern=MODEL)]
"""``provider/model``."""
FAMILY: Final = r"^[A-Za-z0-9_-]{1,64}/(\*|[^\s/*][^\s*]{0,255}\*?)$"
FamilyName = Annotated[str, StringConstraints(pattern=FAMILY)]
"""``provider/model``, ``provider/beginning*``."""

ADDRESS: Final = r"^https?://[^\s/?#@]+([/?#]\S*)?$"
Address = Annotated[str, StringConstraints(pattern=ADDRESS)]
"""Of a server, without user and password."""


def _not_a_bool(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("a_bool", "expected a number")
    return value


NOT_A_BOOL: Final = BeforeValidator(_not_a_bool)
"""``true`` is not 1. Stands last, so that the bounds before it stay in the JSON schema."""


def _switched(value: object) -> object:
    """A text as it comes out of a variable; every other one is no switch: ``yes`` is a text, and would be true."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Switch = Annotated[bool, pydantic.Strict(), BeforeValidator(_switched)]
"""``true`` or ``false``, and nothing that might stand for them."""
Seconds = Annotated[
    float, BeforeValidator(parse_duration), WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]})
]
"""A number of seconds above 0, or ``15m``, ``1h30m``, ``250ms``."""


class Strict(BaseModel):
    """Base of everything that a user writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
