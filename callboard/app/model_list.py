"""Pure: which models a provider has, as it lists them itself (``GET …/v1/models``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import Any, Final, cast

from callboard.app.finding import Level
from callboard.config.providers import Provider

_ANTHROPIC_VERSION: Final = "2026-10-21"
_BASES: Final = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
    "openai-chat": "https://api.openai.com/v1",
}
_OK: Final = 200
_REFUSED: Final = frozenset({401, 403})
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """What a provider lists: its models by id, as it describes them.

    ``problem`` says why there is no list, and ``level`` how bad that is: a server may well have none.
    """

    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    problem: str = ""
    level: Level = "good"


def list_url(provider: Provider) -> str:
    """Where the list is."""
    return _url(provider, "?limit=1000" if provider.kind == "anthropic" else "")


def model_url(provider: Provider, quoted: str) -> str:
    """Where one model is (its name as URLs have it): a second name, or a retired one, is not in the list."""
    return _url(provider, f"/{quoted}")


def headers(provider: Provider) -> Mapping[str, str]:
    """What a request says. It holds the key."""
    key = {"Authorization": f"Bearer {provider.api_key}"} if provider.api_key else {}
    version = {"anthropic-version": _ANTHROPIC_VERSION} if provider.kind == "anthropic" else {}
    return {**key, **version, **provider.headers}


def listed(status: int, content: bytes) -> Listing:
    """The answer to a request for the list."""
    if status in _REFUSED:
        return Listing(problem=f"the key was refused (status {status}): use another", level="wrong")
    data = _object(status, content).get("data")
    if not isinstance(data, list):
        return Listing(problem=f"it has no list of its models (status {status}); ask with --probe", level="odd")
    each = [cast("Mapping[str, Any]", model) for model in cast("Sequence[object]", data) if isinstance(model, dict)]
    return Listing({str(model["id"]): model for model in each if "id" in model})


def described(status: int, content: bytes) -> Mapping[str, Any] | None:
    """The answer to a request for one model; None: there is no such model."""
    said = _object(status, content)
    return said if "id" in said else None


def verdict(provider: Provider, found: Listing, name: str, *, today: date) -> tuple[Level, str]:
    """Whether the model can be used, and what to do if not."""
    if found.problem:
        return found.level, found.problem
    model = found.models.get(name)
    if model is None:
        there = _alike(name, found.models) if len(found.models) > _SHOWN else f", it has {', '.join(found.models)}"
        level: Level = "odd" if provider.kind == "openai-chat" else "wrong"  # some servers take any name
        return level, f"its provider lists no {name!r}{there if found.models else ''}"
    return _lifecycle(model, today)


def _alike(name: str, models: Iterable[str]) -> str:
    """The one that was meant, perhaps: all would be a long list."""
    close = get_close_matches(name, models, n=1)
    return f": did you mean {close[0]!r}?" if close else ", but many others"


def _lifecycle(model: Mapping[str, Any], today: date) -> tuple[Level, str]:
    end = str(model.get("retires_at") or model.get("shutdown_date") or "")[:10]
    stage = model.get("lifecycle")
    if stage == "retired" or (stage is None and end and end <= today.isoformat()):
        return "wrong", f"retired{f' on {end}' if end else ''}: choose another"
    if stage == "deprecated" or end:
        return (
            "odd",
            f"deprecated, {f'it ends on {end}' if end else 'its end is not announced'}: choose another in time",
        )
    return "good", "listed"


def _url(provider: Provider, rest: str) -> str:
    version = "/v1" if provider.kind == "anthropic" else ""  # it is part of the others' base
    return f"{(provider.base_url or _BASES[provider.kind]).rstrip('/')}{version}/models{rest}"


def _object(status: int, content: bytes) -> Mapping[str, Any]:
    """What a good answer says; nothing, if it is none or no JSON object."""
    try:
        said = json.loads(content) if status == _OK else None
    except (ValueError, RecursionError):
        said = None
    return cast("Mapping[str, Any]", said) if isinstance(said, dict) else {}
