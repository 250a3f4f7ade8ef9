"""Pure: JSON of unknown shape, read as what it should be; what is something else counts as empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast


def mapping(value: object) -> Mapping[str, Any]:
    """An object."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def items(value: object) -> Sequence[Any]:
    """An array."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()
