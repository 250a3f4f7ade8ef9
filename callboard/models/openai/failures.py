"""Pure: what a provider refuses or reports -> ``ModelError``, and what its headers say about waiting and limits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Final

from pydantic_core import to_json

from callboard.errors import ModelError, ModelErrorKind
from callboard.models.openai.reading import mapping, text
from callboard.models.unstreamed import is_no_stream, parsed

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_RETRYABLE: Final = frozenset({"rate", "overload", "network", "truncated"})
_SHOWN: Final = 400
_LIMITS: Final = "x-ratelimit-"
_STATUSES: Final[Mapping[int, ModelErrorKind]] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "bad_request",
    408: "network",
    409: "overload",
    413: "context",
    425: "overload",
    429: "rate",
}
_WORDS: Final[tuple[tuple[re.Pattern[str], ModelErrorKind], ...]] = (
    (re.compile(r"quota|billing|spend_limit|credit"), "quota"),
    (re.compile(r"content_filter|content_policy|policy_violation|bio_policy|invalid_prompt|refusal"), "refusal"),
    (re.compile(r"context_length|context_window|exceed_context"), "context"),
)
"""In codes and types that hold whatever the status: a quota that is used up is a 429 too."""
_FULL: Final = re.compile(
    r"maximum context length|context (length|window|size) (is |was |of )?(exceed|too|limit)|"
    r"exceeds? (the )?(model'?s? )?(available |maximum )?context|prompt is too long|input is too long"
)
"""How compatible servers say it, which have no code for it."""
_REPORTED: Final[tuple[tuple[re.Pattern[str], ModelErrorKind], ...]] = (
    (re.compile(r"rate_?limit|too_?many_?requests"), "rate"),
    (re.compile(r"auth|api_key|permission"), "auth"),
    (re.compile(r"bad_?request|invalid|not_?found|unsupported|image|mismatch"), "bad_request"),
)
_HINTS: Final[Mapping[ModelErrorKind, str]] = {
    "auth": "check the key of this provider, and what it may do",
    "quota": "the account has nothing left to spend: add credit or raise its limit, or use another key",
    "context": "the request does not fit the model: shorten it, or take a model with a larger window",
}
_AGAIN_IN: Final = re.compile(r"(?:try again in|retry after) ((?:\d{1,9}(?:\.\d{1,9})? ?(?:ms|[hms]))+)")
_UNIT: Final = re.compile(r"([\d.]+) ?(ms|[hms])")
_SECONDS: Final[Mapping[str, float]] = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_NO_MODEL: Final = "is there a model {!r} at this base URL? It may be misspelt or retired"


def refused(status: int, headers: Mapping[str, str], body: object, *, model: str, now: datetime) -> ModelError:
    """The failure of a request that was answered with a status of 4xx or 5xx."""
    codes, message = _said(body)
    kind = _kind(status, " ".join(codes).lower(), message)
    hint = _NO_MODEL.format(model) if status == 404 else _HINTS.get(kind, "")  # noqa: PLR2004 - a known status
    # what providers say about a wrong key quotes it
    known = dict.fromkeys((str(status), *codes))  # compatible servers have the status as their code
    told = [f"the provider answers {' '.join(known)}", "" if kind == "auth" else message, hint]
    return ModelError(
        kind,
        ": ".join(part for part in told if part),
        retryable=kind in _RETRYABLE and _lower(headers).get("x-should-retry", "").strip().lower() != "false",
        retry_after=_first(retry_after(headers, now=now), _told(message) if kind == "rate" else None),
        limits=limits(headers),
    )


def reported(error: object, limits: Mapping[str, str] = _NONE) -> ModelError:
    """The failure that a provider reports in its stream, where nothing raises and there is no status."""
    codes, message = _said(error)
    code = mapping(error).get("code")
    status = code if isinstance(code, int) else 0
    kind = _kind(status, " ".join(codes).lower(), message)
    told = [f"the provider reports {' '.join(codes) or 'an error'}", "" if kind == "auth" else message]
    told.append(_HINTS.get(kind, ""))
    return ModelError(
        kind,
        ": ".join(part for part in told if part),
        retryable=kind in _RETRYABLE,
        retry_after=_told(message) if kind == "rate" else None,
        limits=limits,
    )


def unstreamed(kind: str, content: bytes, limits: Mapping[str, str] = _NONE) -> ModelError:
    """The failure of a call that was answered with ``content`` of this ``kind``, which is no stream."""
    error = mapping(parsed(content)).get("error")
    return reported(error, limits) if error else is_no_stream(kind, content)


def truncated(what: str, limits: Mapping[str, str] = _NONE) -> ModelError:
    """The failure of an answer that began and has no end."""
    return ModelError("truncated", what, retryable=True, limits=limits)


def unreachable(what: str, limits: Mapping[str, str] = _NONE) -> ModelError:
    """The failure of a call that the network lost."""
    return ModelError("network", what, retryable=True, limits=limits)


def unsendable(cause: BaseException) -> ModelError:
    """The failure of a request that never was one. What its ``cause`` says may quote the key."""
    message = f"the request cannot be sent: {type(cause).__name__}; check the key, the headers and base_url"
    return ModelError("bad_request", message, retryable=False)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds that the provider asks for: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    known = _lower(headers)
    if (milliseconds := _number(known.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    said = known.get("retry-after", "")
    return number if (number := _number(said)) is not None else _until(said, now)


def _told(message: str) -> float | None:
    """Seconds that the words of an error ask for: OpenAI has them there where it has no header."""
    found = _AGAIN_IN.search(message.lower())
    return None if found is None else sum(float(said) * _SECONDS[unit] for said, unit in _UNIT.findall(found[1]))


def _first(header: float | None, words: float | None) -> float | None:
    return words if header is None else header


def limits(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers in which the provider speaks of its limits, as they came."""
    return {name: value for name, value in _lower(headers).items() if name.startswith(_LIMITS)}


def _kind(status: int, codes: str, message: str) -> ModelErrorKind:
    """``status`` is 0 in a stream."""
    known = _found(_WORDS, codes)
    if known is not None:
        return known
    if status not in {401, 403, 429} and _FULL.search(message.lower()):
        return "context"
    if status:
        return _STATUSES.get(status, "bad_request" if 400 <= status < 500 else "overload")  # noqa: PLR2004 - 4xx
    return _found(_REPORTED, codes) or "overload"


def _found(words: Iterable[tuple[re.Pattern[str], ModelErrorKind]], codes: str) -> ModelErrorKind | None:
    return next((kind for pattern, kind in words if pattern.search(codes)), None)


def _said(body: object) -> tuple[list[str], str]:
    """The codes and the message of an error in any of the forms that servers have for it."""
    fields = mapping(body)
    inner = fields.get("error")
    if isinstance(inner, dict):
        return _said(mapping(fields["error"]))
    # an error event says "error" as its type, and so do compatible servers
    codes = dict.fromkeys(
        str(code) for code in (fields.get("code"), fields.get("type")) if code not in {None, "", "error"}
    )
    detail = fields.get("detail")  # a text, or a list of what is wrong with the request
    message = text(fields.get("message")) or text(inner) or text(detail) or text(body)
    if detail and not message:
        message = to_json(detail, inf_nan_mode="constants").decode()
    return list(codes), " ".join(message.split())[:_SHOWN]


def _number(said: str) -> float | None:
    try:
        number = float(said)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(said: str, now: datetime) -> float | None:
    try:
        at = parsedate_to_datetime(said)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
