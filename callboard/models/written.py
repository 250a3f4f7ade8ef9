"""Pure: JSON as models write it."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue
from pydantic_core import from_json, to_json


def json_in(text: str) -> JsonValue:
    """The value in ``text``. Raises ``ValueError`` for none, and for numbers that no float can be."""
    return cast("JsonValue", from_json(to_json(from_json(text)), allow_inf_nan=False))
