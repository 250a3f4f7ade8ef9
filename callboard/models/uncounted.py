"""Pure: the usage of a call whose provider has not counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.models.port import Usage

_BYTES_PER_TOKEN: Final = 2


def estimated(body: Mapping[str, JsonValue], said: str) -> Usage:
    """Of the request ``body`` and of what was ``said``: two bytes a token, too few tokens for hardly any text."""
    written = said.encode("utf-8", "replace")
    return Usage(-(-len(to_json(body)) // _BYTES_PER_TOKEN), -(-len(written) // _BYTES_PER_TOKEN))
