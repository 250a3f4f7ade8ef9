"""Pure: the usage of a call whose provider has not counted."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue
from pydantic_core import to_json

from callboard.models.port import Usage
from callboard.models.tokens import BYTES, most_tokens


def estimated(body: Mapping[str, JsonValue], said: str) -> Usage:
    """Of the request ``body`` and of what was ``said``, by their bytes: too few tokens for hardly any text."""
    return Usage(most_tokens(len(to_json(body))), most_tokens(BYTES.text(said)))
