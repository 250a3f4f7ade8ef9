"""Pure: answers with a good status that are no stream: an error, or a page of whoever else is at that address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from callboard.errors import ModelError

_SHOWN: Final = 200


def no_stream(headers: Mapping[str, str]) -> str:
    """The type of what cannot be a stream; ``""``: it may be one."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind if kind == "text/html" or kind.endswith("json") else ""


def parsed(content: bytes) -> object:
    """JSON as a value; None: it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def is_no_stream(kind: str, content: bytes) -> ModelError:
    """The failure of a call that was answered with something else."""
    shown = " ".join(content.decode("utf-8", "replace").split())[:_SHOWN]
    message = f"the provider answers with {kind} instead of a stream: {shown!r}; check its base_url"
    return ModelError("bad_request", message, retryable=False)
