"""Pure: the settings of a choice as a request may have them. Files are checked when they are read, old runs are not."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from callboard.config.settings import Check, problem
from callboard.errors import ModelError


def checked(settings: Mapping[str, JsonValue], allowed: Mapping[str, Check]) -> dict[str, JsonValue]:
    """The settings, which are as they may be. Raises ``ModelError`` (``bad_request``)."""
    if (wrong := problem(settings, allowed)) is not None:
        raise ModelError("bad_request", wrong, retryable=False)
    return dict(settings)
