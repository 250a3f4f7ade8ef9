"""Pure: what failed, in words without secrets: servers quote what they were sent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from callboard.errors import ModelError

_SECRET: Final = 6
"""Characters from which on a value is taken for a secret: a dummy key such as ``none`` is a word."""


def without(error: ModelError, secrets: Collection[str]) -> ModelError:
    """``error`` in words that hold none of ``secrets``; itself, if it has none."""
    told = message = str(error)
    for secret in secrets:
        if len(secret) >= _SECRET:
            message = message.replace(secret, "***")
    if message == told:
        return error
    return ModelError(
        error.kind, message, retryable=error.retryable, retry_after=error.retry_after, limits=error.limits
    )
