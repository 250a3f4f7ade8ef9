"""Pure: which models a provider says it has."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

_PATH = "/v1/models"
_MADE = "2026-01-01T00:00:00Z"


def listing(
    path: str, headers: Mapping[str, str], models: Sequence[str], *, retired: Container[str]
) -> tuple[int, dict[str, Any]]:
    """Status and body for a ``GET``: ``/v1/models``, or one model of it. Anthropic's clients name their version."""
    speak = _of_anthropic if "anthropic-version" in headers else _of_openai
    if path == _PATH:
        return 200, _page([speak(model, retired) for model in models], anthropic=speak is _of_anthropic)
    name = path.removeprefix(f"{_PATH}/")
    if name in models:
        return 200, speak(name, retired)
    kind = "not_found_error" if speak is _of_anthropic else "invalid_request_error"
    error = {"type": kind, "message": f"model: {name}", "param": None, "code": "model_not_found"}
    return 404, {"type": "error", "error": error}


def _page(models: list[dict[str, Any]], *, anthropic: bool) -> dict[str, Any]:
    if not anthropic:
        return {"object": "list", "data": models}
    ends = {"first_id": models[0]["id"], "last_id": models[-1]["id"]} if models else {"first_id": None, "last_id": None}
    return {"data": models, "has_more": False, **ends}


def _of_anthropic(model: str, retired: Container[str]) -> dict[str, Any]:
    lifecycle = "retired" if model in retired else "active"
    return {"type": "model", "id": model, "display_name": model, "created_at": _MADE, "lifecycle": lifecycle}


def _of_openai(model: str, retired: Container[str]) -> dict[str, Any]:
    shutdown = "2026-06-01" if model in retired else None
    return {"id": model, "object": "model", "created": 1767225600, "owned_by": "fake", "shutdown_date": shutdown}
